"""Tests the scenarios in tests/scenarios against the local agent, with each protocol and each planted bug.

The calls are real, from socket to verdict, but run in virtual time (`tests.scenario.virtual`), so the verdict
of every run does not depend on the machine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.scenario.virtual import SOUND, Call
from tui.agent.settings import Fault
from tui.protocols.abilities import lacking
from tui.protocols.registry import BUILT_IN
from tui.scenario.reading import SUFFIX, find_scenarios, read_scenario

pytestmark = [pytest.mark.timeout(180), pytest.mark.xdist_group("scenario files")]
ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tests" / "scenarios"
SCENARIOS = {path.name.removesuffix(SUFFIX): path for path in find_scenarios([FOLDER])}

TELEPHONY = {"twilio", "telnyx", "plivo", "exotel", "vonage", "signalwire", "genesys", "asterisk"}
NOT_APPLICABLE = {
    # Protocols that do not support the steps of a scenario.
    "keys": {"pcm", "openai", "openai-live", "elevenlabs", "gemini", "deepgram"},
    "typed": {"pcm", "openai-live", *TELEPHONY},
    # Only with these does the caller offer its functions to the agent.
    "tool": set(BUILT_IN) - {"openai", "gemini", "deepgram"},
    # Only these continue a session on a new socket. tests/scenario/test_holding.py tests the others.
    "resumes": set(BUILT_IN) - {"audiocodes", "gemini"},
}
FOUND_BY = {
    # The scenarios in which a planted bug must fail; it passes all others.
    Fault.LATE: {"answers"},
    # It does not hear words that interrupt it, so it does not answer them either.
    Fault.IGNORES_BARGE_IN: {"yields", "noisy", "answers", "two-turns", "quiet", "goodbye"},
    Fault.STOPS_AT_BACKCHANNEL: {"backchannel"},
    Fault.WRONG_ARGUMENT: {"tool"},
    Fault.NEVER_HANGS_UP: {"goodbye"},
    Fault.CLIPS_FIRST_WORD: {"greets", "keys"},
    Fault.TALKS_OVER: {"polite"},
    Fault.CRASHES: {"two-turns", "rough-line"},
}
SEARCHED_OVER = {"tool": "openai", "polite": "pcm"}
"""Scenarios tested with a protocol other than AudioCodes, whose caller flushes agent audio during talk-over."""


class Went(NamedTuple):
    """The result of a call."""

    verdict: str
    reasons: str


Runs = dict[Call, Went]


def chosen() -> list[Call]:
    """Returns the calls to play.

    A call takes half a second of CPU time, so each scenario uses only one of its protocols. With
    EVERY_SCENARIO in the environment, each scenario uses all protocols and runs against each bug.
    """
    everything = bool(os.environ.get("EVERY_SCENARIO"))
    used: Counter[str] = Counter(dict.fromkeys(BUILT_IN, 0))
    calls = []
    for name in sorted(SCENARIOS, key=lambda name: len(applicable(name))):
        least = min(applicable(name), key=lambda protocol: (used[protocol], protocol))
        used[least] += 1
        calls += [Call(SOUND, name, each) for each in (sorted(applicable(name)) if everything else [least])]
    assert all(used.values())
    for fault, finders in FOUND_BY.items():
        names = SCENARIOS if everything else finders
        calls += [Call(fault, name, SEARCHED_OVER.get(name, "audiocodes")) for name in names]
    return calls


def applicable(name: str) -> set[str]:
    return set(BUILT_IN) - NOT_APPLICABLE.get(name, set())


@pytest.fixture(scope="module")
def runs() -> Runs:
    calls = chosen()
    ran = subprocess.run(
        [sys.executable, "-m", "tests.scenario.virtual", str(FOLDER), *("/".join(call) for call in calls)],
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
    )
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    found = {Call(*line["call"]): Went(line["verdict"], line["reasons"]) for line in lines}
    assert set(found) == set(calls), ran.stderr
    return found


def unpassed(runs: Runs, agent: str) -> dict[tuple[str, str], str]:
    """Returns the runs against an agent that did not pass, with the reasons."""
    return {
        (call.name, call.protocol): f"{went.verdict}: {went.reasons}"
        for call, went in runs.items()
        if call.agent == agent and went.verdict != "passed"
    }


def test_there_are_at_least_twelve() -> None:
    assert len(SCENARIOS) >= 12


@pytest.mark.parametrize("name", ["keys", "typed"])
def test_a_protocol_is_not_applicable_where_it_lacks_a_step(name: str) -> None:
    scenario = read_scenario(SCENARIOS[name])
    lacks = {protocol for protocol in BUILT_IN if scenario.lacks(lacking(protocol))}
    assert lacks == NOT_APPLICABLE[name]


def test_an_agent_without_a_bug_passes_every_scenario(runs: Runs) -> None:
    assert unpassed(runs, SOUND) == {}


@pytest.mark.parametrize("fault", Fault)
def test_a_planted_bug_fails_the_scenarios_that_are_about_it_and_no_other(fault: Fault, runs: Runs) -> None:
    failed = unpassed(runs, fault)
    assert {name for name, _ in failed} == FOUND_BY[fault], failed
    assert {went.split(":")[0] for went in failed.values()} == {"failed"}
