"""Reads as much of a saved session as possible, and lists the problems. Does not load numpy."""

from __future__ import annotations

import contextlib
import fcntl
import os
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import msgspec

from tui.models import events as e
from tui.models.raw_message import read_raw_message
from tui.saving.folders import is_session, open_regular
from tui.saving.record import (
    AUDIO_FILE,
    EVENTS_FILE,
    MESSAGES_FILE,
    RECORD_FILE,
    SCHEMA,
    SESSION_FILES,
    Outcome,
    SavedSessionError,
    SessionRecord,
)
from tui.saving.saved_audio import SavedAudio
from tui.text.redaction import safe_url
from tui.text.visible import one_line

_MAX_RECORD_BYTES = 16 * 1024 * 1024
_MAX_LINE_BYTES = 64 * 1024 * 1024
_MAX_SKIPPED_BYTES = 256 * 1024 * 1024
_MAX_AUDIO_AFTER_EVENTS_S = 120
"""Limit for reading the tracks past the last event. If events are damaged, the session may have ended later."""
_MAX_PROBLEMS = 20
_TAIL_BYTES = 256 * 1024

_events: msgspec.json.Decoder[e.SessionEvent] = msgspec.json.Decoder(e.SessionEvent)


class SavedSession:
    """A session on disk, opened by `open_session`. Not thread-safe. Call `close`, or use ``with``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problems: list[str] = []
        """Sentences about parts that could not be read; the list grows while events are read."""
        self.running = is_running(folder)
        """Whether the session is running and being saved."""
        self._held = _hold(folder)
        self.record = self._read_record()
        self.audio = self._open_audio()
        self._messages = self._open(MESSAGES_FILE)

    @property
    def outcome(self) -> str:
        """The outcome of the session: a value of `Outcome`."""
        return outcome_of(self.record, running=self.running)

    @property
    def messages_path(self) -> Path:
        """Path of the file of raw messages, in which events have offsets."""
        return self.folder / MESSAGES_FILE

    @property
    def last_ns(self) -> int | None:
        """Time of the last readable event; None if there is none.

        Only the end of the event file is read.
        """
        descriptor = self._open(EVENTS_FILE, "the events are missing")
        if descriptor is None:
            return None
        with os.fdopen(descriptor, "rb") as file:
            file.seek(-min(file.seek(0, os.SEEK_END), _TAIL_BYTES), os.SEEK_END)
            for line in reversed(file.read(_TAIL_BYTES).splitlines()):
                try:
                    return _events.decode(line).at_ns
                except (ValueError, RecursionError):
                    continue
        return None

    def written_events(self) -> Iterator[e.SessionEvent]:
        """Yields every event on disk, in order. Reads each event when it is requested."""
        descriptor = self._open(EVENTS_FILE, "the events are missing")
        if descriptor is None:
            return
        expected = 1
        with os.fdopen(descriptor, "rb") as file:
            for line_number, line in enumerate(_lines(file, self._report), 1):
                event = self._decode(line_number, line)
                if event is None:
                    continue
                if event.number > expected:
                    missing = f"{expected} to {event.number - 1}" if event.number - 1 > expected else expected
                    self._report(f"{EVENTS_FILE}: events {missing} are missing.")
                expected = event.number + 1
                yield event

    def events(self) -> Iterator[e.SessionEvent]:
        """Yields every event on disk, in order.

        If the session was cut off, an error event follows the last one.
        """
        status, last = e.Status.IDLE, None
        for event in self.written_events():
            last = event
            if isinstance(event, e.StatusChanged):
                status = event.new
            elif isinstance(event, e.SessionStarted):
                status = e.Status.IDLE
            yield event
        if last is not None and not self.running and status not in (e.Status.ENDED, e.Status.ERROR):
            yield from _end_of_what_was_cut_off(last, status, self.record.problem)

    def raw_message(self, event: e.MessageLogged) -> bytes | None:
        """Returns the message as it was saved; None if it was not saved or cannot be read."""
        return read_raw_message(self._messages, event)

    def close(self) -> None:
        """Closes the files. The session then no longer counts as in use."""
        if self._held is not None:
            os.close(self._held)
            self._held = None
        if self._messages is not None:
            os.close(self._messages)
            self._messages = None
        if self.audio:
            self.audio.close()
            self.audio = None

    def __enter__(self) -> SavedSession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read_record(self) -> SessionRecord:
        try:
            return self._decode_record(read_record_file(self.folder))
        except FileNotFoundError:
            self._report(f"{RECORD_FILE} is missing; its content was reconstructed from the events.")
        except (OSError, ValueError, RecursionError) as error:
            self._report(f"{RECORD_FILE} cannot be read: {_reason(error)}.")
        return self._record_from_events()

    def _decode_record(self, content: bytes) -> SessionRecord:
        schema = schema_of(content)
        if schema > SCHEMA:
            self._report(
                f"The session was saved by a newer version (schema {schema}, this program reads {SCHEMA}): "
                "unknown parts are left out."
            )
        return msgspec.json.decode(content, type=SessionRecord)

    def _record_from_events(self) -> SessionRecord:
        record = SessionRecord()
        named = len(self.problems)
        for event in self.written_events():
            if isinstance(event, e.SessionStarted):
                record = SessionRecord(
                    program="",
                    session_id=event.session_id,
                    title=event.title,
                    target={"url": safe_url(event.target)},
                    protocol=event.protocol,
                    started_utc=event.started_utc,
                    started_ns=event.at_ns,
                    audio_starts_ns=event.at_ns,
                )
                break
        del self.problems[named:]  # these problems are reported again when the events are read
        return record

    def _open_audio(self) -> SavedAudio | None:
        record = self.record
        if record.audio_rate is None and not (self.folder / AUDIO_FILE).exists():
            return None
        descriptor = self._open(AUDIO_FILE, "the tracks are missing")
        if descriptor is None:
            return None
        starts_ns = record.started_ns if record.audio_starts_ns is None else record.audio_starts_ns
        file = os.fdopen(descriptor, "rb")
        try:
            audio = SavedAudio(file, self.folder / AUDIO_FILE, starts_ns or 0)
        except (OSError, EOFError, wave.Error) as error:
            file.close()
            self._report(f"{AUDIO_FILE} cannot be read: {_reason(error) or 'it ends too soon'}.")
            return None
        if audio.frames < audio.promised_frames:
            there_s, promised_s = audio.frames / audio.rate, audio.promised_frames / audio.rate
            self._report(
                f"{AUDIO_FILE} is truncated: only {there_s:.1f} s of {promised_s:.1f} s are present."
            )
        self._limit(audio)
        return audio

    def _limit(self, audio: SavedAudio) -> None:
        """Limits the tracks to a little more than the duration of the events.

        A sparse file may claim to last for days.
        """
        last_ns = self.last_ns
        end_ns = audio.starts_ns if last_ns is None else max(last_ns, audio.starts_ns)
        most_frames = audio.frame_at(end_ns) + _MAX_AUDIO_AFTER_EVENTS_S * audio.rate
        if audio.frames > most_frames:
            beyond_s = (audio.frames - most_frames) / audio.rate + _MAX_AUDIO_AFTER_EVENTS_S
            self._report(
                f"{AUDIO_FILE} continues for {beyond_s / 3600:.1f} h after the last event; "
                f"only the first {_MAX_AUDIO_AFTER_EVENTS_S // 60} minutes of that are read."
            )
            audio.frames = most_frames

    def _open(self, name: str, missing: str = "") -> int | None:
        """Opens a file of the session for reading; adds to `problems` and returns None if that fails."""
        try:
            return open_regular(self.folder / name)
        except FileNotFoundError:
            self._report(f"{name} was not found: {missing or 'raw messages cannot be shown'}.")
        except OSError as error:
            self._report(f"{name} cannot be read: {_reason(error)}.")
        return None

    def _decode(self, line_number: int, line: bytes) -> e.SessionEvent | None:
        try:
            event = _events.decode(line)
        except (ValueError, RecursionError) as error:
            cut = not line.endswith(b"\n")
            what = "is truncated" if cut else f"is not an event: {one_line(_reason(error), 120)}"
            self._report(f"{EVENTS_FILE} line {line_number} {what}.")
            return None
        return event

    def _report(self, problem: str) -> None:
        if problem in self.problems:
            return
        if len(self.problems) < _MAX_PROBLEMS:
            self.problems.append(problem)
        elif len(self.problems) == _MAX_PROBLEMS:
            self.problems.append("Further parts could not be read.")


def open_session(path: str | Path) -> SavedSession:
    """Opens a session, given its folder or one of its files. Raises `SavedSessionError`."""
    path = Path(path)
    folder = path.parent if path.name in SESSION_FILES else path
    if not folder.exists():
        raise SavedSessionError(f"{path} does not exist.")
    if not folder.is_dir() or not is_session(folder):
        raise SavedSessionError(
            f"{path} is not a saved session: it has neither {RECORD_FILE} nor {EVENTS_FILE}."
        )
    if not os.access(folder, os.R_OK | os.X_OK):
        raise SavedSessionError(f"{folder} is not readable.")
    return SavedSession(folder)


def read_record_file(folder: Path) -> bytes:
    """Returns the content of ``session.json``. Raises `OSError`."""
    with os.fdopen(open_regular(folder / RECORD_FILE), "rb") as file:
        return file.read(_MAX_RECORD_BYTES)


def schema_of(content: bytes) -> int:
    """Returns the schema that a ``session.json`` declares; 0 if it declares none. Raises `ValueError`."""

    class Declared(msgspec.Struct):
        schema: int = 0

    return msgspec.json.decode(content, type=Declared).schema


def outcome_of(record: SessionRecord, *, running: bool) -> str:
    """Returns the outcome of a session, which is "running" only if ``running`` is true."""
    return Outcome.CUT_OFF if record.outcome == Outcome.RUNNING and not running else record.outcome


def is_running(folder: Path) -> bool:
    """Returns whether the session in that folder is now being written."""
    return _is_locked(folder / EVENTS_FILE, fcntl.LOCK_SH)


def in_use(folder: Path) -> bool:
    """Returns whether the session in that folder is now being written, or read by a `SavedSession`."""
    return _is_locked(folder / EVENTS_FILE, fcntl.LOCK_EX)


def _hold(folder: Path) -> int | None:
    """Marks the session as being read until the returned descriptor is closed.

    Returns None if the events cannot be opened.
    """
    try:
        descriptor = open_regular(folder / EVENTS_FILE)
    except OSError:
        return None
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return descriptor


def _is_locked(path: Path, against: int) -> bool:
    """Returns whether a lock of kind ``against`` would conflict with the lock of another process."""
    try:
        descriptor = open_regular(path)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, against | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


def _lines(file: IO[bytes], report: Callable[[str], None]) -> Iterator[bytes]:
    """Yields lines with their line endings; truncates a line longer than `_MAX_LINE_BYTES`.

    Reports a line of hundreds of megabytes, and stops there.
    """
    while line := file.readline(_MAX_LINE_BYTES):
        rest, skipped_bytes = line, 0
        while len(rest) == _MAX_LINE_BYTES and not rest.endswith(b"\n"):
            if skipped_bytes >= _MAX_SKIPPED_BYTES:
                report(f"{EVENTS_FILE} has a line of hundreds of megabytes; nothing after it is read.")
                return
            rest = file.readline(_MAX_LINE_BYTES)
            skipped_bytes += len(rest)
        yield line


def _end_of_what_was_cut_off(
    last: e.SessionEvent, status: e.Status, problem: str
) -> Iterator[e.SessionEvent]:
    why = f": {problem}" if problem else ""
    message = f"The session was cut off here: its end was not saved{why}."
    yield e.ErrorRaised(
        number=last.number + 1,
        at_ns=last.at_ns,
        source="saved session",
        code="cut-off",
        message=message,
        fatal=True,
    )
    yield e.StatusChanged(
        number=last.number + 2, at_ns=last.at_ns, old=status, new=e.Status.ERROR, reason=message
    )


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
