"""Finds the audio in a message, which is a whole binary frame or a base64 member of a JSON message."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from tui.audio.wav import strip_wav_header
from tui.protocols.json_frames import decode_loose_base64
from tui.protocols.log_rules import member_at


def audio_payload(frame: bytes, members: Iterable[str]) -> bytes | None:
    """Returns the samples in a frame, as on the wire but without a WAV header; None if it contains none.

    ``members`` are paths as in `LogRules.audio_members`, such as ``media.payload``; the first path that
    exists is used.
    """
    if frame[:1] != b"{":
        return strip_wav_header(frame)[0] or None if _is_binary(frame) else None
    try:
        body: Any = msgspec.json.decode(frame)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return strip_wav_header(frame)[0] or None if _is_binary(frame) else None
    for path in members:
        value = member_at(body, path)
        if isinstance(value, str) and value:
            audio = decode_loose_base64(value)
            return strip_wav_header(audio)[0] if audio else None
    return None


def _is_binary(frame: bytes) -> bool:
    """Returns whether the frame is binary. Samples are rarely valid text, unlike placeholders (``audio elided``)."""
    if b"\0" in frame:
        return True
    try:
        frame.decode()
    except UnicodeDecodeError:
        return True
    return False
