from __future__ import annotations

import asyncio
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.audio.fake_sounddevice import FakeSoundDevice, FakeStream, device
from tui.audio.devices import find_device
from tui.audio.playback import PlaybackQueue
from tui.audio.speaker import Speaker

MS = 1_000_000
RATE, BLOCK = 16_000, 320
STATED_LATENCY_MS = 40


class Played:
    """A speaker on a fake device, whose callbacks a test makes."""

    def __init__(self, sound: FakeSoundDevice) -> None:
        self.now_ns = 1000 * MS
        self.queue = PlaybackQueue(RATE)
        self.speaker = Speaker(self.queue, block_ms=20, latency="low", clock_ns=lambda: self.now_ns)
        self.speaker.open_device(find_device("auto", "output"))
        self.sound = sound

    def call_back(self, lead_ms: float, *, underflow: bool = False, wait_ms: int = 20) -> bytes:
        out = bytearray(2 * BLOCK)
        # PortAudio's clock is not ours: only the difference means anything.
        time = SimpleNamespace(currentTime=7.0, outputBufferDacTime=7.0 + lead_ms / 1000)
        status: Any = SimpleNamespace(output_underflow=True) if underflow else None
        self.sound.streams[-1].arguments["callback"](memoryview(out), BLOCK, time, status)
        assert self.speaker.take_callback_error() is None
        self.now_ns += wait_ms * MS
        return bytes(out)


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Played:
    sound = FakeSoundDevice(device("Speaker", 0, 2), defaults=(-1, 0))
    monkeypatch.setitem(sys.modules, "sounddevice", sound)
    assert FakeStream(finished_callback=None).latency == STATED_LATENCY_MS / 1000
    return Played(sound)


def test_a_frame_is_heard_when_portaudio_says_of_its_block_not_after_the_stated_latency(
    played: Played,
) -> None:
    for _ in range(10):
        played.call_back(125)
    assert played.speaker.heard_at_ns(3 * BLOCK) == (1000 + 3 * 20 + 125) * MS


@pytest.mark.parametrize("lead_ms", [0, -3, 5_000])
def test_a_host_that_gives_no_lead_is_taken_at_its_stated_latency(played: Played, lead_ms: float) -> None:
    for _ in range(10):
        played.call_back(lead_ms)
    assert played.speaker.heard_at_ns(3 * BLOCK) == (1000 + 3 * 20 + STATED_LATENCY_MS) * MS


def test_a_gap_of_the_devices_own_moves_what_comes_behind_it(played: Played) -> None:
    for _ in range(50):
        played.call_back(45)
    played.now_ns += 33 * MS
    for index in range(3):
        played.call_back(45, underflow=index == 0)
    assert played.speaker.heard_at_ns(50 * BLOCK) == (1000 + 50 * 20 + 33 + 45) * MS


async def test_a_flush_counts_as_unheard_what_the_device_really_held(played: Played) -> None:
    played.queue.feed("a", b"\1\0" * (50 * BLOCK), played.now_ns)
    for _ in range(10):
        played.call_back(120)
    played.now_ns -= 20 * MS
    (cut,), _ = await played.speaker.flush()
    assert cut.handed_frames - cut.heard_frames == (120 + 20) * 16


async def test_a_device_that_is_opened_again_loses_nothing_of_what_it_was_given(played: Played) -> None:
    said = np.arange(1, 20 * BLOCK + 1, dtype="<i2").tobytes()
    played.queue.feed("a", said, played.now_ns)
    heard = b"".join(played.call_back(1) for _ in range(5))
    opening = asyncio.ensure_future(played.speaker.reopen(find_device("auto", "output")))
    await asyncio.sleep(0)
    # While the device plays what it holds it is given silence, and the queue waits.
    assert not any(played.call_back(1) + played.call_back(1))
    await opening
    assert len(played.sound.streams) == 2
    heard += b"".join(played.call_back(1) for _ in range(15))
    assert heard == said
