"""Tests full-duplex conversations in memory: the agent's track against the user's, to the sample."""

from __future__ import annotations

import base64
import json
from itertools import pairwise

import numpy as np
import pytest

from tests.agent.calls import Call, line_named, prompt, spoken
from tests.protocols.shown import body
from tui.agent.settings import AgentSettings, Fault
from tui.assets import prompts
from tui.protocols.base import TelephonyEventType as Type
from tui.protocols.openai_live import OPENAI_LIVE, LiveAgent

RATE = 24_000
_PARTS_MS = 10
_ACCURACY_MS = 30
"""Accuracy of the agent's speech detector at the beginning of a line, in ms."""
TOOLS = json.dumps(
    [{"type": "function", "name": "opening_hours", "parameters": {"type": "object", "properties": {}}}]
)


def live_call(settings: AgentSettings | None = None, **options: str) -> Call:
    """Returns a call in which the greeting was heard some time ago."""
    call = Call(settings, protocol=OPENAI_LIVE, options=options)
    call.wait(2_000)
    begin_track(call)
    return call


def begin_track(call: Call) -> None:
    """Starts collecting the agent's audio at the start of a chunk of its track."""
    assert isinstance(call.agent, LiveAgent)
    call.wait(-call.agent.heard_ms % 100)
    call.received.clear()


def now_ms(call: Call) -> float:
    """Returns the length of the track so far."""
    return sum(frame.audio_ms for frame in call.received)


def track(call: Call) -> bytes:
    """Returns the agent's track since the greeting, in whole chunks."""
    deltas = [frame for frame in call.received if frame.kind == "session.output_audio.delta"]
    return b"".join(base64.b64decode(body(frame)["delta"]) for frame in deltas)


