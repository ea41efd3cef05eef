"""Removes the agent's played audio from captured audio, so that both parties can speak at the same time."""

from __future__ import annotations

from tui.audio.echo_guard import EchoGuard
from tui.audio.webrtc import FRAME_MS, Processor

_LEAD_NS = 40_000_000
"""How long before playback the processor receives a block.

It needs the block before the echo arrives, but must not receive audio that a flush may still drop.
"""
_MAX_DELAY_MS = 500


class EchoCanceller(EchoGuard):
    """A full-duplex `EchoGuard`: removes the agent's audio and keeps the user's voice.

    Block lengths are multiples of 10 ms.
    """

    def __init__(self, processor: Processor) -> None:
        super().__init__()
        self._processor = processor
        self._rendered_end_ns: int | None = None

    def clean(self, end_ns: int, now_ns: int, pcm: bytes, rate: int) -> bytes:
        """See `EchoGuard`.

        After the processor has failed, blocks pass through unchanged and `failure` contains the reason.
        """
        if self.failure:
            return pcm
        try:
            self._render_until(now_ns + _LEAD_NS)
            if self._rendered_end_ns is not None:
                # Set for every block, because the delay of a device drifts and changes when the device is
                # reopened.
                delay_ms = (self._rendered_end_ns - end_ns) // 1_000_000
                self._processor.set_delay(min(max(delay_ms, 0), _MAX_DELAY_MS))
            cleaned = b"".join(self._processor.captured(frame, rate) for frame in _frames(pcm, rate))
            return cleaned[: len(pcm)]
        except RuntimeError as error:
            self.failure = f"Echo cancellation ({rate} Hz) stopped: {error}."
            return pcm

    def _render_until(self, until_ns: int) -> None:
        for played in self.take(until_ns):
            for frame in _frames(played.pcm, played.rate):
                self._processor.rendered(frame, played.rate)
            self._rendered_end_ns = played.end_ns


def _frames(pcm: bytes, rate: int) -> list[bytes]:
    """Splits samples into frames of 10 ms; pads the last frame with silence."""
    size = 2 * (rate * FRAME_MS // 1000)
    return [pcm[at : at + size].ljust(size, b"\0") for at in range(0, len(pcm), size)]
