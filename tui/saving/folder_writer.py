"""FolderWriter: writes the files of one session piece by piece. Not thread-safe; may block."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from pathlib import Path

from tui.audio.formats import AudioFormat
from tui.models import events as e
from tui.models.journal import utc_now
from tui.models.turns.metrics import SessionMetrics
from tui.saving.folders import is_file
from tui.saving.record import (
    AUDIO_FILE,
    EVENTS_FILE,
    MESSAGES_FILE,
    RECORD_FILE,
    RECORD_PART_FILE,
    Devices,
    Outcome,
    SessionRecord,
    encoded,
)
from tui.saving.stereo import TracksFull
from tui.saving.tracks import TrackItem, TracksWriter
from tui.text.json_text import json_of


class FolderWriter:
    """Writes the files of one session into an existing folder. All methods may raise `OSError`.

    Events, messages and figures come from a `Journal`, which has already removed secrets.
    """

    def __init__(self, folder: Path, record: SessionRecord, *, began_ns: int) -> None:
        self.record = record
        self._folder = folder
        self._began_ns = began_ns
        self._lines: list[bytes] = []
        self._messages: list[bytes] = []
        self._events = _AppendedFile(folder / EVENTS_FILE)
        self._raw = _AppendedFile(folder / MESSAGES_FILE)
        self._tracks: TracksWriter | None = None
        self._written_record = b""
        # The lock shows readers that the session is still running; the system releases it with the process.
        self._events.lock()
        self._write_record()

    def check_present(self) -> None:
        """Raises `FileNotFoundError` if a file was removed, because further writes would be lost silently."""
        for name in (EVENTS_FILE, MESSAGES_FILE, RECORD_FILE, *((AUDIO_FILE,) if self._has_tracks() else ())):
            try:
                (self._folder / name).lstat()
            except (FileNotFoundError, NotADirectoryError) as error:
                what = name if self._folder.is_dir() else "its folder"
                raise FileNotFoundError(errno.ENOENT, f"{what} was removed") from error
            except OSError:
                continue  # a network file system may be briefly unavailable

    @property
    def tracks_over(self) -> bool:
        """Whether the tracks are finished and no more audio will be added."""
        return self._tracks is not None and self._tracks.closed

    @property
    def tracks_are_whole(self) -> bool:
        """Whether both tracks are on disk, from the first sample to the last."""
        return self._has_tracks() and self.tracks_over

    def _has_tracks(self) -> bool:
        return self._tracks is not None and self._tracks.rate is not None

    def message(self, raw: bytes) -> None:
        """Adds a raw message."""
        self._messages.append(raw)

    def event(self, event: e.SessionEvent) -> None:
        """Adds the next event."""
        self._note(event)
        self._lines.append(json_of(event) + b"\n")

    def audio(self, item: TrackItem) -> None:
        """Adds a block of audio, or another item, to the tracks."""
        if isinstance(item, AudioFormat):
            self.record.formats.user = str(item)
        if self._tracks is None:
            origin_ns = self._began_ns if self.record.started_ns is None else self.record.started_ns
            self._tracks = TracksWriter(self._folder / AUDIO_FILE, origin_ns)
        with contextlib.suppress(TracksFull):  # `flush` raises it again
            self._tracks.take(item)

    def flush(self, now_ns: int) -> str:
        """Passes all data to the operating system.

        If the audio file is full, stops saving the tracks and returns a sentence for the user; otherwise
        returns "".
        """
        # Messages are written first, so that no event on disk points to a missing message.
        self._raw.append(self._messages)
        self._events.append(self._lines)
        problem = ""
        if self._tracks:
            try:
                self._tracks.settle(now_ns)
            except TracksFull as full:
                self._tracks.abandon()
                problem = f"The audio tracks are no longer being saved: {full.strerror}."
            self.record.audio_rate = self._tracks.rate
            self.record.audio_starts_ns = self._tracks.origin_ns
        self._write_record()
        return problem

    def close(self, now_ns: int, metrics: SessionMetrics | None = None, *, problem: str = "") -> None:
        """Writes the end of the session and closes the files.

        ``problem`` is the reason why saving ends early. With a ``problem``, errors while writing the end are
        ignored.
        """
        record = self.record
        record.problem = problem
        record.metrics = metrics
        record.ended_utc = utc_now()
        with contextlib.ExitStack() as stack:
            if problem:
                stack.enter_context(contextlib.suppress(OSError))
            stack.callback(self._raw.close)
            stack.callback(self._events.close)
            stack.callback(self._write_record)
            if self._tracks:
                stack.callback(self._close_tracks, self._tracks, now_ns)

    def _close_tracks(self, tracks: TracksWriter, now_ns: int) -> None:
        with contextlib.suppress(TracksFull):
            tracks.close(now_ns)

    def _note(self, event: e.SessionEvent) -> None:
        """Updates the record for ``session.json`` from an event."""
        record = self.record
        match event:
            case e.SessionStarted():
                record.session_id, record.protocol = event.session_id, event.protocol
                record.started_utc, record.started_ns = event.started_utc, event.at_ns
            case e.AudioOpened():
                record.devices = Devices(event.capture, event.playback, event.latency_ms, event.timing)
            case e.ReplyStarted() if not record.formats.agent:
                record.formats.agent = event.format
            case e.StatusChanged(new=e.Status.ENDED | e.Status.ERROR):
                ended = event.new is e.Status.ENDED
                record.outcome = Outcome.ENDED if ended else Outcome.ERROR
                record.reason = event.reason

    def _write_record(self) -> None:
        content = encoded(self.record)
        if content == self._written_record:
            return
        # Written under a temporary name first, so that a reader never sees an incomplete file.
        part = self._folder / RECORD_PART_FILE
        if self._written_record and not is_file(self._folder / RECORD_FILE):
            raise FileNotFoundError(errno.ENOENT, f"{RECORD_FILE} was removed")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with os.fdopen(os.open(part, flags, 0o600), "wb") as file:
                file.write(content)
            part.replace(self._folder / RECORD_FILE)
        except OSError:
            part.unlink(missing_ok=True)
            raise
        self._written_record = content


class _AppendedFile:
    """A file to which records are appended.

    The file ends with a complete record, even if the disk fills up.
    """

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._whole_bytes = 0

    def lock(self) -> None:
        """Locks the file until it is closed, if the file system supports that."""
        with contextlib.suppress(OSError):
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def append(self, pieces: list[bytes]) -> None:
        """Writes the records, and clears the list."""
        rest = memoryview(b"".join(pieces))
        total_bytes = len(rest)
        pieces.clear()
        while rest:
            rest = rest[os.write(self._fd, rest) :]
        self._whole_bytes += total_bytes

    def close(self) -> None:
        """Closes the file, and removes the incomplete record that a full disk may leave."""
        with contextlib.suppress(OSError):
            if os.fstat(self._fd).st_size > self._whole_bytes:
                os.ftruncate(self._fd, self._whole_bytes)
        os.close(self._fd)
