"""Tests barge-ins: the effect of the agent's event on the device, and the order of the resulting events."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.audio.fake_sounddevice import device, installed
from tui.audio.formats import AudioFormat, Encoding
from tui.handlers.event_router import EventRouter
from tui.models import events as e
from tui.models.audio_manager import AudioManager
from tui.models.journal import Journal
from tui.models.session_state import SessionState
from tui.protocols.base import CallerSettings, TelephonyEvent
from tui.protocols.base import TelephonyEventType as T
from tui.protocols.registry import protocol_named
from tui.session.agent_audio import AgentAudio
from tui.session.reply_checks import ReplyChecks

PCM_16K = AudioFormat(Encoding.PCM16, 16_000)
MS = 1_000_000
BLOCK = 320
TIMES: Any = SimpleNamespace(currentTime=7.0, outputBufferDacTime=7.04)


async def test_a_clear_silences_the_device_after_what_was_heard_so_far_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sound = installed(monkeypatch, device("Headset", 1, 2))
    now_ns = 1_000 * MS
    audio = AudioManager(lambda: now_ns)
    await audio.configure(input="lines")
    events: list[e.SessionEvent] = []
    journal = Journal(SessionState(), sink=events.append, keep_raw=lambda _: -1, clock_ns=lambda: now_ns)
    caller = protocol_named("twilio").caller(CallerSettings(), lambda: "id", lambda: "now")
    router = EventRouter()
    AgentAudio(
        journal, audio, caller, lambda _: None, ReplyChecks(journal.find), ends_after_ms=0, wake=lambda: None
    ).register_with(router)

    await router.handle_platform_event(
        TelephonyEvent(type=T.PLAY_STREAM_START, stream_id="a", format=PCM_16K)
    )
    chunk = b"\1\0" * (10 * BLOCK)
    await router.handle_platform_event(
        TelephonyEvent(type=T.PLAY_STREAM_CHUNK, stream_id="a", audio=chunk, format=PCM_16K)
    )
    await audio.playback.opened()
    (stream,) = sound.streams
    for _ in range(5):
        stream.arguments["callback"](bytearray(2 * BLOCK), BLOCK, TIMES, None)
        now_ns += 20 * MS
    await router.handle_platform_event(TelephonyEvent(type=T.CLEAR, reason="barge-in"))

    assert stream.calls == ["start", "abort", "start"]
    heard = [event for event in events if not isinstance(event, e.AudioOpened | e.LossCounted)]
    assert [type(event) for event in heard] == [e.ReplyStarted, e.PlaybackStarted, e.Flushed, e.PlaybackEnded]
    flushed, ended = heard[2:]
    assert isinstance(flushed, e.Flushed)
    assert (flushed.reason, flushed.by_agent, flushed.unheard_ms) == ("barge-in", True, 140)
    assert isinstance(ended, e.PlaybackEnded)
    assert (ended.reply, ended.heard_ms, ended.unheard_ms) == ("a", 60, 140)
    await audio.close()
