"""The shortest possible path from microphone to speaker: a PortAudio callback in and one out, one block each.

Runs as ``python bare_echo.py BLOCK_MS LATENCY`` in a separate process, because the environment selects the
devices. Ends when its standard input is closed.
"""

from __future__ import annotations

import sys
from collections import deque
from typing import Any

import sounddevice

RATE = 16_000


def main(block_ms: int, latency: str) -> None:
    """Echoes until standard input is closed."""
    frames = RATE * block_ms // 1000
    waiting: deque[bytes] = deque()

    def capture(indata: Any, _frames: int, _time: Any, _status: Any) -> None:
        waiting.append(bytes(indata))

    def play(outdata: Any, _frames: int, _time: Any, _status: Any) -> None:
        outdata[:] = waiting.popleft() if waiting else bytes(2 * frames)

    options: dict[str, Any] = {
        "samplerate": RATE,
        "blocksize": frames,
        "channels": 1,
        "dtype": "int16",
        "latency": latency,
    }
    with (
        sounddevice.RawOutputStream(device="virtual_speaker", callback=play, **options),
        sounddevice.RawInputStream(device="virtual_mic", callback=capture, **options),
    ):
        sys.stdin.read()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
