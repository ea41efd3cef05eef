"""Builds events for tests, which pass only the values that matter. Times are in milliseconds."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from tui.audio.calibration import Calibration, DevicesInUse, Spread, Timing
from tui.models import events as e

MS = 1_000_000
USER, AGENT = e.Party.USER, e.Party.AGENT


def at(ms: float) -> int:
    """Returns a time in nanoseconds."""
    return int(ms * MS)


def numbered(events: Iterable[e.SessionEvent]) -> list[e.SessionEvent]:
    """Returns the events, numbered as by `Journal.emit`."""
    return [msgspec.structs.replace(event, number=number) for number, event in enumerate(events, 1)]


def started(at_ms: float = 0) -> e.SessionStarted:
    return e.SessionStarted(
        at_ns=at(at_ms),
        session_id="s-1",
        started_utc="2026-01-15T09:00:00.000Z",
        target="ws://127.0.0.1:9/audiocodes",
        protocol="audiocodes",
        title="demo",
    )


def status(old: e.Status, new: e.Status, at_ms: float = 0, reason: str = "") -> e.StatusChanged:
    return e.StatusChanged(at_ns=at(at_ms), old=old, new=new, reason=reason)


def active(at_ms: float = 0) -> e.StatusChanged:
    return status(e.Status.INITIATING, e.Status.ACTIVE, at_ms)


def ended(at_ms: float) -> e.StatusChanged:
    return status(e.Status.ENDING, e.Status.ENDED, at_ms)


def message(
    kind: str = "session.accepted",
    direction: e.Direction = e.Direction.RECEIVED,
    at_ms: float = 0,
    audio_ms: float = 0,
    size_bytes: int = 10,
    known: bool = True,
) -> e.MessageLogged:
    return e.MessageLogged(
        at_ns=at(at_ms),
        direction=direction,
        kind=kind,
        summary=f"summary of {kind}",
        size_bytes=size_bytes,
        audio_ms=audio_ms,
        known=known,
    )


def chunk(direction: e.Direction = e.Direction.RECEIVED, at_ms: float = 0) -> e.MessageLogged:
    kind = "playStream.chunk" if direction is e.Direction.RECEIVED else "userStream.chunk"
    return message(kind, direction, at_ms, audio_ms=20, size_bytes=900)


def delta(text: str, at_ms: float = 0) -> e.MessageLogged:
    return msgspec.structs.replace(message("text.delta", at_ms=at_ms, size_bytes=len(text)), summary=text)


def error(message: str = "it broke", *, fatal: bool = False, source: str = "agent") -> e.ErrorRaised:
    return e.ErrorRaised(at_ns=0, source=source, code="broken", message=message, fatal=fatal)


def said(
    speaker: e.Party, text: str, *, final: bool = True, item: str = "", at_ms: float = 0
) -> e.Transcribed:
    return e.Transcribed(at_ns=at(at_ms), speaker=speaker, text=text, final=final, item=item)


def typed(text: str, at_ms: float = 0) -> e.Transcribed:
    return e.Transcribed(at_ns=at(at_ms), speaker=USER, text=text, final=True, typed=True)


def finding() -> e.FindingRaised:
    return e.FindingRaised(at_ns=0, rule="odd", text="this is odd")


def loss(kind: e.Loss = e.Loss.UNDERRUN, count: int = 2, reply: str = "", at_ms: float = 0) -> e.LossCounted:
    return e.LossCounted(at_ns=at(at_ms), loss=kind, count=count, reply=reply)


def tool(
    call: str = "c", at_ms: float = 0, *, name: str = "find", finished: bool = False, withdrawn: bool = False
) -> e.ToolChanged:
    return e.ToolChanged(at_ns=at(at_ms), call=call, name=name, finished=finished, withdrawn=withdrawn)


def user_speaks(
    at_ms: float = 0, phase: e.SpeechPhase = e.SpeechPhase.STARTED, item: str = ""
) -> e.UserSpeech:
    """Returns the agent's report of user speech."""
    return e.UserSpeech(at_ns=at(at_ms), phase=phase, item=item)


