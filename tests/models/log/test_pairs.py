from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import edge, error, message, played, plays, started, tool
from tests.models.log.event_logs import RECEIVED, SENT, log_of
from tests.protocols.mine import MINE
from tui.models import events as e
from tui.models.log.event_log import EventLog
from tui.models.log.pairs import Pairs
from tui.protocols.log_rules import LogRules

EXAMPLES = Path(__file__).parents[2] / "protocols" / "examples"


def pairs_of(protocol: str, *frames: tuple[e.Direction, dict[str, Any]]) -> Pairs:
    """Returns the pairs of a session's messages, which are numbered from 1.

    The session's first event has number 0.
    """
    raws = [json.dumps(body).encode() for _, body in frames]
    events = [
        message(body.get("type") or body.get("event") or body.get("command") or next(iter(body)), direction)
        for direction, body in frames
    ]
    log = log_in(protocol)
    for number, event in enumerate(events, 1):
        log.apply(msgspec.structs.replace(event, number=number))
    return Pairs(log, lambda event: raws[event.number - 1])


def log_in(protocol: str, log_rules: LogRules | None = None) -> EventLog:
    log = EventLog()
    log.apply(msgspec.structs.replace(started(), protocol=protocol, log_rules=log_rules))
    return log


def partners(pairs: Pairs) -> dict[int, int]:
    """Returns the partner of every event that has one."""
    numbers = list(pairs._log.events.numbers)
    found = {number: pairs.partner(number) for number in numbers}
    return {number: partner for number, partner in found.items() if partner is not None}


def paired(protocol: str, *frames: tuple[e.Direction, dict[str, Any]]) -> dict[int, int]:
    """Returns the partner of every message of a session that has one."""
    return partners(pairs_of(protocol, *frames))


def both_ways(*pairs: tuple[int, int]) -> dict[int, int]:
    return {a: b for one, other in pairs for a, b in ((one, other), (other, one))}


def mark(direction: e.Direction, name: str) -> tuple[e.Direction, dict[str, Any]]:
    return direction, {"event": "mark", "mark": {"name": name}}


def play(what: str, stream: str) -> tuple[e.Direction, dict[str, Any]]:
    return RECEIVED, {"type": f"playStream.{what}", "streamId": stream}


def test_a_mark_and_its_echo_are_found_by_name() -> None:
    assert paired(
        "twilio", mark(RECEIVED, "a"), mark(RECEIVED, "b"), mark(SENT, "b"), mark(SENT, "a"), mark(SENT, "c")
    ) == both_ways((1, 4), (2, 3))


def test_marks_of_one_name_are_echoed_in_their_order() -> None:
    assert paired("twilio", *[mark(RECEIVED, "m")] * 3, *[mark(SENT, "m")] * 2) == both_ways((1, 4), (2, 5))


def test_streams_are_found_by_their_identifier_and_chunks_lead_to_their_beginning() -> None:
    assert paired(
        "audiocodes",
        play("start", "1"),
        play("chunk", "1"),
        play("start", "2"),
        play("stop", "1"),
        play("stop", "2"),
    ) == both_ways((1, 4), (3, 5)) | {2: 1}


def test_a_pair_without_identifier_is_closed_by_the_next_message() -> None:
    names = ["start", "start", "chunk", "stop", "stop", "start"]
    frames = [(SENT, {"type": f"userStream.{name}"}) for name in names]
    found = both_ways((2, 4)) | {3: 2}
    assert paired("audiocodes", *frames) == found, "the first start was never stopped"


def test_start_and_end_of_plain_pcm() -> None:
    assert paired("pcm", (SENT, {"type": "start"}), (SENT, {"type": "end"})) == both_ways((1, 2))


def test_append_and_commit() -> None:
    names = ["append", "append", "committed", "append", "commit", "committed", "append"]
    assert paired(
        "openai",
        *(
            (RECEIVED if name == "committed" else SENT, {"type": f"input_audio_buffer.{name}"})
            for name in names
        ),
    ) == {1: 3, 2: 3, 3: 2, 4: 5, 5: 4, 6: 4}


