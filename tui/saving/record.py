"""The content of ``session.json``, and the names of a session's files."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from tui import __version__
from tui.audio.calibration import Timing
from tui.models.events import Instant
from tui.models.target import Target
from tui.models.turns.metrics import SessionMetrics
from tui.text.json_text import json_of
from tui.text.redaction import HIDDEN, is_secret_name

SCHEMA = 1
RECORD_FILE = "session.json"
EVENTS_FILE = "events.jsonl"
MESSAGES_FILE = "messages.bin"
AUDIO_FILE = "audio.wav"
MARKS_FILE = "marks.jsonl"
RECORD_PART_FILE = "session.json.part"
"""Name of a new ``session.json`` while it is being written."""
SESSION_FILES = (MESSAGES_FILE, AUDIO_FILE, MARKS_FILE, RECORD_PART_FILE, EVENTS_FILE, RECORD_FILE)
"""Every file that this program writes into a session's folder, in order of deletion.

The file that identifies the creator of the folder is deleted last, so that an interrupted deletion can be
repeated.
"""
PROGRAM = "opusagent-tui"
UNSAVED = "unsaved"
"""Code of the error after which nothing more is saved for a session."""


class SavingError(Exception):
    """A session cannot be saved; the message is one sentence for the user."""


class SavedSessionError(Exception):
    """A saved session cannot be read, deleted or listed; the message is one sentence for the user."""


class Outcome(StrEnum):
    """Outcome of a saved session."""

    RUNNING = "running"
    """Value in ``session.json`` while the session is running, or if its end was never written (see `CUT_OFF`)."""
    ENDED = "ended"
    ERROR = "error"
    CUT_OFF = "cut off"
    """Never written. Replaces "running" when a session is read that no process is saving."""


class Devices(msgspec.Struct, omit_defaults=True):
    """Devices of the session."""

    capture: str = ""
    playback: str = ""
    latency_ms: float = 0.0
    """Latency that the playback device reports."""
    timing: Timing | None = None
    """Timing accuracy of these devices; None if no devices are used."""


class Formats(msgspec.Struct, omit_defaults=True):
    """Audio formats on the wire, as `tui.audio.formats.AudioFormat` prints them."""

    user: str = ""
    agent: str = ""
    """Format of the first reply."""


class SessionRecord(msgspec.Struct, kw_only=True):
    """The content of ``session.json``.

    Times whose names end in ``_ns`` use the same monotonic clock as the events.
    """

    schema: int = SCHEMA
    program: str = f"{PROGRAM} {__version__}"
    session_id: str = ""
    title: str = ""
    target: dict[str, Any] = {}
    """Settings of the call, with secrets replaced by an ellipsis."""
    protocol: str = ""
    started_utc: str = ""
    started_ns: Instant | None = None
    """Time of the first event on the monotonic clock; the same moment as ``started_utc``."""
    ended_utc: str | None = None
    outcome: str = Outcome.RUNNING
    """One of `Outcome`, or a value from a newer version."""
    reason: str = ""
    devices: Devices = msgspec.field(default_factory=Devices)
    formats: Formats = msgspec.field(default_factory=Formats)
    audio_rate: int | None = None
    """Sample rate of both tracks of ``audio.wav``; None without audio."""
    audio_starts_ns: Instant | None = None
    """Time of the first sample of both tracks (left: the user as sent; right: the agent as played)."""
    metrics: SessionMetrics | None = None
    """Figures of the whole session, written at its end; None if saving ended earlier."""
    unsaved: int = 0
    """Number of events, messages and audio blocks that were lost because the disk was too slow."""
    problem: str = ""
    """Reason why saving ended before the session did; empty if it did not."""


def target_without_secrets(target: Target) -> dict[str, Any]:
    """Returns the settings of a call without secrets (token, header values, credentials, secret values)."""
    kept: dict[str, Any] = msgspec.to_builtins(target)
    kept["url"] = target.safe_url
    kept["token"] = HIDDEN if target.token else ""
    kept["headers"] = dict.fromkeys(target.headers, HIDDEN)
    kept["subprotocols"] = [HIDDEN if "." in name else name for name in target.subprotocols]
    for name in ("params", "options"):
        kept[name] = {key: HIDDEN if is_secret_name(key) else each for key, each in kept[name].items()}
    for how_to_save in ("save", "audio", "redact"):
        kept.pop(how_to_save)
    return kept


def encoded(record: SessionRecord) -> bytes:
    """Returns ``session.json`` as indented JSON."""
    return msgspec.json.format(json_of(record), indent=2) + b"\n"
