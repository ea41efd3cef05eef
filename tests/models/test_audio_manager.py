from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tui.assets import caller_lines
from tui.audio.formats import AudioFormat, Encoding
from tui.audio.wav import read_wav
from tui.callbacks import FailureReport, default_reporter
from tui.models import events as e
from tui.models.audio_manager import AudioManager, pcm_of
from tui.models.sound.lines import line_of

PCM_16K = AudioFormat(Encoding.PCM16, 16_000)
OVERFLOW = SimpleNamespace(input_overflow=True)
FINE = SimpleNamespace(input_overflow=False)
HOURS, APPOINTMENT = (line_of(line.path, line.text) for line in caller_lines()[:2])
YES = next(line for line in caller_lines() if line.name == "yes")


@pytest.fixture
async def audio() -> AsyncIterator[AudioManager]:
    """Yields the audio of a call without devices."""
    audio = AudioManager()
    await audio.configure(input="lines", output="none")
    audio.poll(0)
    audio.prepare_capture(PCM_16K)
    yield audio
    await audio.close()


@pytest.fixture
def reports() -> Iterator[list[FailureReport]]:
    """Yields the failures of callbacks that are reported during the test."""
    reports: list[FailureReport] = []
    unsubscribe = default_reporter.subscribe(reports.append)
    yield reports
    unsubscribe()
    default_reporter.clear()


@given(arrays(np.int16, st.integers(0, 400)))
def test_16_bit_capture_stays_bit_exact(samples: np.ndarray[tuple[int], np.dtype[np.int16]]) -> None:
    assert pcm_of(samples) == samples.tobytes()
    assert pcm_of(memoryview(samples.tobytes())) == samples.tobytes()


def test_float_capture_is_scaled_and_clipped() -> None:
    captured = np.array([[0.0], [0.5], [-1.0], [1.0], [2.0], [-3.0]], np.float32)
    assert np.frombuffer(pcm_of(captured), "<i2").tolist() == [0, 16384, -32768, 32767, 32767, -32768]


def test_the_recording_callback_hands_bytes_to_the_callback_that_is_set() -> None:
    audio = AudioManager()
    chunks: list[bytes] = []
    audio.set_audio_chunk_callback(chunks.append)
    audio._recording_callback(np.array([[1], [2]], np.int16), 2, None, FINE)
    audio._recording_callback(np.array([[0.5], [-1.5]], np.float32), 2, None, FINE)
    audio._recording_callback(b"\x03\x00", 1, None, FINE)
    assert chunks == [b"\x01\x00\x02\x00", b"\x00\x40\x00\x80", b"\x03\x00"]


def test_another_chunk_callback_takes_the_place_of_the_one_that_was_set() -> None:
    audio = AudioManager()
    first: list[bytes] = []
    second: list[bytes] = []
    audio.set_audio_chunk_callback(first.append)
    audio.set_audio_chunk_callback(second.append)
    audio._recording_callback(b"\1\0", 1, None, FINE)
    set_now = [audio.on_audio_chunk]
    audio.set_audio_chunk_callback(None)
    audio._recording_callback(b"\2\0", 1, None, FINE)
    assert [*set_now, audio.on_audio_chunk] == [second.append, None]
    assert (first, second) == ([], [b"\1\0"])


async def test_every_observer_of_chunks_sees_what_the_call_gets(audio: AudioManager) -> None:
    set_one: list[bytes] = []
    added: list[bytes] = []
    audio.set_audio_chunk_callback(set_one.append)
    registration = audio.add_audio_chunk_callback(added.append)
    blocks = [bytes([number, 0]) * 320 for number in range(1, 4)]
    for number, block in enumerate(blocks):
        if number == 2:
            registration.unregister()
        audio._recording_callback(block, 320, None, FINE)
    assert await first_blocks(audio, 3) == blocks
    assert (set_one, added) == (blocks, blocks[:2])


async def test_a_failing_chunk_callback_is_reported_and_stops_nothing(
    audio: AudioManager, reports: list[FailureReport]
) -> None:
    def broken(chunk: bytes) -> None:
        raise RuntimeError("broken")

    observed: list[bytes] = []
    audio.set_audio_chunk_callback(broken)
    audio.add_audio_chunk_callback(observed.append)
    for _ in range(3):
        audio._recording_callback(b"\1\0" * 320, 320, None, FINE)
    assert reports == [], "PortAudio's thread reports nothing itself"
    audio.poll(0)
    assert [(report.event, report.message) for report in reports] == [("audio chunk", "broken")]
    assert "broken" in reports[0].callback
    assert len(observed) == 3
    assert await first_blocks(audio, 3) == observed


async def test_samples_of_another_type_are_reported_and_never_escape(
    audio: AudioManager, reports: list[FailureReport]
) -> None:
    audio._recording_callback(np.zeros((320, 1), np.int32), 320, None, FINE)
    audio.poll(0)
    assert [report.message for report in reports] == [
        "capture delivered int32; expected 16-bit integers or floats"
    ]


async def test_overflow_and_late_blocks_are_counted(audio: AudioManager) -> None:
    for _ in range(120):
        audio._recording_callback(bytes(640), 320, None, OVERFLOW)
    losses = {event.loss: event.count for event in audio.poll(0) if isinstance(event, e.LossCounted)}
    assert losses == {e.Loss.CAPTURE_OVERFLOW: 120, e.Loss.CAPTURE_DROPPED: 20}


async def first_blocks(audio: AudioManager, count: int) -> list[bytes]:
    blocks: list[bytes] = []
    async with asyncio.timeout(10):
        async for _, _, block in audio.capture.blocks():
            blocks.append(await audio.capture.chain.execute_chain(block))
            if len(blocks) == count:
                break
    return blocks