def test_a_tool_call_and_its_result() -> None:
    item = {"type": "function_call_output", "call_id": "c-1", "output": "{}"}
    assert paired(
        "openai",
        (RECEIVED, {"type": "response.function_call_arguments.done", "call_id": "c-1"}),
        (SENT, {"type": "conversation.item.create", "item": {"type": "message"}}),
        (SENT, {"type": "conversation.item.create", "item": item}),
    ) == both_ways((1, 3))
    assert paired(
        "elevenlabs",
        (RECEIVED, {"type": "client_tool_call", "client_tool_call": {"tool_call_id": "7"}}),
        (SENT, {"type": "client_tool_result", "tool_call_id": "7"}),
        (RECEIVED, {"type": "ping", "ping_event": {"event_id": 12}}),
        (SENT, {"type": "pong", "event_id": 12}),
    ) == both_ways((1, 2), (3, 4))
    assert paired(
        "genesys",
        (SENT, {"type": "ping", "seq": 4}),
        (SENT, {"type": "ping", "seq": 5}),
        (RECEIVED, {"type": "pong", "clientseq": 5}),
    ) == both_ways((2, 3))
    pairs = pairs_of(
        "asterisk",
        (RECEIVED, {"command": "START_MEDIA_BUFFERING"}),
        (RECEIVED, {"command": "MARK_MEDIA", "correlation_id": "a"}),
        (RECEIVED, {"command": "STOP_MEDIA_BUFFERING", "correlation_id": "b"}),
        (SENT, {"event": "MEDIA_MARK_PROCESSED", "correlation_id": "a"}),
        (SENT, {"event": "MEDIA_BUFFERING_COMPLETED", "correlation_id": "b"}),
    )
    assert partners(pairs)[2] == 4
    assert partners(pairs)[5] == 3
    assert paired(
        "plivo",
        (RECEIVED, {"event": "checkpoint", "name": "a"}),
        (RECEIVED, {"event": "checkpoint", "name": "b"}),
        (SENT, {"event": "playedStream", "name": "b"}),
        (RECEIVED, {"event": "clearAudio"}),
        (SENT, {"event": "clearedAudio"}),
    ) == both_ways((2, 3), (4, 5))
    assert paired(
        "deepgram",
        (RECEIVED, {"type": "FunctionCallRequest", "functions": [{"id": "7"}]}),
        (SENT, {"type": "FunctionCallResponse", "id": "7"}),
    ) == both_ways((1, 2))
    assert paired(
        "gemini",
        (RECEIVED, {"toolCall": {"functionCalls": [{"id": "7"}]}}),
        (RECEIVED, {"toolCall": {"functionCalls": [{"id": "8"}]}}),
        (SENT, {"toolResponse": {"functionResponses": [{"id": "8"}]}}),
        (SENT, {"toolResponse": {"functionResponses": []}}),
    ) == both_ways((2, 3))


def test_a_session_that_is_resumed_is_accepted_again() -> None:
    assert paired(
        "audiocodes",
        (SENT, {"type": "session.initiate"}),
        (RECEIVED, {"type": "session.accepted"}),
        (SENT, {"type": "session.resume"}),
        (RECEIVED, {"type": "session.accepted"}),
        (RECEIVED, {"type": "session.accepted"}),
    ) == both_ways((1, 2), (3, 4))


def test_partners_are_found_as_they_come() -> None:
    pairs = pairs_of("audiocodes", (SENT, {"type": "connection.validate"}))
    assert pairs.partner(1) is None
    pairs._log.apply(msgspec.structs.replace(message("connection.validated"), number=2))
    assert pairs.partner(1) == 2
    pairs._log.apply(msgspec.structs.replace(started(), number=1))
    assert pairs.partner(1) is None


def test_the_rules_of_a_protocol_that_is_not_built_in_come_with_the_session() -> None:
    messages = (message("hello", SENT), message("say"), message("ready"), message("say"), message("said"))
    for log_rules, expected in ((MINE.log, both_ways((1, 3)) | {2: 5, 4: 5}), (LogRules(), {})):
        log = log_in("./mine.py", log_rules)
        for number, event in enumerate(messages, 1):
            log.apply(msgspec.structs.replace(event, number=number))
        assert partners(Pairs(log, lambda event: b"{}")) == expected


