"""Tests switching devices before the first sound, during a call and from none, and reopening them during a call."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from tests.audio.fake_sounddevice import FakeSoundDevice, FakeStream, HeldUp, device, installed, unavailable
from tests.waiting import wait_for
from tui.assets import caller_lines
from tui.audio.formats import AudioFormat, Encoding
from tui.models import events as e
from tui.models.audio_manager import AudioManager
from tui.models.sound.lines import line_of
from tui.models.turns.metrics import MetricsFold, Stalls

PCM_16K = AudioFormat(Encoding.PCM16, 16_000)
LINES = [line_of(line.path) for line in caller_lines()[:2]]
TIMES: Any = SimpleNamespace(currentTime=0.0, outputBufferDacTime=0.04, inputBufferAdcTime=0.0)


@pytest.fixture
def sound(monkeypatch: pytest.MonkeyPatch) -> FakeSoundDevice:
    return installed(monkeypatch, device("Desk", 2, 2), device("Headset", 1, 2), device("Deaf", 0, 2))


@pytest.fixture
async def silent(sound: FakeSoundDevice) -> AsyncIterator[AudioManager]:
    """Yields the audio of a call before the first sound."""
    audio = AudioManager()
    await audio.configure()
    audio.prepare_capture(PCM_16K)
    yield audio
    await audio.close()


async def speak(audio: AudioManager) -> None:
    """Starts recording, and opens the speaker with a reply."""
    await audio.capture.start(silent=False)
    audio.playback.begin("a", PCM_16K)
    audio.playback.play("a", bytes(3200))
    await audio.playback.opened()


@pytest.fixture
async def audio(silent: AudioManager) -> AudioManager:
    """Returns the audio of a call in which both speak."""
    await speak(silent)
    return silent


@pytest.fixture
async def deviceless(sound: FakeSoundDevice) -> AsyncIterator[AudioManager]:
    """Yields the audio of a call in which recorded lines are the microphone, and nobody hears the agent."""
    audio = AudioManager()
    await audio.configure(input="lines", output="none", lines=LINES)
    audio.prepare_capture(PCM_16K)
    await speak(audio)
    yield audio
    await audio.close()


def names(events: list[e.SessionEvent]) -> list[tuple[str, str]]:
    return [(event.capture, event.playback) for event in events if isinstance(event, e.AudioOpened)]


def errors(events: list[e.SessionEvent]) -> list[str]:
    return [event.message for event in events if isinstance(event, e.ErrorRaised)]


def poll(audio: AudioManager) -> list[e.SessionEvent]:
    return audio.poll(time.monotonic_ns())


def open_on(sound: FakeSoundDevice) -> list[tuple[str, int]]:
    """Returns the direction and device of each open stream."""
    return [
        (str(stream.arguments["kind"]), int(stream.arguments["device"]))
        for stream in sound.streams
        if "close" not in stream.calls
    ]


def deliver(stream: FakeStream, pcm: bytes) -> None:
    stream.arguments["callback"](pcm, len(pcm) // 2, TIMES, None)


async def test_what_is_chosen_before_the_first_sound_is_opened_with_it(
    sound: FakeSoundDevice, silent: AudioManager
) -> None:
    await silent.switch("input", "Headset")
    await silent.switch("output", "Headset")
    assert names(poll(silent))[-1] == ("Headset", "Headset")
    assert sound.streams == []
    await speak(silent)
    assert open_on(sound) == [("input", 1), ("output", 1)]


async def test_both_are_switched_in_mid_call(sound: FakeSoundDevice, audio: AudioManager) -> None:
    await audio.switch("input", "1")
    await audio.switch("output", "Headset")
    assert open_on(sound) == [("input", 1), ("output", 1)]
    assert names(poll(audio))[-1] == ("Headset", "Headset")
    await audio.close()
    assert open_on(sound) == []


async def test_a_device_takes_the_place_of_none_and_of_recorded_lines(
    sound: FakeSoundDevice, deviceless: AudioManager
) -> None:
    assert open_on(sound) == []
    await deviceless.switch("input", "Desk")
    await deviceless.switch("output", "Desk")
    assert open_on(sound) == [("input", 0), ("output", 0)]
    speaker = deviceless.playback.speaker
    assert speaker is not None
    pulled = speaker.queue.pulled_frames
    await asyncio.sleep(0.05)
    assert speaker.queue.pulled_frames == pulled, (
        "the clock of nobody's speaker does not go on beside the device"
    )


async def test_a_device_that_cannot_be_opened_leaves_all_as_it_was(
    sound: FakeSoundDevice, audio: AudioManager
) -> None:
    await audio.switch("output", "Deaf and dumb")
    await audio.switch("input", "Deaf")
    assert len(errors(poll(audio))) == 2
    busy = iter([None, unavailable()])
    sound.refuse = lambda rate: next(busy, None)
    await audio.switch("output", "Headset")
    assert errors(poll(audio)) == [
        "Headset is in use by another program. Close that program or choose another device."
    ]
    assert sorted(open_on(sound)) == [("input", 0), ("output", 0)]


async def test_a_switch_that_fails_leaves_recorded_lines_and_nobodys_speaker(
    sound: FakeSoundDevice, deviceless: AudioManager
) -> None:
    sound.refuse = lambda rate: unavailable()
    await deviceless.switch("input", "Headset")
    await deviceless.switch("output", "Headset")
    assert deviceless.capture.lines.speaking
    await deviceless.capture.stop()
    await deviceless.capture.start(silent=False)
    events = poll(deviceless)
    assert len(errors(events)) == 2
    assert names(events)[-1] == ("caller lines", "none")
    assert [event.name for event in events if isinstance(event, e.LineChanged) and not event.finished] == [
        line.name for line in LINES
    ]
    assert deviceless.playback.speaker is not None
    queue = deviceless.playback.speaker.queue
    before = queue.pulled_frames
    await wait_for(lambda: poll(deviceless) or queue.pulled_frames > before)
    assert open_on(sound) == []


@pytest.mark.parametrize("asked", ["another device", "the same with more latency"])
async def test_a_device_that_is_being_opened_as_the_call_ends_is_given_back(
    sound: FakeSoundDevice, audio: AudioManager, asked: str
) -> None:
    opening = HeldUp()
    speaker = audio.playback.speaker
    assert speaker is not None
    sound.refuse = opening
    doing = (
        audio.switch("output", "Headset") if asked == "another device" else audio._care.open_again(speaker)
    )
    working = asyncio.ensure_future(doing)
    await wait_for(opening.began.is_set)
    closing = asyncio.ensure_future(audio.close())
    await asyncio.sleep(0)
    opening.let_go()
    await asyncio.gather(working, closing)
    assert open_on(sound) == []


async def test_a_call_is_not_over_before_devices_are_listed_again_or_the_next_one_would_lose_its_streams(
    sound: FakeSoundDevice, audio: AudioManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = HeldUp()
    monkeypatch.setattr(sound, "_terminate", listing)
    looking = asyncio.ensure_future(audio.rescan())
    await wait_for(listing.began.is_set)
    closing = asyncio.ensure_future(audio.close())
    await asyncio.sleep(0.05)
    assert not closing.done()
    listing.let_go()
    await asyncio.gather(looking, closing)
    assert open_on(sound) == []


async def test_nothing_is_opened_any_more_once_the_call_is_over(
    sound: FakeSoundDevice, audio: AudioManager
) -> None:
    await audio.close()
    streams = len(sound.streams)
    await audio.switch("output", "Headset")
    await audio.switch("input", "Headset")
    await audio.rescan()
    assert len(sound.streams) == streams


async def test_rescanning_opens_both_again_and_blames_none(
    sound: FakeSoundDevice, audio: AudioManager
) -> None:
    before = list(sound.streams)
    poll(audio)
    looking = asyncio.ensure_future(audio.rescan())
    events: list[e.SessionEvent] = []
    while not looking.done():
        events += poll(audio)
        await asyncio.sleep(0)
    events += poll(audio)
    assert sound.refreshed
    assert not [event for event in events if isinstance(event, e.ConditionChanged | e.ErrorRaised)]
    assert all("close" in stream.calls for stream in before)
    assert sorted(open_on(sound)) == [("input", 0), ("output", 0)]


async def test_a_microphone_that_delivered_only_zeros_is_well_again_when_reopened(
    sound: FakeSoundDevice, silent: AudioManager
) -> None:
    captured = silent.capture.blocks()
    told: list[bool] = []

    async def hear(pcm: bytes, blocks: int) -> None:
        for _ in range(blocks):
            deliver(sound.streams[-1], pcm)
            await anext(captured)
        events = poll(silent)
        told.extend(
            event.active
            for event in events
            if isinstance(event, e.ConditionChanged) and event.condition is e.Condition.ONLY_ZEROS
        )

    await silent.capture.start(silent=False)
    await hear(bytes(640), 60)
    await silent.capture.stop()
    await silent.capture.start(silent=False)
    await hear(b"\5\0" * 320, 2)
    assert told == [True, False]


def dropped(events: list[e.SessionEvent]) -> list[tuple[float, str]]:
    return [
        (event.count, event.detail)
        for event in events
        if isinstance(event, e.LossCounted) and event.loss is e.Loss.CAPTURE_DROPPED
    ]


class Stalling:
    """A call that records from a device, with a fake clock."""

    def __init__(self, sound: FakeSoundDevice) -> None:
        self.sound = sound
        self.now_ns = 1_000_000_000
        self.audio = AudioManager(lambda: self.now_ns)
        self.events: list[e.SessionEvent] = []

    async def start(self) -> None:
        await self.audio.configure()
        self.audio.prepare_capture(PCM_16K)
        await self.audio.capture.start(silent=False)

    def deliver(self) -> None:
        deliver(self.sound.streams[-1], b"\5\0" * 320)
        self.events += self.audio.poll(self.now_ns)

    def wait(self, ms: int) -> None:
        """Advances the time without delivering blocks, and polls often, as in a call."""
        for _ in range(ms // 10):
            self.now_ns += 10_000_000
            self.events += self.audio.poll(self.now_ns)

    async def stall(self) -> None:
        """Waits as long as it takes to reopen the stream."""
        streams = len(self.sound.streams)
        self.deliver()
        self.wait(1_000)
        await wait_for(lambda: len(self.sound.streams) > streams)


@pytest.fixture
async def call(sound: FakeSoundDevice) -> AsyncIterator[Stalling]:
    call = Stalling(sound)
    await call.start()
    yield call
    await call.audio.close()


async def test_what_passed_while_a_stalled_microphone_was_opened_again_is_counted(call: Stalling) -> None:
    await call.stall()
    call.wait(40)
    assert dropped(call.events) == []
    call.deliver()
    call.now_ns += 20_000_000
    call.deliver()
    # 1,040 ms from callback to callback; the second callback delivered the last 20 ms.
    assert dropped(call.events) == [(51, "1,020 ms until the microphone was open again")]


def conditions(call: Stalling) -> list[tuple[bool, str]]:
    return [(event.active, event.text) for event in call.events if isinstance(event, e.ConditionChanged)]


async def test_a_stall_that_ends_by_itself_is_counted_with_its_length(call: Stalling) -> None:
    call.deliver()
    call.wait(700)
    call.deliver()
    call.wait(100)
    call.deliver()
    assert len(call.sound.streams) == 1, "it was not opened again"
    assert conditions(call) == [
        (True, "The microphone (Desk) has stalled: no audio for 0.5 s."),
        (False, "The microphone (Desk) works again after 0.7 s."),
    ]
    fold = MetricsFold()
    for event in call.events:
        fold.apply(event)
    assert fold.metrics.stalls == {"capture": Stalls(1, 700.0)}


async def test_a_microphone_that_is_not_in_use_does_not_stall(call: Stalling) -> None:
    call.deliver()
    call.wait(600)
    await call.audio.capture.stop()
    call.wait(5_000)
    assert conditions(call)[1:] == [(False, "The microphone (Desk) is no longer in use.")]


async def test_what_passed_until_the_user_stopped_is_counted_too(call: Stalling) -> None:
    await call.stall()
    await call.audio.capture.stop()
    call.wait(10)
    assert [blocks for blocks, _ in dropped(call.events)] == [50]
    await call.audio.capture.start(silent=False)
    call.wait(100)
    call.deliver()
    assert len(dropped(call.events)) == 1


async def test_a_first_opening_and_a_stream_that_goes_on_count_nothing(call: Stalling) -> None:
    call.wait(300)
    for _ in range(5):
        call.deliver()
        call.wait(20)
    await call.audio.capture.start(silent=True)
    call.wait(100)
    assert dropped(call.events) == []
