"""SessionWriter: saves a session while it happens, on a thread of its own that nothing ever waits for."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from tui.audio.formats import AudioFormat
from tui.models.events import MessageLogged, SessionEvent
from tui.models.sound.tracks import TrackSink
from tui.models.target import Target
from tui.saving.folder_writer import FolderWriter
from tui.saving.folders import new_session_folder
from tui.saving.record import MESSAGES_FILE, SavingError, SessionRecord, target_without_secrets
from tui.saving.redaction import Redactor, secrets_of, without_audio
from tui.saving.tracks import AgentCut, AgentHeard, TrackItem, UserSent

logger = logging.getLogger(__name__)

CYCLE_S = 0.1
"""How long what was handed over may stay in memory; audio also waits to be placed, see `placing.LOOK_AHEAD_NS`."""
MAX_WAITING_BYTES = 64 * 1024 * 1024
"""Events and messages handed over and not yet written, for a disk that does not keep up."""
MAX_WAITING_BLOCKS = 6_000
"""The same for audio: a minute of both tracks."""
CLOSE_TIMEOUT_S = 5.0
_EVENT_BYTES = 400
"""What an event takes, about."""
TOO_SLOW = "The disk is too slow: parts of this session are missing from what is saved."


class SessionWriter:
    """One session's folder, and the thread that writes into it. Made by `start`; `close` ends it.

    `take` and `append` belong to the session's loop; the methods of a `TrackSink` may be called from any thread.
    None of them waits or fails. A disk that is full ends the saving, one that cannot keep up leaves gaps:
    ``on_problem`` is told in a sentence, once of each, on the loop.
    """

    def __init__(
        self,
        folder: Path,
        files: FolderWriter,
        redactor: Redactor,
        on_problem: Callable[[str], object],
        *,
        save_audio: bool,
        clock_ns: Callable[[], int],
    ) -> None:
        self.folder = folder
        self.path = folder / MESSAGES_FILE
        """Of the raw messages, which events point into."""
        self._files = files
        self._redactor = redactor
        self._on_problem = on_problem
        self._save_audio = save_audio
        self._clock_ns = clock_ns
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[bytes | SessionEvent] = deque()
        self._waiting_audio: deque[TrackItem] = deque()
        # One side only adds to the first, the other to the second: no lock.
        self._handed_bytes = self._written_bytes = 0
        self._messages_bytes = self._last_kept_bytes = 0
        self._unsaved = self._unsaved_audio = 0
        self._told_too_slow = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="session writer", daemon=True)

    @classmethod
    async def start(
        cls,
        target: Target,
        on_problem: Callable[[str], object],
        *,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> SessionWriter:
        """Make the folder of a call to that target in ``target.save``. Raises `SavingError`."""
        redactor = Redactor(secrets_of(target), target.redact)
        folder, files = await asyncio.to_thread(_make, target, redactor, clock_ns())
        writer = cls(folder, files, redactor, on_problem, save_audio=target.save_audio, clock_ns=clock_ns)
        writer._thread.start()
        return writer

    @property
    def tracks(self) -> TrackSink | None:
        """Who takes the tracks; None when audio is not to be saved."""
        return self if self._save_audio else None

    async def close(self) -> None:
        """Write the end of the session. Waits for the disk, but not for ever; harmless when repeated."""
        self._over.set()
        await asyncio.to_thread(self._thread.join, CLOSE_TIMEOUT_S)

    # -- on the session's loop --

    def append(self, raw: bytes) -> int:
        """Keep a raw message; gives its offset, -1 when it is not kept."""
        kept = self._redactor.message(raw) if self._save_audio else without_audio(self._redactor.message(raw))
        self._last_kept_bytes = 0
        if kept is None or not self._accepts(kept, len(kept)):
            return -1
        offset = self._messages_bytes
        self._messages_bytes += len(kept)
        self._last_kept_bytes = len(kept)
        return offset

    def take(self, event: SessionEvent) -> SessionEvent:
        """Save the next event; gives it as saved: pointing to the message that was appended just before."""
        if (
            isinstance(event, MessageLogged)
            and event.offset >= 0
            and self._last_kept_bytes != event.size_bytes
        ):
            event = msgspec.structs.replace(event, kept_bytes=self._last_kept_bytes)
        self._accepts(event, _EVENT_BYTES)
        if (self._unsaved or self._unsaved_audio) and not self._told_too_slow:
            self._told_too_slow = True
            self._report(TOO_SLOW)
        return event

    def _accepts(self, item: bytes | SessionEvent, size_bytes: int) -> bool:
        if self._over.is_set():
            return False
        waiting_bytes = self._handed_bytes - self._written_bytes
        if waiting_bytes and waiting_bytes + size_bytes > MAX_WAITING_BYTES:
            self._unsaved += 1
            return False
        self._handed_bytes += size_bytes
        self._waiting.append(item)
        return True

    # -- on any thread --

    def user_format(self, audio_format: AudioFormat) -> None:
        """See `TrackSink`."""
        self._take_audio(audio_format)

    def user_sent(self, end_ns: int, pcm: bytes, rate: int) -> None:
        """See `TrackSink`."""
        self._take_audio(UserSent(end_ns, pcm, rate))

    def agent_heard(self, start_ns: int, pcm: bytes, rate: int) -> None:
        """See `TrackSink`."""
        self._take_audio(AgentHeard(start_ns, pcm, rate))

    def agent_cut(self, at_ns: int) -> None:
        """See `TrackSink`."""
        self._take_audio(AgentCut(at_ns))

    def _take_audio(self, item: TrackItem) -> None:
        if self._over.is_set():
            return
        if len(self._waiting_audio) < MAX_WAITING_BLOCKS:
            self._waiting_audio.append(item)
        else:
            self._unsaved_audio += 1

    def _report(self, sentence: str) -> None:
        """Later, and on the loop: an event may be on its way just now."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to hear it
            self._loop.call_soon_threadsafe(self._on_problem, sentence)

    # -- on the thread that writes --

    def _run(self) -> None:
        try:
            while not self._over.wait(CYCLE_S):
                self._write_waiting()
            self._write_waiting()
            self._files.close(self._clock_ns())
        except Exception as error:
            logger.exception("the saving of a session ends")
            self._over.set()
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            self._report(f"The session is no longer saved: {reason}.")
            self._waiting.clear()
            self._waiting_audio.clear()
            self._files.close(self._clock_ns(), problem=reason)

    def _write_waiting(self) -> None:
        now_ns = self._clock_ns()
        taken_bytes = 0
        while self._waiting:
            item = self._waiting.popleft()
            if isinstance(item, bytes):
                self._files.message(item)
                taken_bytes += len(item)
            else:
                self._files.event(item)
                taken_bytes += _EVENT_BYTES
        while self._waiting_audio:
            self._files.audio(self._waiting_audio.popleft())
        self._files.record.unsaved = self._unsaved + self._unsaved_audio
        if problem := self._files.flush(now_ns):
            self._report(problem)
        self._written_bytes += taken_bytes


def _make(target: Target, redactor: Redactor, began_ns: int) -> tuple[Path, FolderWriter]:
    now = datetime.now(UTC)
    try:
        parent = Path(target.save).expanduser()
    except RuntimeError as error:
        raise SavingError(f"{target.save} cannot be written: that user has no home folder") from error
    folder = new_session_folder(parent, target.name, now)
    settings = redactor.text(msgspec.json.encode(target_without_secrets(target)).decode())
    record = SessionRecord(
        title=target.name,
        target=msgspec.json.decode(settings),
        protocol=target.protocol,
        started_utc=now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    )
    try:
        return folder, FolderWriter(folder, record, redactor, began_ns=began_ns)
    except OSError as error:
        raise SavingError(f"{folder} cannot be written: {error.strerror or error}") from error