async def test_a_line_is_spoken_bit_exact_on_the_microphones_path_with_progress(audio: AudioManager) -> None:
    recorded = read_wav(YES.path, 16_000)
    progress: list[float] = []
    audio.capture.lines.add_progress_callback(progress.append)
    await audio.capture.start(silent=True)
    await audio.capture.lines.speak(line_of(YES.path))
    blocks = await first_blocks(audio, -(-len(recorded) // 640))
    assert b"".join(blocks)[: len(recorded)] == recorded
    assert progress == sorted(progress)
    assert progress[-1] == 1
    changes = [event.finished for event in audio.poll(0) if isinstance(event, e.LineChanged)]
    assert changes == [False, True]


async def test_a_wav_file_is_the_microphone(audio: AudioManager) -> None:
    await audio.configure(input=str(YES.path), output="none")
    await audio.capture.start(silent=False)
    blocks = await first_blocks(audio, 10)
    assert b"".join(blocks) == read_wav(YES.path, 16_000)[: 10 * 640]


async def test_digital_silence_of_a_recording_is_no_muted_microphone(audio: AudioManager) -> None:
    await audio.capture.start(silent=True)
    captured = audio.capture.blocks()
    for block in [b"\5\0" * 320, *[bytes(640)] * 300]:
        audio._recording_callback(block, 320, None, FINE)
        await anext(captured)
    assert not [event for event in audio.poll(0) if isinstance(event, e.ConditionChanged)]


async def test_recorded_lines_follow_each_other_when_they_are_the_microphone(audio: AudioManager) -> None:
    await audio.configure(input="lines", output="none", lines=[HOURS, APPOINTMENT])
    for _ in range(3):
        await audio.capture.start(silent=False)
        await audio.capture.stop()
    names = [event.name for event in audio.poll(0) if isinstance(event, e.LineChanged) and not event.finished]
    assert names == [HOURS.name, APPOINTMENT.name, HOURS.name]


async def test_the_newest_of_two_lines_is_spoken_and_a_stop_counts_too(audio: AudioManager) -> None:
    audio.prepare_capture(AudioFormat(Encoding.PCM16, 24_000))
    await asyncio.gather(audio.capture.lines.speak(HOURS), audio.capture.lines.speak(APPOINTMENT))
    reading = asyncio.ensure_future(audio.capture.lines.speak(HOURS))
    await asyncio.sleep(0)
    audio.capture.lines.stop()
    await reading
    told = [(event.name, event.finished) for event in audio.poll(0) if isinstance(event, e.LineChanged)]
    assert told == [(APPOINTMENT.name, False), (APPOINTMENT.name, True)]
    assert not audio.capture.lines.speaking


async def test_a_stop_holds_while_the_line_to_be_spoken_is_still_read(audio: AudioManager) -> None:
    await audio.configure(input="lines", output="none", lines=[HOURS])
    starting = asyncio.ensure_future(audio.capture.start(silent=False))
    await asyncio.sleep(0)
    await audio.capture.stop()
    await starting
    assert not audio.capture.microphone.delivering
    assert not audio.capture.lines.speaking


async def test_an_unreadable_line_is_an_error_and_no_end(audio: AudioManager, tmp_path: Path) -> None:
    await audio.capture.lines.speak(line_of(tmp_path / "missing.wav"))
    (error,) = audio.poll(0)
    assert isinstance(error, e.ErrorRaised)
    assert "missing.wav" in error.message


async def played(audio: AudioManager, *replies: tuple[AudioFormat, bytes]) -> list[e.SessionEvent]:
    """Plays replies to their ends; returns the events."""
    for number, (audio_format, wire) in enumerate(replies):
        audio.playback.begin(str(number), audio_format)
        audio.playback.play(str(number), wire)
        audio.playback.end(str(number))
    events: list[e.SessionEvent] = []
    async with asyncio.timeout(10):
        while sum(isinstance(event, e.PlaybackEnded) for event in events) < len(replies):
            events += audio.poll(time.monotonic_ns())
            await asyncio.sleep(0.005)
    return events


async def test_replies_of_other_rates_and_laws_are_played_whole(audio: AudioManager) -> None:
    mulaw = AudioFormat(Encoding.MULAW, 8_000)
    events = await played(audio, (PCM_16K, bytes(3200)), (mulaw, b"\xff" * 800))
    assert [x.heard_ms for x in events if isinstance(x, e.PlaybackEnded)] == [100, 100]


async def test_an_odd_byte_at_the_end_is_said(audio: AudioManager) -> None:
    events = await played(audio, (PCM_16K, bytes(641)))
    assert [x.code for x in events if isinstance(x, e.ErrorRaised)] == ["odd-byte"]


async def test_what_is_written_to_a_file_is_what_was_heard(audio: AudioManager, tmp_path: Path) -> None:
    await audio.configure(input="lines", output=str(tmp_path / "heard.wav"))
    tone = np.full(4_000, 1_000, "<i2").tobytes()
    await played(audio, (PCM_16K, tone))
    await audio.close()
    assert tone in read_wav(tmp_path / "heard.wav", 16_000)


async def test_volume_is_bounded_and_outlives_a_call(audio: AudioManager) -> None:
    audio.volume = 9
    assert audio.volume == 2
    await audio.configure(input="lines", output="none")
    assert audio.volume == 2


async def test_without_portaudio_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPUSAGENT_TUI_HIDE_PORTAUDIO", "1")
    audio = AudioManager()
    await audio.configure()
    notice, opened = audio.poll(0)
    assert isinstance(notice, e.NoticeRaised)
    assert "PortAudio" in notice.text
    assert "recorded lines replace the microphone" in notice.text
    assert notice.hint
    assert isinstance(opened, e.AudioOpened)
    assert (opened.capture, opened.playback) == ("caller lines", "none")
