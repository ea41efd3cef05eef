"""Tests that marks and the ends of replies depend on what the device has played."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from tests.audio.fake_sounddevice import FakeSoundDevice, device, installed
from tui.audio.formats import AudioFormat, Encoding
from tui.audio.speaker import Speaker
from tui.models.audio_manager import AudioManager

PCM_16K = AudioFormat(Encoding.PCM16, 16_000)
MS = 1_000_000
BLOCK, BLOCK_MS = 320, 20
LEAD_MS = 125
"""Time from a callback until its samples are heard, in ms; the stream itself reports 40."""


def speaker_of(audio: AudioManager) -> Speaker:
    assert audio.playback.speaker
    return audio.playback.speaker


class Desk:
    """A call whose speaker is a fake device, which takes blocks when the test requests it."""

    def __init__(self, sound: FakeSoundDevice) -> None:
        self.sound = sound
        self.now_ns = 1_000 * MS
        self.audio = AudioManager(lambda: self.now_ns)

    async def open(self) -> None:
        await self.audio.configure(input="lines")
        self.audio.playback.prepare(PCM_16K)
        assert self.audio.playback._opening
        await self.audio.playback._opening

    def feed(self, blocks: int) -> None:
        self.audio.playback.play("a", b"\1\0" * (BLOCK * blocks), PCM_16K)

    def take_blocks(self, blocks: int) -> None:
        for _ in range(blocks):
            times: Any = SimpleNamespace(currentTime=7.0, outputBufferDacTime=7.0 + LEAD_MS / 1000)
            self.sound.streams[-1].arguments["callback"](bytearray(2 * BLOCK), BLOCK, times, None)
            self.now_ns += BLOCK_MS * MS


@pytest.fixture
async def desk(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    desk = Desk(installed(monkeypatch, device("Headset", 1, 2)))
    await desk.open()
    yield desk
    await desk.audio.close()


async def test_a_mark_before_any_audio_is_reached_at_once() -> None:
    audio = AudioManager()
    await audio.configure(input="lines", output="none")
    audio.playback.mark("at once")
    assert audio.playback.reached_marks() == ["at once"]
    await audio.close()


async def test_a_mark_is_reached_when_the_device_has_played_the_audio_before_it(desk: Desk) -> None:
    playback = desk.audio.playback
    desk.feed(10)
    playback.mark("ten blocks")
    desk.feed(10)
    playback.mark("twenty blocks")
    desk.take_blocks(10)
    assert playback.reached_marks() == []
    # The tenth block was taken 20 ms ago and plays for 20 ms after its lead.
    desk.now_ns += (LEAD_MS - 1) * MS
    assert playback.reached_marks() == []
    desk.now_ns += MS
    assert playback.reached_marks() == ["ten blocks"]


async def test_a_reply_without_an_end_is_playing_until_the_device_has_played_it(desk: Desk) -> None:
    playback = desk.audio.playback
    assert not playback.playing
    desk.feed(6)
    desk.take_blocks(6)
    assert playback.stats.queued_frames == 0
    waiting = asyncio.ensure_future(playback.drained())
    await asyncio.sleep(3 * BLOCK_MS / 1000)
    assert not waiting.done()
    desk.now_ns += LEAD_MS * MS
    async with asyncio.timeout(5):
        await waiting
    (cut,), _ = await speaker_of(desk.audio).flush()
    assert (cut.heard_ms, cut.unheard_ms) == (120, 0)


async def test_a_flush_reaches_every_mark(desk: Desk) -> None:
    playback = desk.audio.playback
    desk.feed(10)
    playback.mark("queued")
    desk.take_blocks(3)
    assert playback.reached_marks() == []
    (cut,), _ = await speaker_of(desk.audio).flush()
    assert (cut.heard_ms, cut.received_ms) == (0, 200)
    assert playback.reached_marks() == ["queued"]
