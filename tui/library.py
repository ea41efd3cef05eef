"""Library: lists, opens, reports and compares saved sessions for the screen. Does not depend on Textual."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tui.bridge import Bridge
from tui.child import child_command
from tui.engine.link import EngineLink
from tui.engine.wire import PlayAudio
from tui.saving.folders import default_folder
from tui.saving.record import SavedSessionError, SessionRecord
from tui.view.playhead import Playhead

if TYPE_CHECKING:
    from tui.models.turns.comparison import SessionComparison
    from tui.saving.listing import SessionSummary

Run = Callable[[Sequence[str]], Awaitable[str]]
"""Runs a command of this program and returns what it printed. Raises `CommandFailed`."""


class CommandFailed(Exception):
    """Raised if a command in another process failed. The message is the sentence that the command printed."""


async def run_command(arguments: Sequence[str]) -> str:
    """Runs a command of this program in a separate process; returns its output. Raises `CommandFailed`.

    Remeasuring a session requires numpy and several seconds of CPU time, which would block the screen.
    Cancellation kills the process.
    """
    process = await asyncio.create_subprocess_exec(
        *child_command("tui", *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        # Ctrl+C in the terminal is for the screen.
        start_new_session=True,
    )
    try:
        printed, complaint = await process.communicate()
    except asyncio.CancelledError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    if process.returncode:
        last = complaint.decode(errors="replace").strip().splitlines()[-1:]
        raise CommandFailed(last[0] if last else f"it ended with exit code {process.returncode}")
    return printed.decode(errors="replace")


class Opened(msgspec.Struct, frozen=True):
    """The saved session that is open, with its models."""

    bridge: Bridge
    playhead: Playhead
    folder: Path
    record: SessionRecord
    on_close: Callable[[], object] = lambda: None

    def close(self) -> None:
        """Stops playback of the session and closes its files."""
        self.bridge.player.play(PlayAudio())
        self.bridge.close()
        self.on_close()


class Listing:
    """Reads the sessions of a folder in a thread, so that even a thousand sessions do not block the screen.

    The thread appends to a deque and sets a flag, and the screen polls both, so neither waits for the other.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.done = False
        self.problem = ""
        """Reason why the folder cannot be read; empty if it can be read."""
        self._found: deque[SessionSummary] = deque()
        self._stopped = threading.Event()
        # A daemon thread, so that quitting the program does not wait for a slow disk.
        self._thread = threading.Thread(target=self._read, name="session list", daemon=True)

    def start(self) -> None:
        """Starts reading the sessions."""
        self._thread.start()

    def stop(self) -> None:
        """Stops reading after the current session."""
        self._stopped.set()

    def take(self) -> list[SessionSummary]:
        """Returns the sessions that were read since the previous call."""
        return [self._found.popleft() for _ in range(len(self._found))]

    def _read(self) -> None:
        # Imported late, like the modules below, because the first paint does not need it.
        from tui.saving.listing import summaries

        try:
            for summary in summaries(self.folder):
                if self._stopped.is_set():
                    return
                self._found.append(summary)
        except SavedSessionError as error:
            self.problem = str(error)
        self.done = True


class Library:
    """The folder of saved sessions, and the session that is open."""

    def __init__(self, folder: Path | None = None, *, output: str = "auto", run: Run = run_command) -> None:
        self.folder = folder or default_folder()
        self.output = output
        """The speaker for playing saved sessions."""
        self.opened: Opened | None = None
        self.run = run

    def listing(self) -> Listing:
        """Returns a listing of the sessions. Call `Listing.start` to start reading."""
        return Listing(self.folder)

    def open(self, folder: Path, sound: EngineLink, *, speed: float | None = None) -> Opened:
        """Opens a session in place of the open session. ``sound`` plays the audio. Raises `SavedSessionError`."""
        from tui.engine.saved_engine import SavedEngine
        from tui.saving.reading import open_session

        saved = open_session(folder)
        self.close()
        engine = SavedEngine(saved, speed=speed, sound=sound)
        bridge = Bridge(engine, engine.now_ns)
        bridge.player.output = self.output
        self.opened = Opened(bridge, engine.playhead, saved.folder, saved.record, saved.close)
        return self.opened

    async def report(self, folder: Path, path: Path, *, show: bool = False) -> None:
        """Writes a session's report to ``path``. With ``show``, opens the report in the browser.

        Raises `CommandFailed`.
        """
        await self.run(["report", str(folder), "-o", str(path), *(["--open"] if show else [])])

    async def compare(self, left: Path, right: Path) -> SessionComparison:
        """Measures and compares two sessions. Raises `CommandFailed`."""
        from tui.models.turns.comparison import SessionComparison

        printed = await self.run(["compare", str(left), str(right), "--json"])
        try:
            return msgspec.json.decode(printed, type=SessionComparison)
        except ValueError as error:
            raise CommandFailed(f"its output cannot be read: {error}") from error

    def close(self) -> None:
        """Closes the open session."""
        if self.opened is not None:
            self.opened.close()
            self.opened = None