def edge(
    speaker: e.Party,
    started: bool = True,
    at_ms: float = 0,
    captured_ms: float | None = None,
    sent_ms: float | None = None,
    method: str = "silero",
) -> e.SpeechEdge:
    """Returns an edge of audible speech."""
    return e.SpeechEdge(
        at_ns=at(at_ms),
        speaker=speaker,
        started=started,
        method=method,
        captured_ns=None if captured_ms is None else at(captured_ms),
        sent_ns=None if sent_ms is None else at(sent_ms),
    )


def spoken(began_ms: float, ended_ms: float) -> tuple[e.SpeechEdge, e.SpeechEdge]:
    """Returns the edges of user speech whose last block was captured 30 ms later and sent 1 ms after that."""
    return (
        edge(USER, True, began_ms),
        edge(USER, False, ended_ms, captured_ms=ended_ms + 30, sent_ms=ended_ms + 31),
    )


def heard(began_ms: float, ended_ms: float) -> tuple[e.SpeechEdge, e.SpeechEdge]:
    """Returns the edges of agent speech."""
    return edge(AGENT, True, began_ms), edge(AGENT, False, ended_ms)


def begins(reply: str = "r", at_ms: float = 0) -> e.ReplyStarted:
    return e.ReplyStarted(at_ns=at(at_ms), reply=reply, format="pcm16 16 kHz")


def ends(reply: str = "r", at_ms: float = 0, received_ms: float = 20) -> e.ReplyEnded:
    return e.ReplyEnded(at_ns=at(at_ms), reply=reply, received_ms=received_ms)


def plays(
    reply: str = "r", at_ms: float = 0, arrived_ms: float | None = None, handed_ms: float | None = None
) -> e.PlaybackStarted:
    return e.PlaybackStarted(
        at_ns=at(at_ms),
        reply=reply,
        arrived_ns=None if arrived_ms is None else at(arrived_ms),
        handed_ns=None if handed_ms is None else at(handed_ms),
    )


def played(reply: str, at_ms: float, heard_ms: float, unheard_ms: float = 0) -> e.PlaybackEnded:
    return e.PlaybackEnded(at_ns=at(at_ms), reply=reply, heard_ms=heard_ms, unheard_ms=unheard_ms)


def speaks(reply: str, at_ms: float) -> tuple[e.SessionEvent, ...]:
    """Returns the events of a reply that is audible from its first sample."""
    return plays(reply, at_ms), edge(AGENT, True, at_ms)


def answered(reply: str, at_ms: float, heard_ms: float = 1000) -> tuple[e.SessionEvent, ...]:
    """Returns the events of a reply that plays from `at_ms`, with 15 ms of leading and 10 ms of trailing silence."""
    return (
        begins(reply, at_ms - 150),
        plays(reply, at_ms, arrived_ms=at_ms - 149, handed_ms=at_ms - 60),
        *heard(at_ms + 15, at_ms + heard_ms - 10),
        played(reply, at_ms + heard_ms, heard_ms),
    )


def flushed(at_ms: float, by_agent: bool = True, silent_ms: float | None = None) -> e.Flushed:
    """Returns the flush of a barge-in, requested 2 ms before it is reported."""
    return e.Flushed(
        at_ns=at(at_ms + 2),
        reason="barge-in",
        unheard_ms=700,
        by_agent=by_agent,
        asked_ns=at(at_ms),
        silent_ns=None if silent_ms is None else at(silent_ms),
    )


CALIBRATED = Timing(
    Calibration(
        devices=DevicesInUse("mic", "speaker", 40.0, 20),
        measured=datetime(2026, 3, 1, tzinfo=UTC),
        response=Spread(-37.0, 2.5, 17),
        silence=Spread(-30.0, 4.0, 8),
        round_trip_stated_ms=70.0,
        round_trip_ms=107.0,
    ),
    "",
)
"""Timing in which the agent is heard 37 ms later than reported."""
