from __future__ import annotations

from pathlib import Path

from tui.assets import caller_lines
from tui.audio.wav import read_wav
from tui.models.sound.speech import TrackSpeech

RATE = 16_000
BLOCK_BYTES = 2 * RATE // 50
BLOCK_NS = 20_000_000
YES = next(line.path for line in caller_lines() if line.name == "yes")


def blocks_of(path: Path) -> list[bytes]:
    pcm = bytes(RATE) + read_wav(path, RATE) + bytes(2 * RATE)
    return [pcm[at : at + BLOCK_BYTES] for at in range(0, len(pcm), BLOCK_BYTES)]


async def test_speech_before_the_detector_is_there_is_found_all_the_same() -> None:
    blocks = blocks_of(YES)
    late, ready = TrackSpeech(RATE), TrackSpeech(RATE)
    await ready.load()
    half = len(blocks) // 2
    expected, found = [], []
    for number, block in enumerate(blocks, 1):
        if number == half:
            await late.load()
        expected += ready.feed(block, number * BLOCK_NS)
        found += late.feed(block, number * BLOCK_NS)
    assert [edge.started for edge in expected] == [True, False]
    assert [*found, *late.finish()] == [*expected, *ready.finish()]
