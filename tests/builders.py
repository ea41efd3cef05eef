"""Events as tests want them: only what matters is said."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from tui.models import events as e

MS = 1_000_000


def numbered(events: Iterable[e.SessionEvent]) -> list[e.SessionEvent]:
    """The events as `Journal.emit` would number them."""
    return [msgspec.structs.replace(event, number=number) for number, event in enumerate(events, 1)]


def started(at_ms: float = 0) -> e.SessionStarted:
    return e.SessionStarted(
        at_ns=int(at_ms * MS),
        session_id="s-1",
        started_utc="2026-01-15T09:00:00.000Z",
        target="ws://127.0.0.1:9/audiocodes",
        protocol="audiocodes",
        title="demo",
    )


def status(old: e.Status, new: e.Status, at_ms: float = 0, reason: str = "") -> e.StatusChanged:
    return e.StatusChanged(at_ns=int(at_ms * MS), old=old, new=new, reason=reason)


def message(
    kind: str = "session.accepted",
    direction: e.Direction = e.Direction.RECEIVED,
    at_ms: float = 0,
    audio_ms: float = 0,
    size_bytes: int = 10,
    known: bool = True,
) -> e.MessageLogged:
    return e.MessageLogged(
        at_ns=int(at_ms * MS),
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


def error(message: str = "it broke", *, fatal: bool = False, source: str = "agent") -> e.ErrorRaised:
    return e.ErrorRaised(at_ns=0, source=source, code="broken", message=message, fatal=fatal)


def said(
    speaker: e.Party, text: str, *, final: bool = True, item: str = "", at_ms: float = 0
) -> e.Transcribed:
    return e.Transcribed(at_ns=int(at_ms * MS), speaker=speaker, text=text, final=final, item=item)
