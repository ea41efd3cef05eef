"""Reads raw messages from a session's message file."""

from __future__ import annotations

import os

from tui.models.events import MessageLogged

_MAX_BYTES = 256 * 1024 * 1024
"""Messages on the wire are at most 64 MiB long, so a much larger size means that the session file is damaged."""


def read_raw_message(descriptor: int | None, event: MessageLogged) -> bytes | None:
    """Returns the message from the file ``descriptor``; None if it was not saved or cannot be read."""
    if descriptor is None or event.offset < 0:
        return None
    kept_bytes = event.kept_bytes or event.size_bytes
    try:
        there = 0 <= kept_bytes <= min(os.fstat(descriptor).st_size - event.offset, _MAX_BYTES)
        raw = os.pread(descriptor, kept_bytes, event.offset) if there else b""
    except OSError:
        return None
    return raw if there and len(raw) == kept_bytes else None