def test_an_unknown_protocol_without_rules_is_read_like_the_built_in_ones() -> None:
    assert paired(
        "./lost.py", mark(RECEIVED, "a"), mark(SENT, "a"), play("start", "1"), play("stop", "1")
    ) == both_ways((1, 2), (3, 4))


def test_a_message_of_another_protocol_has_no_partner() -> None:
    assert paired("audiocodes", mark(RECEIVED, "a"), mark(SENT, "a")) == {}


@pytest.mark.parametrize(
    "raw", [None, b"", b"{", b"[1]", b"null", b'{"mark":5}', b'{"mark":{}}', b"\xff", b"[" * 5000]
)
def test_unreadable_messages_have_no_partner(raw: bytes | None) -> None:
    log = log_in("twilio")
    log.apply(msgspec.structs.replace(message("mark", RECEIVED), number=1))
    log.apply(msgspec.structs.replace(message("mark", SENT), number=2))
    assert partners(Pairs(log, lambda event: raw)) == {}


def test_events_of_this_program() -> None:
    user, agent = e.Party.USER, e.Party.AGENT
    log = log_of(
        tool(),
        plays(),
        e.LineChanged(at_ns=0, name="1"),
        e.RecordingChanged(at_ns=0, recording=True),
        e.MutedChanged(at_ns=0, muted=True),
        edge(user, True),
        edge(agent, False),
        edge(user, False),
        e.MutedChanged(at_ns=0, muted=False),
        e.RecordingChanged(at_ns=0, recording=False),
        e.LineChanged(at_ns=0, name="1", finished=True),
        played("r", 0, 1),
        tool(finished=True),
        e.NoticeRaised(at_ns=0, text="x"),
    )
    expected = both_ways((1, 13), (2, 12), (3, 11), (4, 10), (5, 9), (6, 8))
    assert partners(Pairs(log, lambda event: None)) == expected


def test_an_error_leads_to_what_it_is_about() -> None:
    about = msgspec.structs.replace(error(), about=1)
    finding = e.FindingRaised(at_ns=0, rule="r", text="t", about=2)
    log = log_of(message(), about, finding, error(), msgspec.structs.replace(error(), about=99))
    assert partners(Pairs(log, lambda event: None)) == {2: 1, 3: 2}


def test_a_number_that_is_not_there_has_no_partner() -> None:
    assert Pairs(log_of(message()), lambda event: None).partner(5) is None


@pytest.mark.parametrize(
    ("protocol", "example", "least"),
    [("audiocodes", "audiocodes", 10), ("twilio", "twilio", 4), ("openai", "openai-realtime", 20)],
)
def test_recorded_calls(protocol: str, example: str, least: int) -> None:
    frames = [json.loads(line) for line in (EXAMPLES / f"{example}.jsonl").read_text().splitlines()]
    pairs = pairs_of(
        protocol, *((SENT if frame["dir"] == "c2s" else RECEIVED, frame["message"]) for frame in frames)
    )
    found = partners(pairs)
    mutual = [number for number, partner in found.items() if found.get(partner) == number]
    assert len(mutual) >= least
    assert not any(number == partner for number, partner in found.items())


names = st.sampled_from("abc")


@given(st.lists(st.tuples(st.sampled_from([SENT, RECEIVED]), names), max_size=30), st.data())
def test_partners_are_mutual_whenever_they_are_asked_for(
    marks: list[tuple[e.Direction, str]], data: st.DataObject
) -> None:
    at_once = pairs_of("twilio", *(mark(direction, name) for direction, name in marks))
    found = partners(at_once)
    assert all(found[partner] == number for number, partner in found.items())
    raws = [json.dumps(mark(direction, name)[1]).encode() for direction, name in marks]
    log = log_in("twilio")
    asked = Pairs(log, lambda event: raws[event.number - 1])
    for number, (direction, _) in enumerate(marks, 1):
        log.apply(msgspec.structs.replace(message("mark", direction), number=number))
        if data.draw(st.booleans()):
            asked.partner(number)
    assert partners(asked) == found
