"""SessionFile: contains every raw message of a session, verbatim; events refer to messages by offset and length."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from tui.temporary import create_temporary


class SessionFile:
    """A temporary file for one session, to which messages are appended. Runs on the engine's loop.

    If writing fails, no further messages are kept, ``on_failure`` receives a sentence, and the call
    continues.
    """

    def __init__(self, on_failure: Callable[[str], object]) -> None:
        self._on_failure = on_failure
        self._size_bytes = 0
        self._fd: int | None = None
        self.path = Path()
        try:
            # Readable only by its owner, because it contains everything that both sides sent.
            fd, path = create_temporary(".messages")
        except OSError as error:
            self._fail(error)
        else:
            self._fd, self.path = fd, path

    def append(self, raw: bytes) -> int:
        """Appends a message; returns its offset, or -1 if the message could not be written."""
        # Events continue without their raw messages, because a full disk must not end the call.
        if self._fd is None:
            return -1
        offset = self._size_bytes
        try:
            # Unbuffered, because the screen reads the message as soon as its event arrives; a write may be partial.
            written = os.write(self._fd, raw)
            while written < len(raw):
                written += os.write(self._fd, raw[written:])
        except OSError as error:
            # Writing stops for good, because after a partial message the offsets of later ones would be wrong.
            self._fail(error)
            return -1
        self._size_bytes += len(raw)
        return offset

    def close(self) -> None:
        """Removes the file. Processes that have the file open can still read it."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
        self.path.unlink(missing_ok=True) if self.path.name else None

    def _fail(self, error: OSError) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
        self._on_failure(f"Messages are no longer being stored: {error.strerror or error}.")
