"""Checks the encoding and the arrival speed of agent audio in any protocol."""

from __future__ import annotations

from collections.abc import Callable

from tui.audio.encoding_check import EncodingCheck
from tui.audio.formats import AudioFormat
from tui.protocols.base import Finding

SLOW_RATIO = 0.8
"""Arrival speed, relative to real time, below which jitter and pauses between sentences cannot explain the
stutter.
"""
_LEAST_JUDGED_MS = 1_000.0
_MAX_FORMATS = 8


class ReplyChecks:
    """Reports audio with the wrong encoding, and replies that arrive more slowly than real time.

    Runs on the session's loop.
    """

    def __init__(self, find: Callable[[Finding], object]) -> None:
        self._find = find
        self._encodings: dict[AudioFormat, EncodingCheck] = {}

    def received(self, audio_format: AudioFormat, wire: bytes) -> None:
        """Checks the encoding of a chunk of agent audio."""
        check = self._encodings.get(audio_format)
        if check is None:
            if len(self._encodings) >= _MAX_FORMATS:
                return
            check = self._encodings[audio_format] = EncodingCheck(audio_format)
        if fault := check.feed(wire):
            self._find(Finding("wrong-encoding", fault))

    def ended(self, received_ms: float, ratio: float | None) -> None:
        """Checks how fast a complete reply arrived.

        ``ratio`` is the length of the reply divided by the time it took to arrive.
        """
        if ratio is not None and ratio < SLOW_RATIO and received_ms >= _LEAST_JUDGED_MS:
            text = (
                f"A {received_ms / 1000:.1f} s reply arrived at {ratio:.2f} × real time. "
                "Playback stutters when audio arrives more slowly than it plays."
            )
            self._find(Finding("slower-than-real-time", text, advice=True))
