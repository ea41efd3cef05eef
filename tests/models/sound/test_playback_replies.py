"""Tests that each reply has one record, regardless of how many replies were interrupted."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tui.audio.formats import AudioFormat, Encoding
from tui.models import events as e
from tui.models.audio_manager import AudioManager

PCM_16K = AudioFormat(Encoding.PCM16, 16_000)
MULAW_8K = AudioFormat(Encoding.MULAW, 8_000)
TEN_MS = bytes(320)
QUIET, LOUD = b"\x01\x00" * 160, b"\x00\x10" * 160
"""10 ms of audio each, far below -32 dBFS and at -18 dBFS."""


@pytest.fixture
async def audio() -> AsyncIterator[AudioManager]:
    """Yields the audio of a call to which nobody listens."""
    audio = AudioManager()
    await audio.configure(input="lines", output="none")
    yield audio
    await audio.close()


async def flush(audio: AudioManager) -> None:
    assert audio.playback.speaker
    await audio.playback.speaker.flush()


async def test_300_flushed_replies_are_counted_also_if_half_of_them_never_ended(audio: AudioManager) -> None:
    playback = audio.playback
    for number in range(300):
        reply = str(number)
        playback.begin(reply, PCM_16K)
        playback.play(reply, TEN_MS)
        await flush(audio)
        playback.play(reply, TEN_MS)
        if number % 2:
            playback.end(reply)
    assert playback.stats.unheard_frames == 300 * 2 * 160


async def test_the_length_of_a_reply_includes_what_came_after_its_flush(audio: AudioManager) -> None:
    playback = audio.playback
    playback.begin("a", PCM_16K)
    playback.play("a", TEN_MS)
    playback.begin("b", MULAW_8K)
    playback.play("b", b"\xff" * 800)
    await flush(audio)
    playback.play("a", 3 * TEN_MS)
    assert playback.end("a") == 40
    assert playback.end("b") == 100
    assert playback.end("a") is None, "it has ended already"
    assert playback.end("c") is None, "it never began"


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ([QUIET, LOUD, QUIET], []),
        ([LOUD, QUIET], [e.Condition.CLIPPED_START]),
        ([QUIET, LOUD], [e.Condition.CLIPPED_END]),
        ([b"", LOUD], [e.Condition.CLIPPED_START, e.Condition.CLIPPED_END]),
    ],
)
async def test_a_reply_that_starts_or_ends_in_the_middle_of_a_sound_is_reported(
    audio: AudioManager, chunks: list[bytes], expected: list[e.Condition]
) -> None:
    audio.playback.begin("a", PCM_16K)
    for chunk in chunks:
        audio.playback.play("a", chunk)
    audio.playback.end("a")
    clipped = [event for event in audio.poll(0) if isinstance(event, e.ConditionChanged)]
    assert [event.condition for event in clipped] == expected
    assert all("mid-sound (-18 dBFS)" in event.text for event in clipped)


async def test_the_end_of_a_flushed_reply_is_not_reported_as_clipped(audio: AudioManager) -> None:
    audio.playback.begin("a", PCM_16K)
    audio.playback.play("a", QUIET + LOUD)
    await flush(audio)
    audio.playback.end("a")
    assert not [event for event in audio.poll(0) if isinstance(event, e.ConditionChanged)]
