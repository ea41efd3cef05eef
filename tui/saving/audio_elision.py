"""Replaces the audio in messages with its length, for sessions whose audio is not saved."""

from __future__ import annotations

import re

_LONG_BASE64 = re.compile(rb'"([A-Za-z0-9+/_-]{41,}={0,2})"')
"""Base64 strings longer than any identifier (a SHA-1 hash has 40 characters).

Shorter strings contain at most a few ms of telephone audio.
"""


def without_audio(raw: bytes) -> bytes | None:
    """Returns a raw message with its audio replaced by the length of the audio.

    Returns None if the message contains nothing but audio.
    """
    if b"\0" in raw or not _is_text(raw):
        return None
    return _LONG_BASE64.sub(lambda match: b'"(%d characters)"' % len(match[1]), raw)


def _is_text(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True
