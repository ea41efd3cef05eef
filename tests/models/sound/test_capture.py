"""Tests blocks of a device whose rate differs from the agreed rate, and of the silence that replaces them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.audio.fake_sounddevice import FakeSoundDevice, device, installed, invalid_rate
from tui.audio.formats import AudioFormat, Encoding
from tui.models import events as e
from tui.models.audio_manager import AudioManager

PCM_16K = AudioFormat(Encoding.PCM16, 16_000)
BLOCK_NS = 20_000_000


@pytest.fixture
def sound(monkeypatch: pytest.MonkeyPatch) -> FakeSoundDevice:
    """Installs a microphone that supports only 48 kHz."""
    module = installed(monkeypatch, device("Desk", 1, 0), defaults=(0, -1))
    module.refuse = lambda rate: None if rate == 48_000 else invalid_rate()
    return module


@pytest.fixture
async def recording(sound: FakeSoundDevice) -> AsyncIterator[AudioManager]:
    """Yields the audio of a call that records from the microphone."""
    audio = AudioManager()
    await audio.configure(output="none")
    audio.prepare_capture(PCM_16K)
    await audio.capture.start(silent=False)
    yield audio
    await audio.close()


def deliver(sound: FakeSoundDevice) -> None:
    sound.streams[-1].arguments["callback"](b"\5\0" * 960, 960, None, None)


async def test_silence_after_a_device_of_another_rate_ends_when_it_is_due(
    sound: FakeSoundDevice, recording: AudioManager
) -> None:
    captured = recording.capture.blocks()
    deliver(sound)
    await anext(captured)
    await recording.capture.start(silent=True)
    silence = [await anext(captured) for _ in range(6)]
    assert not any(any(block.pcm) for block in silence)
    assert [block.end_ns for block in silence] == [block.captured_ns for block in silence]
    assert silence[-1].end_ns - silence[0].end_ns == 5 * BLOCK_NS


async def test_what_was_delivered_before_the_stop_is_resampled_after_it(
    sound: FakeSoundDevice, recording: AudioManager
) -> None:
    for _ in range(3):
        deliver(sound)
    await recording.capture.stop()
    captured = recording.capture.blocks()
    frames = [len((await anext(captured)).pcm) // 2 for _ in range(3)]
    assert 0 < sum(frames) <= 960


async def test_nothing_is_recorded_once_the_call_is_over(
    sound: FakeSoundDevice, recording: AudioManager
) -> None:
    await recording.close()
    await recording.capture.start(silent=False)
    assert len(sound.streams) == 1
    assert "close" in sound.streams[0].calls


async def test_silence_that_the_program_was_too_late_to_make_is_counted() -> None:
    now_ns = 1_000_000_000
    audio = AudioManager(lambda: now_ns)
    await audio.configure(input="none", output="none")
    audio.prepare_capture(PCM_16K)
    await audio.capture.start(silent=True)
    captured = audio.capture.blocks()
    await anext(captured)
    now_ns += 5_000_000_000
    made = [await anext(captured) for _ in range(50)]
    lost = [event for event in audio.poll(now_ns) if isinstance(event, e.LossCounted)]
    assert [(loss.loss, loss.count) for loss in lost] == [(e.Loss.CAPTURE_DROPPED, 200)]
    assert made[-1].end_ns == now_ns
    await audio.close()
