from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest

from tests.audio.fake_sounddevice import FakeSoundDevice, device, installed
from tui.audio.formats import AudioFormat, Encoding
from tui.models.audio_manager import AudioManager

TIMES = SimpleNamespace(currentTime=7.0, outputBufferDacTime=7.04)
"""Times that PortAudio passes to a callback."""
PCM_16K = AudioFormat(Encoding.PCM16, 16_000)
PCM_24K = AudioFormat(Encoding.PCM16, 24_000)


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> FakeSoundDevice:
    return installed(monkeypatch, device("Headset", 1, 2))


@pytest.fixture
async def audio(desk: FakeSoundDevice) -> AsyncIterator[AudioManager]:
    """Yields the audio of a call whose agent is expected to send 24 kHz."""
    audio = AudioManager()
    await audio.configure(input="lines")
    audio.playback.prepare(PCM_24K)
    yield audio
    await audio.close()


async def opened(audio: AudioManager) -> None:
    assert audio.playback._opening
    await audio.playback._opening


async def test_the_speaker_plays_silence_before_the_first_reply(
    desk: FakeSoundDevice, audio: AudioManager
) -> None:
    await opened(audio)
    (stream,) = desk.streams
    assert stream.arguments["samplerate"] == 24_000
    # A device takes its first blocks in one burst, which must not drain the queue at the start of a reply.
    out = bytearray(960)
    stream.arguments["callback"](out, 480, TIMES, None)
    audio.playback.begin("a", PCM_24K)
    audio.playback.play("a", b"\1\0" * 4800)
    stream.arguments["callback"](out, 480, TIMES, None)
    assert bytes(out) == b"\1\0" * 480


async def test_a_first_reply_at_another_rate_reopens_the_speaker(
    desk: FakeSoundDevice, audio: AudioManager
) -> None:
    audio.playback.begin("a", PCM_16K)
    await opened(audio)
    foreseen, real = desk.streams
    assert foreseen.calls[-1] == "close"
    assert real.arguments["samplerate"] == 16_000
    audio.playback.play("a", b"\1\0" * 3200)
    # Later replies are resampled, because reopening the speaker would interrupt playback.
    audio.playback.begin("b", PCM_24K)
    await opened(audio)
    assert len(desk.streams) == 2
