from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.handlers.realtime_agent import Agent


@pytest.fixture
async def agent() -> AsyncIterator[Agent]:
    agent = Agent()
    yield agent
    await agent.handler.close()
