from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.engine.process import engine_process
from tui.agent.process import AgentProcess, start_agent
from tui.agent.settings import AgentSettings
from tui.bridge import Bridge


@pytest.fixture(scope="package")
def agent() -> Iterator[AgentProcess]:
    with start_agent(AgentSettings()) as agent:
        yield agent


@pytest.fixture
def bridge() -> Iterator[Bridge]:
    with engine_process() as bridge:
        yield bridge
