"""Tests the clip player on a speaker that the test drives block by block."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.audio.fake_sounddevice import FakeSoundDevice, PortAudioError, device, unavailable
from tests.audio.signals import tone
from tui.audio import devices
from tui.audio.formats import AudioFormat, Encoding
from tui.audio.wav import WavWriter
from tui.engine.clip_player import ClipPlayer
from tui.engine.wire import PlayAudio, PlayingAudio

RATE = 16_000
BLOCK_NS = 20_000_000
PCM = AudioFormat(Encoding.PCM16, RATE)
SOUND = tone(RATE, 1.0)
LIMIT_S = 10
TIMES = SimpleNamespace(currentTime=7.0, outputBufferDacTime=7.04)


class Desk:
    """A clip player, the frames that it emits, and its speaker."""

    def __init__(self, portaudio: FakeSoundDevice) -> None:
        self.portaudio = portaudio
        self.now_ns = 1_000_000_000
        self.reported: list[PlayingAudio] = []
        self.player = ClipPlayer(self.reported.append, clock_ns=lambda: self.now_ns)
        self.heard = b""

    def block(self) -> None:
        """Plays 20 ms of the latest stream."""
        self.now_ns += BLOCK_NS
        stream = self.portaudio.streams[-1] if self.portaudio.streams else None
        if stream is not None and stream.active:
            out = bytearray(RATE * 2 // 50)
            stream.arguments["callback"](memoryview(out), RATE // 50, TIMES, None)
            self.heard += bytes(out)

    async def until(self, condition: Callable[[], bool], *, blocks: bool = True) -> None:
        async with asyncio.timeout(LIMIT_S):
            while not condition():
                if blocks:
                    self.block()
                await asyncio.sleep(0.002)

    @property
    def ended(self) -> bool:
        return bool(self.reported) and not self.reported[-1].playing


@pytest.fixture
def portaudio(monkeypatch: pytest.MonkeyPatch) -> FakeSoundDevice:
    monkeypatch.delenv(devices.HIDE_VARIABLE, raising=False)
    fake = FakeSoundDevice(device("Desk", 0, 2), defaults=(-1, 0))
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    return fake


@pytest.fixture
async def desk(portaudio: FakeSoundDevice) -> AsyncIterator[Desk]:
    desk = Desk(portaudio)
    yield desk
    await desk.player.close()


async def test_a_clip_is_heard_whole_and_the_playhead_goes_along(
    desk: Desk, portaudio: FakeSoundDevice
) -> None:
    desk.player.play(PlayAudio(clip=4, wire=SOUND, format=PCM, start_ms=200, end_ms=700))
    await desk.until(lambda: desk.ended)
    await desk.player.close()
    assert desk.heard.strip(b"\0") in SOUND[6_400:22_400]
    assert len(desk.heard.strip(b"\0")) > 15_900
    reached = [playing.at_ms for playing in desk.reported]
    assert reached == sorted(reached)
    assert 200 <= reached[0] < 700 == reached[-1]  # a busy loop reports later, but the same values
    assert {playing.clip for playing in desk.reported} == {4}
    assert portaudio.streams[-1].calls[-1] == "close"


async def test_the_newest_clip_replaces_the_previous_one_on_the_same_stream(
    desk: Desk, portaudio: FakeSoundDevice, tmp_path: Path
) -> None:
    path = tmp_path / "long.wav"
    with WavWriter(path, RATE) as file:
        file.write(tone(RATE, 30))

    desk.player.play(PlayAudio(clip=1, path=str(path)))
    await desk.until(lambda: any(playing.at_ms > 100 for playing in desk.reported))
    desk.player.play(PlayAudio(clip=2, path=str(path), start_ms=20_000))
    await desk.until(lambda: desk.reported[-1].clip == 2 and desk.reported[-1].at_ms > 20_100)
    desk.player.play(PlayAudio(clip=3))
    await desk.until(lambda: desk.ended)
    assert desk.reported[-1].clip == 3
    assert not any(playing.clip == 2 and playing.at_ms < 20_000 for playing in desk.reported)
    assert len(portaudio.streams) == 1
    assert portaudio.streams[0].calls.count("abort") == 2


@pytest.mark.parametrize("output", ["none", "auto"])
async def test_a_file_that_cannot_be_read_is_reported(desk: Desk, output: str) -> None:
    desk.player.play(PlayAudio(path="/nowhere/audio.wav", output=output))
    await desk.until(lambda: desk.ended)
    assert desk.reported[-1].problem == "/nowhere/audio.wav does not exist."


async def test_a_machine_without_sound_is_reported(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(devices.HIDE_VARIABLE, "1")
    desk.player.play(PlayAudio(wire=SOUND, format=PCM))
    await desk.until(lambda: desk.ended)
    assert "PortAudio is not installed" in desk.reported[-1].problem


async def test_a_device_that_is_busy_disappears_or_hangs_ends_the_clip_with_a_sentence(
    desk: Desk, portaudio: FakeSoundDevice
) -> None:
    portaudio.refuse = lambda rate: unavailable()
    desk.player.play(PlayAudio(wire=SOUND, format=PCM))
    await desk.until(lambda: desk.ended)
    assert "in use by another program" in desk.reported[-1].problem

    portaudio.refuse = lambda rate: None
    happenings: list[tuple[Callable[[], None], str]] = [
        (lambda: portaudio.streams[-1].end(), "Desk has disappeared"),
        (lambda: setattr(desk, "now_ns", desk.now_ns + 3_000_000_000), "Desk is not accepting audio"),
        (devices.refresh_devices, "Desk has disappeared"),
    ]
    for happens, sentence in happenings:
        desk.reported.clear()
        desk.player.play(PlayAudio(wire=SOUND, format=PCM))
        await desk.until(lambda: bool(desk.reported))
        happens()
        await desk.until(lambda: desk.ended, blocks=False)
        assert sentence in desk.reported[-1].problem


async def test_a_clip_without_a_speaker_takes_as_long_as_it_would_play(
    desk: Desk, portaudio: FakeSoundDevice
) -> None:
    desk.player = ClipPlayer(desk.reported.append)
    desk.player.play(PlayAudio(wire=SOUND, format=PCM, start_ms=800, output="none"))
    await desk.until(lambda: desk.ended)
    assert desk.reported[-1].at_ms == 1_000
    assert portaudio.streams == []


async def test_a_player_that_is_closed_while_it_opens_the_speaker_releases_it(
    desk: Desk, portaudio: FakeSoundDevice
) -> None:
    opening, open_on = threading.Event(), threading.Event()

    def hold_up(rate: int) -> None:
        opening.set()
        assert open_on.wait(10)

    portaudio.refuse = hold_up
    desk.player.play(PlayAudio(wire=SOUND, format=PCM))
    await desk.until(opening.is_set)
    closing = asyncio.ensure_future(desk.player.close())
    await asyncio.sleep(0)
    open_on.set()
    await closing
    assert [stream.calls[-1] for stream in portaudio.streams] == ["close"]


async def test_a_speaker_that_does_not_start_is_released(desk: Desk, portaudio: FakeSoundDevice) -> None:
    portaudio.start_failure = PortAudioError("Host error", -9999)
    desk.player.play(PlayAudio(wire=SOUND, format=PCM))
    await desk.until(lambda: desk.ended)
    assert "failed to start" in desk.reported[-1].problem
    assert portaudio.streams[0].calls == ["start", "close"]
