"""Replies begin and end where they can be heard, in every protocol; agents owe an answer to the result of a tool.

The calls are real, from socket to exit code, but their time is virtual (`tests.session.streaming`): the figures are
the same on any machine.
"""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from tests.session.streaming import ANSWERED, MUSIC, NOISE, SILENCE, UNANSWERED, WITHOUT_A_WORD
from tui.exit_code import ExitCode
from tui.protocols.registry import BUILT_IN

ROOT = Path(__file__).parents[2]
WITH_MUSIC = ("audiocodes", "openai", "gemini")
"""Their agents stop everything when the user speaks, so that no music follows their words at once."""
OTHERS = cycle((SILENCE, NOISE))
STREAMED = {name: MUSIC if name in WITH_MUSIC else next(OTHERS) for name in BUILT_IN}
FULL_DUPLEX = "openai-live"
"""Its agent may stop without a message, so that there is nothing to flush."""
TOOLS = [
    *(f"openai/{plan}" for plan in (ANSWERED, UNANSWERED, WITHOUT_A_WORD)),
    *(f"elevenlabs/{plan}" for plan in (ANSWERED, UNANSWERED)),
]
LATEST_MS = 350
"""Longest time from the words that an agent sends to their sound at the caller: some protocols buffer 200 ms."""

# The calls take ten seconds, and every worker with one of these tests would make them.
pytestmark = pytest.mark.xdist_group("streaming agents")


@pytest.fixture(scope="module")
def calls() -> dict[str, dict[str, Any]]:
    """What came of each call."""
    wanted = [*(f"{name}/{background}" for name, background in STREAMED.items()), *TOOLS]
    ran = subprocess.run(
        [sys.executable, "-m", "tests.session.streaming", *wanted],
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
    )
    found = {line["call"]: line for line in map(json.loads, ran.stdout.splitlines())}
    assert list(found) == wanted, ran.stderr
    return found


@pytest.mark.parametrize("name", BUILT_IN)
def test_an_agent_that_streams_between_its_words_greets_answers_and_yields(
    name: str, calls: dict[str, dict[str, Any]]
) -> None:
    call = calls[f"{name}/{STREAMED[name]}"]
    verdicts = [verdict for _, verdict, _ in call["verdicts"]]
    *heard, unanswered = verdicts
    assert heard == ["passed", "passed", "done", "done", "passed"], call
    assert 200 < call["greeting_ms"] < 1_000
    (answered_ms,), (response_ms, *others) = call["answered_ms"], call["response_ms"]
    assert -50 < response_ms - answered_ms < LATEST_MS
    assert call["barge_ins"] == ([] if name == FULL_DUPLEX else ["yielded"])
    # What is streamed after the interruption is no answer to it.
    assert (unanswered, others) == ("failed", [None])


@pytest.mark.parametrize("name", ["openai", "elevenlabs"])
def test_an_agent_that_falls_silent_after_its_tool_has_a_reason_code_of_its_own(
    name: str, calls: dict[str, dict[str, Any]]
) -> None:
    sentence = (
        "The agent fell silent after the result of its tool lookup: it did not answer 4-yes.wav within 2 s."
    )
    silent = calls[f"{name}/{UNANSWERED}"]
    assert (silent["code"], silent["explained"]) == (ExitCode.NOT_ANSWERED, [sentence])
    assert silent["failed"] == [[ExitCode.NOT_ANSWERED, "silent_after_tool", sentence]]
    answered = calls[f"{name}/{ANSWERED}"]
    assert (answered["code"], answered["explained"], answered["failed"]) == (ExitCode.FINE, [], [])


def test_an_agent_that_says_nothing_before_its_tool_either_has_the_same(
    calls: dict[str, dict[str, Any]],
) -> None:
    silent = calls[f"openai/{WITHOUT_A_WORD}"]
    assert [(code, reason) for code, reason, _ in silent["failed"]] == [(3, "silent_after_tool")]
