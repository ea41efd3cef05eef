"""What ``session.json`` says, and the names of the files beside it."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from tui import __version__
from tui.models.events import Instant
from tui.models.target import Target
from tui.models.turns.metrics import SessionMetrics
from tui.text.json_text import json_of

SCHEMA = 1
RECORD_FILE = "session.json"
EVENTS_FILE = "events.jsonl"
MESSAGES_FILE = "messages.bin"
AUDIO_FILE = "audio.wav"

HIDDEN = "…"


class SavingError(Exception):
    """A session cannot be saved; the text is one sentence for the user."""


class SavedSessionError(Exception):
    """A saved session cannot be read, deleted or listed; the text is one sentence for the user."""


class Outcome(StrEnum):
    """How a saved session ended."""

    RUNNING = "running"
    """In ``session.json``: it has not ended, or its end was never written (see `CUT_OFF`)."""
    ENDED = "ended"
    ERROR = "error"
    CUT_OFF = "cut off"
    """Never written: what reading makes of "running" when nobody writes there any more."""


class Devices(msgspec.Struct, omit_defaults=True):
    """What the session captured from and played to."""

    capture: str = ""
    playback: str = ""
    latency_ms: float = 0.0
    """What the playback device says it holds."""


class Formats(msgspec.Struct, omit_defaults=True):
    """What was agreed on the wire, as `tui.audio.formats.AudioFormat` prints itself."""

    user: str = ""
    agent: str = ""
    """Of the first reply."""


class SessionRecord(msgspec.Struct, kw_only=True):
    """``session.json``. Instants ending in ``_ns`` are on the one monotonic clock of the events."""

    schema: int = SCHEMA
    program: str = f"opusagent-tui {__version__}"
    session_id: str = ""
    title: str = ""
    target: dict[str, Any] = {}
    """The settings of the call, secrets replaced by an ellipsis."""
    protocol: str = ""
    started_utc: str = ""
    started_ns: Instant | None = None
    """The instant of ``started_utc``, which is that of the first event."""
    ended_utc: str | None = None
    outcome: str = Outcome.RUNNING
    """One of `Outcome`, or what a newer version writes."""
    reason: str = ""
    devices: Devices = msgspec.field(default_factory=Devices)
    formats: Formats = msgspec.field(default_factory=Formats)
    audio_rate: int | None = None
    """Of both tracks of ``audio.wav``; None without audio."""
    audio_starts_ns: Instant | None = None
    """The instant of the first sample of both tracks; left: the user as sent, right: the agent as heard."""
    metrics: SessionMetrics | None = None
    """Figures of the whole session, written at its end; None if saving ended before it."""
    unsaved: int = 0
    """Events, messages and blocks of audio that the disk was too slow to take."""
    problem: str = ""
    """Why saving ended before the session did."""


def target_without_secrets(target: Target) -> dict[str, Any]:
    """The settings of a call as they may be kept: no token, no header values, no credentials in the URL."""
    kept: dict[str, Any] = msgspec.to_builtins(target)
    kept["url"] = target.safe_url
    kept["token"] = HIDDEN if target.token else ""
    kept["headers"] = dict.fromkeys(target.headers, HIDDEN)
    for how_to_save in ("save", "audio", "redact"):
        kept.pop(how_to_save)
    return kept


def encoded(record: SessionRecord) -> bytes:
    """The content of ``session.json``, laid out to be read."""
    return msgspec.json.format(json_of(record), indent=2) + b"\n"
