"""AgentEvents: what the agent's messages do. The handlers that the `EventRouter` of a session holds."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tui.handlers.event_router import EventRouter
from tui.models import events as e
from tui.models.audio_manager import AudioManager
from tui.models.journal import Journal
from tui.protocols.base import TelephonyEvent
from tui.protocols.base import TelephonyEventType as T


class AgentEvents:
    """From telephony events to audio, transcript and the session's life. On the session's loop.

    ``accepted``, ``finish`` and ``interrupt`` are the session's: a call begins, a call is over (with the
    reason), playback is flushed (with the reason, and whether the agent asked for it).
    """

    def __init__(
        self,
        journal: Journal,
        audio: AudioManager,
        *,
        accepted: Callable[[TelephonyEvent], object],
        finish: Callable[[str], object],
        interrupt: Callable[[str, bool], object],
    ) -> None:
        self._journal = journal
        self._audio = audio
        self._accepted = accepted
        self._finish = finish
        self._interrupt = interrupt
        self._received_ms: dict[str, float] = {}

    def register_with(self, router: EventRouter) -> None:
        """Become the handler of every telephony event an agent can send but USER_STREAM_STARTED."""
        handlers: dict[T, Callable[[TelephonyEvent], object]] = {
            T.SESSION_ACCEPTED: self._accepted,
            T.HANG_UP: self._hang_up,
            T.TRANSFER: self._transfer,
            T.SPEECH_STARTED: lambda event: self._user_speech(e.SpeechPhase.STARTED),
            T.SPEECH_STOPPED: lambda event: self._user_speech(e.SpeechPhase.STOPPED),
            T.SPEECH_COMMITTED: lambda event: self._user_speech(e.SpeechPhase.COMMITTED),
            T.SPEECH_HYPOTHESIS: lambda event: self._transcribed(e.Party.USER, event, final=False),
            T.SPEECH_RECOGNITION: lambda event: self._transcribed(e.Party.USER, event, final=True),
            T.PLAY_STREAM_START: self._play_start,
            T.PLAY_STREAM_CHUNK: self._play_chunk,
            T.PLAY_STREAM_STOP: self._play_stop,
            T.PLAY_STREAM_DISCARDED: self._discarded,
            T.CLEAR: lambda event: self._interrupt(event.reason, True),
            T.MARK: lambda event: self._audio.playback.mark(event.text),
            T.AGENT_TEXT: lambda event: self._transcribed(e.Party.AGENT, event, final=event.final),
            T.USAGE: self._usage,
        }
        for event_type, handler in handlers.items():
            router.register_telephony_handler(event_type, handler)

    def _hang_up(self, event: TelephonyEvent) -> None:
        self._finish(f"the agent hung up{': ' + event.reason if event.reason else ''}")

    def _transfer(self, event: TelephonyEvent) -> None:
        self._journal.notice(f"The agent transfers the call to {event.text}.")
        self._finish(f"transferred to {event.text}")

    def _user_speech(self, phase: e.SpeechPhase) -> None:
        self._journal.emit(e.UserSpeech(at_ns=self._journal.clock_ns(), phase=phase))

    def _transcribed(self, speaker: e.Party, event: TelephonyEvent, *, final: bool) -> None:
        self._journal.emit(
            e.Transcribed(
                at_ns=self._journal.clock_ns(),
                speaker=speaker,
                text=event.text,
                final=final,
                item=event.stream_id if speaker is e.Party.AGENT else "",
                confidence=event.confidence,
            )
        )

    def _play_start(self, event: TelephonyEvent) -> None:
        if event.format is None:
            return
        reply = event.stream_id
        self._received_ms[reply] = 0.0
        self._journal.emit(
            e.ReplyStarted(at_ns=self._journal.clock_ns(), reply=reply, format=str(event.format))
        )
        if event.text:
            self._transcribed(e.Party.AGENT, event, final=True)
        self._audio.playback.begin(reply, event.format)

    def _play_chunk(self, event: TelephonyEvent) -> None:
        reply = event.stream_id
        received_ms = self._audio.playback.play(reply, event.audio, event.format)
        self._received_ms[reply] = self._received_ms.get(reply, 0.0) + received_ms

    def _play_stop(self, event: TelephonyEvent) -> None:
        received_ms = self._received_ms.pop(event.stream_id, None)
        if received_ms is None:
            return
        self._journal.emit(
            e.ReplyEnded(at_ns=self._journal.clock_ns(), reply=event.stream_id, received_ms=received_ms)
        )
        self._audio.playback.end(event.stream_id)

    def _discarded(self, event: TelephonyEvent) -> None:
        if event.format is not None:
            late_ms, reply = event.format.duration_ms(len(event.audio)), event.stream_id
            self._journal.lost(e.Loss.UNHEARD, late_ms, f"late, of reply {reply}", reply=reply)

    def _usage(self, event: TelephonyEvent) -> None:
        figures = {
            name: figure for name, value in event.params.items() if (figure := _figure(value)) is not None
        }
        self._journal.emit(e.UsageReported(at_ns=self._journal.clock_ns(), what=event.text, figures=figures))


def _figure(value: Any) -> float | None:
    """A number that can be shown and sent on; the far side may send integers beyond every float."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None
