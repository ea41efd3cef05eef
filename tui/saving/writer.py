"""SessionWriter: saves a running session on a separate thread, so that the call does not wait for the disk."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
import wave
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import msgspec

from tui.audio.formats import AudioFormat
from tui.models.events import MessageLogged, SessionEvent
from tui.models.sound.tracks import TrackSink
from tui.models.target import Target
from tui.models.turns.metrics import SessionMetrics
from tui.models.turns.turns import Turn
from tui.saving.audio_elision import without_audio
from tui.saving.folder_writer import FolderWriter
from tui.saving.folders import new_session_folder
from tui.saving.record import AUDIO_FILE, MESSAGES_FILE, SavingError, SessionRecord, target_without_secrets
from tui.saving.saved_audio import SavedAudio
from tui.saving.tracks import AgentCut, AgentHeard, TrackItem, TracksEnd, UserSent

logger = logging.getLogger(__name__)

CYCLE_S = 0.1
"""Maximum time that events and messages stay in memory. Audio also waits to be placed (`placing.LOOK_AHEAD_NS`)."""
MAX_WAITING_BYTES = 64 * 1024 * 1024
"""Limit on queued events and messages in bytes, for a disk that cannot keep up."""
MAX_WAITING_BLOCKS = 6_000
"""Limit on queued audio blocks: a minute of both tracks."""
CLOSE_TIMEOUT_S = 5.0
COMPARING_S = 1.5
"""Time limit for comparing edges at the end of a call. A screen that quits waits at most 3 s for the whole end."""
_EVENT_BYTES = 400
"""Approximate size of an event in memory."""
TOO_SLOW = "The disk is too slow: parts of this session were not saved."


class _WriteQueue:
    """Bounded queue of items to write. Items that do not fit are counted in `dropped`.

    Call `put` on the session's loop, `put_audio` on any thread, and `move_to` and `written` on the writing
    thread.
    """

    def __init__(self) -> None:
        self._items: deque[bytes | SessionEvent] = deque()
        self._audio: deque[TrackItem] = deque()
        # No lock is needed: only the loop changes the first counter, and only the writing thread the second.
        self._handed_bytes = self._written_bytes = 0
        # The same applies here: only `put` changes the first counter, and only `put_audio` the second.
        self._dropped_items = self._dropped_blocks = 0

    @property
    def dropped(self) -> int:
        """Number of events, messages and blocks of audio that did not fit."""
        return self._dropped_items + self._dropped_blocks

    def put(self, item: bytes | SessionEvent, size_bytes: int) -> bool:
        """Queues an event or a message. Returns False if the queue is full."""
        waiting_bytes = self._handed_bytes - self._written_bytes
        if waiting_bytes and waiting_bytes + size_bytes > MAX_WAITING_BYTES:
            self._dropped_items += 1
            return False
        self._handed_bytes += size_bytes
        self._items.append(item)
        return True

    def put_audio(self, item: TrackItem) -> None:
        """Queues a block or another item of the tracks."""
        if len(self._audio) < MAX_WAITING_BLOCKS:
            self._audio.append(item)
        else:
            self._dropped_blocks += 1

    def move_to(self, files: FolderWriter) -> int:
        """Writes all items to the files, in order; returns the number of bytes to pass to `written`."""
        moved_bytes = 0
        while self._items:
            item = self._items.popleft()
            if isinstance(item, bytes):
                files.message(item)
                moved_bytes += len(item)
            else:
                files.event(item)
                moved_bytes += _EVENT_BYTES
        while self._audio:
            files.audio(self._audio.popleft())
        return moved_bytes

    def written(self, size_bytes: int) -> None:
        """Frees the space of ``size_bytes`` after they were written."""
        self._written_bytes += size_bytes

    def clear(self) -> None:
        self._items.clear()
        self._audio.clear()


class _WriterThread(threading.Thread):
    """Writes queued items to the files every `CYCLE_S`, until `over` is set or the disk fails."""

    def __init__(
        self,
        queue: _WriteQueue,
        files: FolderWriter,
        clock_ns: Callable[[], int],
        report: Callable[[str], None],
        report_end: Callable[[str], None],
    ) -> None:
        super().__init__(name="session writer", daemon=True)
        self.over = threading.Event()
        self.tracks_over = threading.Event()
        """Set once both tracks are completely on disk or can no longer be completed."""
        self.metrics: SessionMetrics | None = None
        """Final figures, set on the session's loop before `over`, once events no longer change them."""
        self._queue = queue
        self._files = files
        self._clock_ns = clock_ns
        self._report, self._report_end = report, report_end

    def run(self) -> None:
        """Writes queued items until `over` is set, then closes the files."""
        try:
            while not self.over.wait(CYCLE_S):
                self._write_waiting()
            self._write_waiting()
            self._files.close(self._clock_ns(), self.metrics)
        except Exception as error:
            logger.exception("saving the session ended early")
            self.over.set()
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            self._report_end(f"The session is no longer being saved: {reason}.")
            self._queue.clear()
            self._files.close(self._clock_ns(), problem=reason)
        finally:
            self.tracks_over.set()

    @property
    def tracks_start_ns(self) -> int | None:
        """Time of the tracks' first sample; None if the tracks are not completely on disk.

        Valid once `tracks_over` is set.
        """
        return self._files.record.audio_starts_ns if self._files.tracks_are_whole else None

    def _write_waiting(self) -> None:
        now_ns = self._clock_ns()
        self._files.check_present()
        size_bytes = self._queue.move_to(self._files)
        self._files.record.unsaved = self._queue.dropped
        if problem := self._files.flush(now_ns):
            self._report(problem)
        if self._files.tracks_over:
            self.tracks_over.set()
        # Freed only now, because data that the operating system has not accepted still occupies memory.
        self._queue.written(size_bytes)


