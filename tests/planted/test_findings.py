"""Tests every rule of every protocol with a far side that breaks it and one that does not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.planted.codes import functions_in, rules_by_file
from tests.planted.exchange import Exchange, exchanges
from tests.protocols.test_both_ends import CALLS
from tui.protocols.registry import BUILT_IN

SHARED = {
    "protocols/json_frames.py": tuple(BUILT_IN),
    **dict.fromkeys(
        (f"protocols/telephony/{name}.py" for name in ("agent", "caller", "dialect", "faults")),
        ("twilio", "telnyx", "plivo", "exotel", "vonage", "signalwire"),
    ),
}
"""Protocols that share a file. Any of them may plant the file's rules."""
ELSEWHERE = {
    ("session/dialling.py", "guessed-protocol"): (
        "tests/session/test_dialling.py",
        "test_an_agent_that_speaks_first_gives_itself_away",
        "test_a_known_protocol_is_left_alone",
    ),
    ("session/reply_checks.py", "wrong-encoding"): (
        "tests/session/test_reply_checks.py",
        "test_audio_in_another_encoding_than_its_label_is_a_finding",
        "test_a_reply_slower_than_real_time_is_advice",
    ),
    ("session/reply_checks.py", "slower-than-real-time"): (
        "tests/session/test_reply_checks.py",
        "test_a_reply_slower_than_real_time_is_advice",
        "test_audio_in_another_encoding_than_its_label_is_a_finding",
    ),
}
"""Rules that need more than messages, each with the file, a test in which it is found, and one in which it is not."""
PLANTED = [(name, exchange) for name in BUILT_IN for exchange in exchanges(name)]


def rules() -> Iterator[tuple[str, str]]:
    for path, found in rules_by_file().items():
        yield from ((path, rule) for rule in sorted(found))


def protocols_of(path: str) -> tuple[str, ...]:
    """Returns the protocols whose ends can report the rules of a file."""
    if path in SHARED:
        return SHARED[path]
    module = "tui." + path.removesuffix(".py").replace("/", ".")
    folder = module.rpartition(".")[0]
    return tuple(name for name, place in BUILT_IN.items() if place.partition(":")[0] in (module, folder))


def is_planted(path: str, rule: str) -> bool:
    pattern = re.compile(re.escape(rule).replace(r"\{\}", "[a-z-]+"))
    names = protocols_of(path)
    return any(name in names and pattern.fullmatch(exchange.rule) for name, exchange in PLANTED)


@pytest.mark.parametrize(("path", "rule"), rules())
def test_no_rule_is_without_a_planted_fault(path: str, rule: str) -> None:
    if (path, rule) in ELSEWHERE:
        file, *tests = ELSEWHERE[path, rule]
        assert set(tests) <= functions_in(Path(file))
    else:
        assert is_planted(path, rule)


@pytest.mark.parametrize(
    ("protocol", "exchange"),
    [
        pytest.param(name, each, id=f"{name}-{each.side}-{each.rule}{'-advice' * each.advice}")
        for name, each in PLANTED
    ],
)
def test_a_planted_fault_is_reported_when_it_happens_and_not_before(
    protocol: str, exchange: Exchange
) -> None:
    *before, last = exchange.play(protocol)
    assert [finding.advice for finding in last if finding.rule == exchange.rule][:1] == [exchange.advice]
    assert not any(finding.rule == exchange.rule for step in before for finding in step)


def test_whole_conversations_without_a_finding_are_held_in_every_protocol() -> None:
    # `Line.hear` fails on any finding of either end. OpenAI Live has its own conversation tests.
    assert {name for name, _ in CALLS} | {"openai-live"} == set(BUILT_IN)
    assert "test_a_conversation_from_the_greeting_to_the_hang_up_with_barge_in" in functions_in(
        Path("tests/protocols/test_both_ends.py")
    )
    assert "test_the_caller_understands_the_agents_messages" in functions_in(
        Path("tests/protocols/test_openai_live.py")
    )
