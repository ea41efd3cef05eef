from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.audio.fake_sounddevice import (
    FakeSoundDevice,
    FakeStream,
    HeldUp,
    PortAudioError,
    device,
    installed,
)
from tests.waiting import wait_for
from tui.audio import devices
from tui.audio.devices import AudioDeviceError, find_device
from tui.audio.endpoints import OutputKind
from tui.audio.queue import PlaybackQueue
from tui.audio.speaker import Speaker
from tui.audio.wav import read_wav

MS = 1_000_000
RATE, BLOCK = 16_000, 320
STATED_LATENCY_MS = 40


class Played:
    """A speaker on a fake device whose callbacks the test calls."""

    def __init__(self, sound: FakeSoundDevice) -> None:
        self.now_ns = 1000 * MS
        self.queue = PlaybackQueue(RATE)
        self.speaker = Speaker(self.queue, block_ms=20, latency="low", clock_ns=lambda: self.now_ns)
        self.sound = sound

    async def open(self) -> None:
        await self.speaker.open(find_device("auto", "output"))

    def call_back(self, lead_ms: float, *, underflow: bool = False, wait_ms: int = 20) -> bytes:
        out = bytearray(2 * BLOCK)
        # PortAudio's clock differs from Python's, so only differences are meaningful.
        time = SimpleNamespace(currentTime=7.0, outputBufferDacTime=7.0 + lead_ms / 1000)
        status: Any = SimpleNamespace(output_underflow=True) if underflow else None
        self.sound.streams[-1].arguments["callback"](memoryview(out), BLOCK, time, status)
        assert self.speaker.take_callback_error() is None
        self.now_ns += wait_ms * MS
        return bytes(out)


@pytest.fixture
async def played(monkeypatch: pytest.MonkeyPatch) -> Played:
    assert FakeStream(finished_callback=None).latency == STATED_LATENCY_MS / 1000
    played = Played(installed(monkeypatch, device("Speaker", 0, 2), defaults=(-1, 0)))
    await played.open()
    return played


async def test_a_frame_is_dated_by_its_callbacks_lead_not_by_the_stated_latency(played: Played) -> None:
    for _ in range(10):
        played.call_back(125)
    assert played.speaker.heard_at_ns(3 * BLOCK) == (1000 + 3 * 20 + 125) * MS


@pytest.mark.parametrize("lead_ms", [0, -3, 5_000])
async def test_a_host_without_a_usable_lead_is_dated_by_its_stated_latency(
    played: Played, lead_ms: float
) -> None:
    for _ in range(10):
        played.call_back(lead_ms)
    assert played.speaker.heard_at_ns(3 * BLOCK) == (1000 + 3 * 20 + STATED_LATENCY_MS) * MS


async def test_audio_for_a_device_that_has_run_dry_waits_for_the_next_block(played: Played) -> None:
    pcm = np.arange(1, 4 * BLOCK + 1, dtype="<i2").tobytes()
    played.queue.feed("r", pcm, played.now_ns)
    played.queue.end("r")
    heard = [played.call_back(40)]
    played.sound.streams[-1].time = 7.041
    heard.append(played.call_back(40))  # arrived after the device had run dry
    played.sound.streams[-1].time = 7.0
    heard += [played.call_back(40, underflow=True), played.call_back(40), played.call_back(40)]
    assert heard[1] == bytes(2 * BLOCK)
    assert heard[0] + b"".join(heard[2:]) == pcm


async def test_a_host_with_two_different_clocks_is_still_played_to(played: Played) -> None:
    played.sound.streams[-1].time = 9.0
    pcm = np.arange(1, 4 * BLOCK + 1, dtype="<i2").tobytes()
    played.queue.feed("r", pcm, played.now_ns)
    played.queue.end("r")
    assert b"".join(played.call_back(40) for _ in range(4)) == pcm


async def test_an_underflow_of_the_device_delays_what_follows(played: Played) -> None:
    for _ in range(50):
        played.call_back(45)
    played.now_ns += 33 * MS
    for index in range(3):
        played.call_back(45, underflow=index == 0)
    assert played.speaker.heard_at_ns(50 * BLOCK) == (1000 + 50 * 20 + 33 + 45) * MS


