"""A raw message, read back from where a session's messages are kept."""

from __future__ import annotations

import os

from tui.models.events import MessageLogged

_MAX_BYTES = 256 * 1024 * 1024
"""A message on the wire has 64 MiB at most; what claims to be far longer is of a file that was made up."""


def read_raw_message(descriptor: int | None, event: MessageLogged) -> bytes | None:
    """The message as it was kept; None when it was not, or can no longer be read. ``descriptor``: of its file."""
    if descriptor is None or event.offset < 0:
        return None
    kept_bytes = event.kept_bytes or event.size_bytes
    try:
        there = 0 <= kept_bytes <= min(os.fstat(descriptor).st_size - event.offset, _MAX_BYTES)
        raw = os.pread(descriptor, kept_bytes, event.offset) if there else b""
    except OSError:
        return None
    return raw if there and len(raw) == kept_bytes else None
