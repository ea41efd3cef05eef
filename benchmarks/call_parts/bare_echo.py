"""The least there can be between a microphone and a speaker: PortAudio callback in, callback out, one block each.

A process of its own, as the devices are found by its environment: ``python bare_echo.py BLOCK_MS LATENCY``; ends
with its standard input.
"""

from __future__ import annotations

import sys
from collections import deque
from typing import Any

import sounddevice

RATE = 16_000


def main(block_ms: int, latency: str) -> None:
    """Echo until standard input ends."""
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