async def test_a_flush_counts_the_audio_in_the_device_as_unheard(played: Played) -> None:
    played.queue.feed("a", b"\1\0" * (50 * BLOCK), played.now_ns)
    for _ in range(10):
        played.call_back(120)
    played.now_ns -= 20 * MS
    (cut,), _ = await played.speaker.flush()
    assert cut.handed_frames - cut.heard_frames == (120 + 20) * 16


async def test_reopening_a_device_loses_no_audio(played: Played) -> None:
    pcm = np.arange(1, 20 * BLOCK + 1, dtype="<i2").tobytes()
    played.queue.feed("a", pcm, played.now_ns)
    heard = b"".join(played.call_back(1) for _ in range(5))
    opening = asyncio.ensure_future(played.speaker.reopen(find_device("auto", "output")))
    await asyncio.sleep(0)
    # While the device plays its buffer, it receives silence, and the queue waits.
    assert not any(played.call_back(1) + played.call_back(1))
    await opening
    assert len(played.sound.streams) == 2
    heard += b"".join(played.call_back(1) for _ in range(15))
    assert heard == pcm


async def hear(played: Played, blocks: int = 10) -> None:
    """Plays the first blocks of a long reply."""
    played.queue.feed("a", b"\1\0" * (50 * BLOCK), played.now_ns)
    for _ in range(blocks):
        played.call_back(20)


GOES: dict[str, Any] = {
    "unplugged": lambda stream: stream.end(),
    "taken away": lambda stream: devices.refresh_devices(),
    "refuses to start again": lambda stream: setattr(stream, "failure", PortAudioError("Host error", -9999)),
}


@pytest.mark.parametrize("goes", GOES)
async def test_a_flush_of_a_vanished_device_still_returns_what_was_heard(played: Played, goes: str) -> None:
    await hear(played)
    GOES[goes](played.sound.streams[0])
    (cut,), silent_ns = await played.speaker.flush()
    assert 0 < cut.heard_frames <= 10 * BLOCK
    assert silent_ns == played.now_ns
    assert played.speaker.vanished, "so it is reopened"
    await played.speaker.close()


async def test_a_flush_does_not_touch_a_device_that_is_being_closed(
    played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    await hear(played)
    (stream,) = played.sound.streams
    closing = HeldUp()
    close = stream.close

    def close_late(ignore_errors: bool = True) -> None:
        closing()
        close()

    monkeypatch.setattr(stream, "close", close_late)
    closing_it = asyncio.ensure_future(played.speaker.close())
    await wait_for(closing.began.is_set)
    (cut,), _ = await played.speaker.flush()
    closing.let_go()
    await closing_it
    assert cut.unheard_frames
    assert stream.calls == ["start", "close"]


async def test_a_speaker_closed_while_it_is_reopened_stays_closed(played: Played) -> None:
    opening = HeldUp()
    played.sound.refuse = opening
    reopening = asyncio.ensure_future(played.speaker.reopen(find_device("auto", "output")))
    await wait_for(opening.began.is_set)
    closing = asyncio.ensure_future(played.speaker.close())
    await asyncio.sleep(0)
    opening.let_go()
    await asyncio.gather(reopening, closing)
    await played.speaker.reopen(find_device("auto", "output"))
    assert len(played.sound.streams) == 2
    assert all("close" in stream.calls for stream in played.sound.streams)
    assert played.speaker.callback_ns is None


async def test_a_device_that_does_not_start_leaves_playback_to_the_file(
    played: Played, tmp_path: Path
) -> None:
    path = tmp_path / "heard.wav"
    queue = PlaybackQueue(RATE)
    speaker = Speaker(queue, block_ms=20, latency="low", clock_ns=lambda: 0)
    speaker.start_without_device(OutputKind.FILE, str(path))
    played.sound.start_failure = PortAudioError("Host error", -9999)
    with pytest.raises(AudioDeviceError, match="failed to start"):
        await speaker.reopen(find_device("auto", "output"))
    assert played.sound.streams[-1].calls == ["start", "close"]
    assert speaker.device is None
    pcm = np.arange(1, 3 * BLOCK + 1, dtype="<i2").tobytes()
    queue.feed("a", pcm, 0)
    for now_ms in range(20, 420, 20):
        speaker.catch_up(now_ms * 1_000_000)
    await speaker.close()
    assert pcm in read_wav(path, RATE)