@dataclass(eq=False, repr=False)
class SessionWriter:
    """The folder of one session, and the thread that writes into it. Created by `start`; ended by `close`.

    `take` and `append` belong to the session's loop; the methods of a `TrackSink` may be called from any
    thread. The methods for the loop and the tracks neither wait nor fail. If the disk is full, saving ends;
    if the disk is slow, data is skipped. ``on_problem`` is called on the loop with a sentence when a kind of
    problem first occurs. If ``on_end`` is given, only ``on_end`` receives the sentence about the end of
    saving.
    """

    folder: Path
    files: FolderWriter
    on_problem: Callable[[str], object]
    metrics: Callable[[], SessionMetrics | None] = lambda: None
    _: KW_ONLY
    save_audio: bool
    clock_ns: Callable[[], int]
    on_end: Callable[[str], object] | None = None

    def __post_init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue = _WriteQueue()
        report_end = partial(self._report, to=self.on_end or self.on_problem)
        self._thread = _WriterThread(self._queue, self.files, self.clock_ns, self._report, report_end)
        self._messages_bytes = self._last_kept_bytes = 0
        self._reported_too_slow = False

    @classmethod
    async def start(
        cls,
        target: Target,
        on_problem: Callable[[str], object],
        metrics: Callable[[], SessionMetrics | None] = lambda: None,
        *,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        on_end: Callable[[str], object] | None = None,
    ) -> SessionWriter:
        """Creates the folder for a call to ``target`` in ``target.save``. Raises `SavingError`.

        ``metrics`` returns the figures of the session, which are saved when the writer is closed.
        """
        folder, files = await asyncio.to_thread(_make, target, clock_ns())
        writer = cls(
            folder, files, on_problem, metrics, save_audio=target.audio, clock_ns=clock_ns, on_end=on_end
        )
        writer._thread.start()
        return writer

    @property
    def path(self) -> Path:
        """The file of raw messages, in which events have offsets."""
        return self.folder / MESSAGES_FILE

    @property
    def tracks(self) -> TrackSink | None:
        """The receiver of both tracks; None if audio is not saved."""
        return self if self.save_audio else None

    async def close(self) -> None:
        """Writes the end of the session. Waits at most `CLOSE_TIMEOUT_S` for the disk.

        Further calls have no effect.
        """
        self._thread.metrics = self.metrics()
        self._thread.over.set()
        await asyncio.to_thread(self._thread.join, CLOSE_TIMEOUT_S)

    async def second_opinion(self, turns: Sequence[Turn]) -> Sequence[SessionEvent]:
        """See `TrackJudge`. Returns no events if the tracks are not saved or are incomplete."""
        self._put_audio(TracksEnd(self.clock_ns()))
        return await asyncio.to_thread(self._compare, turns)

    def _compare(self, turns: Sequence[Turn]) -> Sequence[SessionEvent]:
        # Imported here, because it loads numpy, which listing sessions does not need.
        from tui.saving.second_opinion import compare_edges

        until_s = time.monotonic() + COMPARING_S
        self._thread.tracks_over.wait(COMPARING_S / 2)
        starts_ns = self._thread.tracks_start_ns
        if starts_ns is None:
            return []
        path = self.folder / AUDIO_FILE
        try:
            with path.open("rb") as file:
                return compare_edges(
                    SavedAudio(file, path, starts_ns), turns, at_ns=self.clock_ns(), until_s=until_s
                )
        except (OSError, EOFError, wave.Error):
            logger.exception("the audio tracks could not be read back")
            return []

    # -- on the session's loop --

    def append(self, raw: bytes) -> int:
        """Saves a raw message; returns its offset in the file, or -1 if it is not saved."""
        kept = raw if self.save_audio else without_audio(raw)
        self._last_kept_bytes = 0
        if kept is None or not self._put(kept, len(kept)):
            return -1
        offset = self._messages_bytes
        self._messages_bytes += len(kept)
        self._last_kept_bytes = len(kept)
        return offset

    def take(self, event: SessionEvent) -> SessionEvent:
        """Saves the next event and returns it as saved.

        A logged message gets the size of the raw message that was appended just before.
        """
        if (
            isinstance(event, MessageLogged)
            and event.offset >= 0
            and self._last_kept_bytes != (event.kept_bytes or event.size_bytes)
        ):
            event = msgspec.structs.replace(event, kept_bytes=self._last_kept_bytes)
        self._put(event, _EVENT_BYTES)
        if self._queue.dropped and not self._reported_too_slow:
            self._reported_too_slow = True
            self._report(TOO_SLOW)
        return event

    def _put(self, item: bytes | SessionEvent, size_bytes: int) -> bool:
        return not self._thread.over.is_set() and self._queue.put(item, size_bytes)

    # -- on any thread --

    def user_format(self, audio_format: AudioFormat) -> None:
        """See `TrackSink`."""
        self._put_audio(audio_format)

    def user_sent(self, end_ns: int, pcm: bytes, rate: int) -> None:
        """See `TrackSink`."""
        self._put_audio(UserSent(end_ns, pcm, rate))

    def agent_heard(self, start_ns: int, pcm: bytes, rate: int) -> None:
        """See `TrackSink`."""
        self._put_audio(AgentHeard(start_ns, pcm, rate))

    def agent_cut(self, at_ns: int) -> None:
        """See `TrackSink`."""
        self._put_audio(AgentCut(at_ns))

    def _put_audio(self, item: TrackItem) -> None:
        if not self._thread.over.is_set():
            self._queue.put_audio(item)

    def _report(self, sentence: str, to: Callable[[str], object] | None = None) -> None:
        # Scheduled even if this is already the loop's thread, because the new event must not overtake the
        # event in progress.
        with contextlib.suppress(RuntimeError):  # the loop is closed, so nobody is left to be notified
            self._loop.call_soon_threadsafe(to or self.on_problem, sentence)


def _make(target: Target, began_ns: int) -> tuple[Path, FolderWriter]:
    now = datetime.now(UTC)
    try:
        parent = Path(target.save).expanduser()
    except RuntimeError as error:
        raise SavingError(f"Cannot write to {target.save}: the user's home folder is unknown") from error
    folder = new_session_folder(parent, target.name, now)
    redactor = target.redactor()
    settings = redactor.text(msgspec.json.encode(target_without_secrets(target)).decode())
    record = SessionRecord(
        title=redactor.text(target.name),
        target=msgspec.json.decode(settings),
        protocol=target.protocol,
        started_utc=now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    )
    try:
        return folder, FolderWriter(folder, record, began_ns=began_ns)
    except OSError as error:
        raise SavingError(f"Cannot write to {folder}: {error.strerror or error}") from error
