"""Tests the agent with `streamdouble` in the role of Twilio; it reports each violation of the protocol."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("streamdouble", reason="run: tests/peers/run")

from streamdouble import api
from streamdouble.scenario import parse
from streamdouble.session import SessionConfig

from tests.agent.calls import line_named
from tests.peers.conftest import LIMIT_S
from tui.agent.process import AgentProcess

pytestmark = [pytest.mark.xdist_group("peers"), pytest.mark.timeout(LIMIT_S)]


async def test_a_whole_conversation(agent: AgentProcess, tmp_path: Path) -> None:
    yes, services, goodbye = (str(line_named(name).path) for name in ("yes", "services", "goodbye"))
    scenario = parse(
        {
            "steps": [
                {"wait_for": "mark"},
                {"say": yes},
                {"wait_for": "mark"},
                {"say": services},
                {"wait": 0.5},
                {"expect": "audio"},
                {"say": yes},
                {"expect": "clear"},
                {"wait_for": "mark"},
                {"say": goodbye},
                {"expect": "no_violations"},
            ]
        }
    )
    config = SessionConfig(quiet_period_s=0.5, max_drain_s=4, max_call_s=LIMIT_S)
    report = await api.run_scenario(agent.url("/twilio"), scenario, config=config)
    assert report.violations == []
    assert report.result.failed_expectations == []
    assert report.exit_code == 0
    assert len(report.audio_received) > 8_000