def sounds_ms(pcm: bytes) -> list[tuple[int, int]]:
    """Returns the start and end of each sound on a track; pauses of less than 300 ms are part of a sound."""
    samples = np.frombuffer(pcm, "<i2")
    parts = np.abs(samples[: len(samples) // 240 * 240].reshape(-1, 240)).max(axis=1) > 100
    loud = np.flatnonzero(parts)
    if not len(loud):
        return []
    breaks = np.flatnonzero(np.diff(loud) > 30)
    begins, ends = [loud[0], *loud[breaks + 1]], [*loud[breaks], loud[-1]]
    return [(int(a) * _PARTS_MS, int(b + 1) * _PARTS_MS) for a, b in zip(begins, ends, strict=True)]


def onset_ms(name: str) -> int:
    return sounds_ms(spoken(name, RATE))[0][0]


def test_greets_unasked_and_its_words_follow_its_voice() -> None:
    call = Call(protocol=OPENAI_LIVE, greeted=False)
    call.wait(8_000)
    assert call.texts == [prompts()["greeting"].text]
    assert prompt("greeting", rate=RATE) in track(call)
    partial = [event.text for event in call.of(Type.AGENT_TEXT) if not event.final]
    assert len(partial) > 5
    assert all(after.startswith(before) for before, after in pairwise(partial))


@pytest.mark.parametrize("media", ["audio/pcm;rate=16000", "audio/pcmu", "audio/pcma"])
def test_understands_and_answers_in_every_format(media: str) -> None:
    call = Call(protocol=OPENAI_LIVE, offer=[media])
    call.wait(1_000)
    call.say("number")
    call.wait_for_reply()
    call.wait(3_000)
    assert call.recognised == [line_named("number").text]
    assert call.texts[-1] == prompts()["order"].text
    assert isinstance(call.agent, LiveAgent)
    heard_ms = sum(frame.audio_ms for frame in call.received)
    assert heard_ms == call.agent.heard_ms // 100 * 100


def test_speaks_on_while_the_user_begins_and_then_gives_way() -> None:
    call = live_call(AgentSettings(yield_ms=600))
    call.say("services")
    call.wait(1_500)
    call.wait(-call.agent.heard_ms % 100)  # type: ignore[attr-defined]
    began_ms = now_ms(call)
    call.say("interrupt")
    spoke_until_ms = sounds_ms(track(call))[0][1]
    assert spoke_until_ms - (began_ms + onset_ms("interrupt")) == pytest.approx(600, abs=_ACCURACY_MS)
    assert call.count(Type.CLEAR) == 0


def test_gives_way_as_soon_as_it_notices() -> None:
    call = live_call()
    call.say("services")
    call.wait(1_500)
    call.wait(-call.agent.heard_ms % 100)  # type: ignore[attr-defined]
    began_ms = now_ms(call)
    call.say("interrupt")
    assert sounds_ms(track(call))[0][1] < began_ms + onset_ms("interrupt") + 400


def test_utters_a_word_while_the_user_speaks_and_answers_in_the_end() -> None:
    call = live_call(AgentSettings(backchannel_ms=1_500))
    call.say("lamp")
    call.wait(3_000)
    (word_began, word_ended), (answer_began, _), *_ = sounds_ms(track(call))
    assert word_began - onset_ms("lamp") == pytest.approx(1_500, abs=_ACCURACY_MS)
    assert 300 < word_ended - word_began < 450
    assert answer_began > sounds_ms(spoken("lamp", RATE))[-1][1]


def test_a_short_turn_has_no_backchannel() -> None:
    call = live_call(AgentSettings(backchannel_ms=1_500))
    call.say("yes")
    call.wait(4_000)
    assert len(sounds_ms(track(call))) == 1


def test_talks_over_the_user() -> None:
    call = live_call(AgentSettings(talk_over_ms=1_000))
    call.say("lamp")
    assert sounds_ms(track(call))[0][0] - onset_ms("lamp") == pytest.approx(1_000, abs=_ACCURACY_MS)


def test_the_seed_decides_in_which_turns() -> None:
    def backchannels(seed: int) -> list[bool]:
        call = live_call(AgentSettings(backchannel_ms=700, overlap_chance=0.5, seed=seed))
        found = []
        for _ in range(4):
            begin_track(call)
            call.say("hold")
            # The end of the previous answer may be at the start of the track.
            found.append(any(500 < start_ms < 1_500 for start_ms, _ in sounds_ms(track(call))))
        return found

    first = backchannels(3)
    assert set(first) == {True, False}
    assert backchannels(3) == first


def test_a_planted_bug_talks_over_at_once() -> None:
    call = live_call(AgentSettings(fault=Fault.TALKS_OVER))
    call.say("lamp")
    assert sounds_ms(track(call))[0][0] < onset_ms("lamp") + 500


def test_time_stands_still_without_audio_and_that_is_noted() -> None:
    call = live_call()
    call.say("number")
    call.wait(1_000)
    heard_ms = len(track(call))
    call._pass(900)
    assert call.problems == []
    call._pass(60_000)
    assert [rule for rule, _ in call.problems] == ["finding audio-stopped"]
    assert len(track(call)) == heard_ms
    call.wait(500)  # it continues where it stopped
    assert len(track(call)) == heard_ms + 2 * RATE // 2
    call._pass(2_000)
    assert len(call.problems) == 2


def test_a_client_whose_audio_never_begins_is_noted() -> None:
    call = Call(protocol=OPENAI_LIVE, greeted=False)
    call._pass(2_000)
    assert [rule for rule, _ in call.problems] == ["finding audio-stopped"]


@pytest.mark.parametrize("delegation", ["responses", "client"])
def test_a_tool_answers(delegation: str) -> None:
    call = live_call(delegation=delegation, tools=TOOLS)
    call.say("hours")
    (called,) = call.of(Type.TOOL_CALL)
    assert called.text == "opening_hours"
    output = {"type": "function_call_output", "call_id": called.stream_id, "output": "nine to six"}
    call.send(call.caller.relay({"type": "conversation.item.create", "item": output}))  # type: ignore[attr-defined]
    call.wait(8_000)
    assert call.texts[-1] == f"{prompts()['hours'].text} nine to six"


def test_it_leaves_when_the_goodbye_was_heard() -> None:
    call = live_call()
    call.say("goodbye")
    call.wait(4_000)
    assert call.conversation.over
    assert call.of(Type.HANG_UP)[0].reason == "the agent hung up"


def test_the_callers_end_is_confirmed() -> None:
    call = live_call()
    call.send(call.caller.hang_up())
    assert call.conversation.over
    assert call.caller.goodbye_answered  # type: ignore[attr-defined]


def test_shutting_down_is_a_lost_connection() -> None:
    call = live_call()
    call.deliver(call.conversation.end())
    (error,) = call.of(Type.AGENT_ERROR)
    assert error.code == "connection_lost"
