from __future__ import annotations

import json
from typing import Any

import pytest

from tests.protocols.shown import advice, rules, types
from tui.audio.formats import AudioFormat, Encoding
from tui.protocols.base import CallerSettings, Incoming
from tui.protocols.base import TelephonyEventType as T
from tui.protocols.telephony.plivo import PLIVO_DIALECT, PlivoCaller
from tui.protocols.telephony.protocol import ends_of


def a_caller(**settings: Any) -> PlivoCaller:
    ids = iter("sca")
    return PlivoCaller(CallerSettings(**settings), lambda: next(ids), lambda: "now")


def in_call(**settings: Any) -> PlivoCaller:
    caller = a_caller(**settings)
    caller.opened()
    return caller


def say(caller: PlivoCaller, event: str, **members: Any) -> Incoming:
    return caller.receive(json.dumps({"event": event, "streamId": "s", **members}))


def audio(content_type: str, rate: int) -> dict[str, Any]:
    return {"contentType": content_type, "sampleRate": rate, "payload": "AQIDBA=="}


def test_start_is_the_first_message() -> None:
    (start,) = a_caller(params={"a": "1", "b": "2"}).opened()
    assert start.frame == (
        '{"event":"start","sequenceNumber":1,"start":{"callId":"c","streamId":"s","accountId":"a",'
        '"tracks":["inbound"],"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000}},"extra_headers":"a=1;b=2"}'
    )


def test_audio_and_keys_are_numbered_with_integers() -> None:
    caller = in_call()
    first, second = (json.loads(sent.frame) for sent in caller.user_audio(b"\xff" * 330))
    assert (first["sequenceNumber"], second["sequenceNumber"]) == (2, 3)
    assert second["media"] | {"payload": ""} == {
        "track": "inbound",
        "chunk": 2,
        "timestamp": "20",
        "payload": "",
    }
    (key,) = caller.dtmf("5")
    assert json.loads(key.frame)["dtmf"] == {"track": "inbound", "digit": "5", "timestamp": "40"}


def test_a_reply_has_the_format_that_its_message_names() -> None:
    caller = in_call()
    incoming = say(caller, "playAudio", media=audio("audio/x-l16", 16_000))
    assert types(incoming) == [T.PLAY_STREAM_START, T.PLAY_STREAM_CHUNK]
    assert incoming.events[0].format == AudioFormat(Encoding.PCM16, 16_000)
    assert rules(incoming) == []


def test_a_played_checkpoint_is_reported_once() -> None:
    caller = in_call()
    say(caller, "checkpoint", name="c1")
    (played,) = caller.mark_reached("c1")
    assert played.frame == '{"event":"playedStream","sequenceNumber":2,"streamId":"s","name":"c1"}'
    assert caller.mark_reached("c1") == []


def test_a_flush_is_answered_and_drops_pending_checkpoints() -> None:
    caller = in_call()
    say(caller, "checkpoint", name="c1")
    incoming = say(caller, "clearAudio")
    assert [reply.frame for reply in incoming.replies] == [
        '{"event":"clearedAudio","sequenceNumber":2,"streamId":"s"}'
    ]
    assert advice(incoming) == ["marks-lost"]
    assert caller.mark_reached("c1") == []


def test_checkpoints_come_back_at_a_flush_where_the_option_asks_for_it() -> None:
    caller = in_call(options={"flushed_marks": "returned"})
    say(caller, "checkpoint", name="c1")
    assert advice(say(caller, "clearAudio")) == []
    assert [sent.kind for sent in caller.mark_reached("c1")] == ["playedStream"]


def test_a_timestamp_counts_from_the_call_or_from_1970() -> None:
    epoch = PlivoCaller(
        CallerSettings(options={"timestamp": "epoch"}), lambda: "x", lambda: "2025-11-30T00:00:00.020Z"
    )
    for caller, expected in ((in_call(), "0"), (epoch, "1764460800020")):
        caller.opened()
        (sent,) = caller.user_audio(b"\xff" * 160)
        assert json.loads(sent.frame)["media"]["timestamp"] == expected
        assert json.loads(caller.dtmf("5")[0].frame)["dtmf"]["timestamp"] in ("20", "1764460800020")


@pytest.mark.parametrize(
    ("extra_headers", "params"),
    [
        ("a=1;b=2", {"a": "1", "b": "2"}),
        ('{"a":"1"}', {"a": "1"}),
        ("{a=1", {"{a": "1"}),
        ("", {}),
    ],
)
def test_the_agent_reads_parameters_of_either_form(extra_headers: str, params: dict[str, str]) -> None:
    agent = ends_of(PLIVO_DIALECT)[1](lambda: "x", lambda: "now")
    start = json.loads(str(a_caller().opened()[0].frame)) | {"extra_headers": extra_headers}
    incoming = agent.receive(json.dumps(start))
    assert (incoming.events[-1].params, rules(incoming)) == (params, [])


def test_no_message_ends_the_call() -> None:
    assert in_call().hang_up() == []


def test_a_name_may_be_set_again_after_a_flush_dropped_it() -> None:
    caller = in_call()
    say(caller, "checkpoint", name="c1")
    say(caller, "clearAudio")
    say(caller, "checkpoint", name="c1")
    assert [len(caller.mark_reached("c1")) for _ in range(3)] == [0, 1, 0]
