"""Tests that a load-test caller costs a fraction of an ordinary call and has the same figures."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

SCENARIO = """
[[step]]
say = "yes"
[[step]]
expect = "agent answers"
[[step]]
say = "hours"
[[step]]
say = "hold"
when = "agent speaks + 307ms"
[[step]]
expect = "agent stops"
within = "3s"
"""


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Returns a call, alone and in a load test, in virtual time."""
    file = tmp_path_factory.mktemp("crowd") / "short.call.toml"
    file.write_text(SCENARIO)
    command = [sys.executable, "-m", "tests.load.side_by_side", str(file), "pcm"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    made: dict[str, Any] = json.loads(done.stdout)
    return made


def test_the_edges_are_those_that_an_ordinary_call_finds_on_the_same_tracks(calls: dict[str, Any]) -> None:
    call = calls["crowd"]
    edges, on_tracks = call["edges_ms"], call["on_tracks_ms"]
    assert len(edges) >= 10
    assert [edge[:2] for edge in edges] == [edge[:2] for edge in on_tracks]
    for who, within_ms in (("agent", 1), ("user", 10)):
        assert [edge[2] for edge in edges if edge[0] == who] == pytest.approx(
            [edge[2] for edge in on_tracks if edge[0] == who], abs=within_ms
        )


def test_the_figures_are_those_of_an_ordinary_call(calls: dict[str, Any]) -> None:
    alone, crowd = calls["alone"], calls["crowd"]
    assert crowd["verdicts"] == alone["verdicts"]
    assert [verdict.split()[0] for verdict in crowd["verdicts"]].count("passed") == 3
    # The agent judges windows of 32 ms and sends blocks of 20 ms, so its answers vary slightly in time.
    assert len(crowd["response_ms"]) == 2
    assert crowd["response_ms"] == pytest.approx(alone["response_ms"], abs=60)
    assert crowd["barge_ins_ms"] == pytest.approx(alone["barge_ins_ms"], abs=60)
    assert crowd["audio_ms"] == pytest.approx(alone["audio_ms"], abs=200)
    assert crowd["messages"] == pytest.approx(alone["messages"], abs=12)
    assert crowd["send_p99_ms"] < 1


def test_audio_messages_are_logged_in_sum(calls: dict[str, Any]) -> None:
    alone, crowd = calls["alone"], calls["crowd"]
    assert alone["events"] > sum(alone["messages"])
    assert crowd["events"] < sum(crowd["messages"]) / 2
