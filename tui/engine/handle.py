"""The screen's handle to the engine process.

Uses only the standard library and msgspec, and never blocks.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from pathlib import Path
from typing import Self

from tui.child import start_child
from tui.engine.wire import Command, FrameItem, Shutdown, Unpacker, frame_items, pack
from tui.temporary import create_temporary, remove_abandoned

GOODBYE_TIMEOUT_S = 3.0
_READ_BYTES = 1 << 20
NO_DEVICES = "--no-devices"
"""Command-line argument for an engine that loads PortAudio only when a device is used."""
_LOG_SUFFIX = "-engine.log"
_KEPT_LOGS = 5
"""Number of logs from failed or killed engines to keep in the temporary folder."""


class EngineHandle:
    """The handle to an engine process. Commands sent before `start` wait until the process has started.

    `start` has no effect if the process has been started. If ``devices``, the engine loads PortAudio at its
    start.
    """

    def __init__(self, *, devices: bool = True) -> None:
        self._arguments = () if devices else (NO_DEVICES,)
        # Created before the start, so that the screen can name the log of an engine that dies while starting.
        self._log: int | None
        self._log, log = create_temporary(_LOG_SUFFIX)
        self.log_path = str(log)
        self._process: subprocess.Popen[bytes] | None = None
        self._stdin = self._stdout = -1
        self._unpacker = Unpacker()
        self._unsent = b""
        self._items: list[FrameItem] = []
        self._at_end = False

    def start(self) -> Self:
        """Starts the process, unless it has been started already. Raises `OSError`."""
        if self._process is not None:
            return self
        # Pipes rather than a socket, so that the engine reads end of file however the screen dies. In the screen's
        # process group, the engine would be killed with the terminal, before it says goodbye.
        self._process = start_child("tui.engine", *self._arguments, stderr=self._log)
        # From now on only the engine has its log open, and once the engine ends, the log counts as abandoned.
        self._close_log()
        # Cleans up after the start rather than before, so that the first picture does not have to wait.
        remove_abandoned(_LOG_SUFFIX, keep=_KEPT_LOGS)
        remove_abandoned(".messages")
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin = self._process.stdin.fileno()
        self._stdout = self._process.stdout.fileno()
        # The screen's loop must not wait for an engine that is busy, stopped or gone.
        os.set_blocking(self._stdin, False)
        os.set_blocking(self._stdout, False)
        self._write()
        return self

    @property
    def pid(self) -> int:
        """Process id of the engine, once it has been started."""
        assert self._process is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the engine is running or has not been started yet."""
        return not self._at_end and (self._process is None or self._process.poll() is None)

    def drain(self) -> list[FrameItem]:
        """Returns the items that have arrived since the previous call."""
        if self._process is not None:
            self._exchange()
        items, self._items = self._items, []
        return items

    def send(self, command: Command) -> None:
        """Sends a command. If the pipe is full, the next `drain` sends the remaining bytes."""
        self._unsent += pack([command])
        if self._process is not None:
            self._write()

    def stop(self, timeout_s: float = GOODBYE_TIMEOUT_S) -> None:
        """Makes the engine end the call and exit. Blocks the calling thread.

        After ``timeout_s``, terminates the process, then kills it.
        """
        if self._process is not None:
            self._stop(self._process, timeout_s)
        self._close_log()
        # After a normal exit, the log contains only messages from sound drivers, which explain nothing.
        log = Path(self.log_path)
        failed = self._process is not None and self._process.returncode != 0
        if not failed or (log.exists() and not log.stat().st_size):
            log.unlink(missing_ok=True)

    def _close_log(self) -> None:
        if self._log is not None:
            os.close(self._log)
            self._log = None

    def _stop(self, process: subprocess.Popen[bytes], timeout_s: float) -> None:
        self.send(Shutdown())
        until = time.monotonic() + timeout_s
        while process.poll() is None and time.monotonic() < until:
            # Keep reading, because an engine whose pipe is full could not write its last frames and would never exit.
            self._exchange()
            time.sleep(0.01)
        self._exchange()
        if process.poll() is None:
            # A process that is stuck in a driver call survives SIGTERM, so it has to be killed.
            process.terminate()
            try:
                process.wait(0.5)
            except subprocess.TimeoutExpired:
                process.kill()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                pipe.close() if pipe else None
        process.wait()

    def _exchange(self) -> None:
        self._write()
        self._read()
        for body in self._unpacker.bodies():
            self._items += frame_items(body)

    def _read(self) -> None:
        while not self._at_end:
            try:
                data = os.read(self._stdout, _READ_BYTES)
            except BlockingIOError:
                return
            self._at_end = not data
            self._unpacker.feed(data)

    def _write(self) -> None:
        while self._unsent:
            try:
                written = os.write(self._stdin, self._unsent)
            except BlockingIOError:
                return
            except OSError:
                self._unsent = b""  # the engine is gone, which `alive` shows
                return
            self._unsent = self._unsent[written:]
