"""Handles the agent's messages that are not about audio."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tui.handlers.event_router import EventRouter
from tui.models import events as e
from tui.models.journal import Journal
from tui.protocols.base import HangUpReason, TelephonyEvent
from tui.protocols.base import TelephonyEventType as T


@dataclass(eq=False)
class AgentEvents:
    """Converts telephony events to session events, and ends the call when the agent does. Runs on the session's loop.

    ``accepted`` is called when the agent accepts the call, and ``left`` when the agent hangs up or transfers
    the call.
    """

    journal: Journal
    accepted: Callable[[TelephonyEvent], object]
    left: Callable[[str, HangUpReason], object]

    def register_with(self, router: EventRouter) -> None:
        """Registers handlers for telephony events, except those about audio and the user stream."""
        handlers: dict[T, Callable[[TelephonyEvent], object]] = {
            T.SESSION_ACCEPTED: self.accepted,
            T.HANG_UP: self._hang_up,
            T.TRANSFER: self._transfer,
            T.SPEECH_STARTED: lambda event: self._user_speech(event, e.SpeechPhase.STARTED),
            T.SPEECH_STOPPED: lambda event: self._user_speech(event, e.SpeechPhase.STOPPED),
            T.SPEECH_COMMITTED: lambda event: self._user_speech(event, e.SpeechPhase.COMMITTED),
            T.SPEECH_HYPOTHESIS: lambda event: self._transcribed(e.Party.USER, event, final=False),
            T.SPEECH_RECOGNITION: lambda event: self._transcribed(e.Party.USER, event, final=True),
            T.AGENT_TEXT: lambda event: self._transcribed(e.Party.AGENT, event, final=event.final),
            T.USAGE: self._usage,
            T.LATENCY: self._latency,
        }
        for event_type, handler in handlers.items():
            router.register_telephony_handler(event_type, handler)

    def _hang_up(self, event: TelephonyEvent) -> None:
        self.left(f"the agent hung up{': ' + event.reason if event.reason else ''}", HangUpReason.AGENT)

    def _transfer(self, event: TelephonyEvent) -> None:
        self.journal.notice(f"The agent is transferring the call to {event.text}.")
        self.left(f"transferred to {event.text}", HangUpReason.TRANSFERRED)

    def _user_speech(self, event: TelephonyEvent, phase: e.SpeechPhase) -> None:
        at_ns = self.journal.clock_ns()
        self.journal.emit(e.UserSpeech(at_ns=at_ns, phase=phase, item=event.stream_id))

    def _transcribed(self, speaker: e.Party, event: TelephonyEvent, *, final: bool) -> None:
        self.journal.emit(transcribed(self.journal.clock_ns(), speaker, event, final=final))

    def _usage(self, event: TelephonyEvent) -> None:
        figures = {
            name: figure for name, value in event.params.items() if (figure := _figure(value)) is not None
        }
        self.journal.emit(e.UsageReported(at_ns=self.journal.clock_ns(), what=event.text, figures=figures))

    def _latency(self, event: TelephonyEvent) -> None:
        at_ns = self.journal.clock_ns()
        for name, value in event.params.items():
            if (figure := _figure(value)) is not None:
                self.journal.emit(e.LatencyReported(at_ns=at_ns, name=name, reported_ms=figure))


def transcribed(at_ns: int, speaker: e.Party, event: TelephonyEvent, *, final: bool) -> e.Transcribed:
    """Returns a transcript event for the text in a message from the agent."""
    return e.Transcribed(
        at_ns=at_ns,
        speaker=speaker,
        text=event.text,
        final=final,
        item=event.stream_id,
        part=event.part,
        written=event.written,
        confidence=event.confidence,
    )


def _figure(value: Any) -> float | None:
    """Returns the value as a finite float, or None.

    The agent may send integers that are too large for a float.
    """
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None
