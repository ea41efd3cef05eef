"""Plays recordings for the command `PlayAudio` on a separate speaker, in addition to any call."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial

from tui.audio import devices
from tui.audio.clip import Clip, wav_clip, wire_clip
from tui.audio.devices import AudioDeviceError
from tui.audio.endpoints import OutputKind
from tui.audio.in_thread import in_thread
from tui.audio.load import SAFE_LATENCY
from tui.audio.queue import PlaybackQueue
from tui.audio.speaker import Speaker
from tui.audio.wav import AudioFileError
from tui.callbacks import spawn
from tui.engine.wire import PlayAudio, PlayingAudio

AHEAD_MS = 500
"""Amount of audio queued ahead of the speaker: enough for a slow disk, but little to flush on seeking."""
POLL_S = 0.02
STALLED_NS = 2_000_000_000
"""Time without a request from the speaker after which the speaker counts as hung."""
IDLE_S = 3.0
"""How long the speaker stays open after a clip, so that seeking does not have to reopen it each time."""


class ClipPlayer:
    """Plays one clip at a time; a new clip replaces the current one. Everything runs on the engine's loop.

    ``report`` receives the position every 20 ms, and once more at the end, with ``playing`` set to false. A
    call in progress keeps its own stream; the sound system mixes both streams.
    """

    def __init__(
        self, report: Callable[[PlayingAudio], None], *, clock_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._report = report
        self._clock_ns = clock_ns
        self._wanted: PlayAudio | None = None
        self._asked = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._speaker: Speaker | None = None
        self._output = ""
        self._plays = 0

    def play(self, command: PlayAudio) -> None:
        """Plays the command's audio in place of the current clip.

        A command without a path and without wire audio only stops the current clip.
        """
        self._wanted = command
        self._asked.set()
        if self._running is None or self._running.done():
            self._running = spawn(self._serve(), "clip player")

    async def close(self) -> None:
        """Stops playback, and closes the speaker."""
        if self._running:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        await self._close_speaker()

    async def _serve(self) -> None:
        while True:
            # Cleared together with the command and before any await, so that a command that arrives meanwhile sets it
            # again.
            wanted, self._wanted = self._wanted, None
            self._asked.clear()
            if wanted is not None:
                await self._play(wanted)
                continue
            try:
                await asyncio.wait_for(self._asked.wait(), IDLE_S)
            except TimeoutError:
                await self._close_speaker()
                # A command may have arrived while the speaker was being closed.
                if self._wanted is None:
                    return

    async def _play(self, command: PlayAudio) -> None:
        at_ms, problem = command.start_ms, ""
        try:
            clip = await asyncio.to_thread(_open_clip, command)
            if clip is not None:
                try:
                    speaker = await self._speaker_for(clip.rate, command.output)
                    at_ms = await self._play_clip(clip, speaker, command)
                finally:
                    clip.close()
        except (AudioFileError, AudioDeviceError) as error:
            problem = str(error)
            await self._close_speaker()
        # The end of a replaced clip is not reported, because the screen follows the new one.
        if self._wanted is None:
            self._report(PlayingAudio(clip=command.clip, at_ms=at_ms, playing=False, problem=problem))

    async def _play_clip(self, clip: Clip, speaker: Speaker, command: PlayAudio) -> float:
        """Plays a clip to its end, or until a new command arrives; returns the last position in ms."""
        queue, fed_frames = speaker.queue, 0
        self._plays += 1
        reply = str(self._plays)
        queue.begin(reply)
        at_end = False
        while True:
            while not at_end and queue.stats.queued_frames * 1000 < AHEAD_MS * clip.rate:
                # On a thread: the file may be on a slow disk, and a call's audio shares this loop.
                piece = await asyncio.to_thread(clip.next_piece)
                if piece is None:
                    at_end = True
                    queue.end(reply)
                else:
                    queue.feed(reply, piece, self._clock_ns())
                    fed_frames += len(piece) // 2
            self._check(speaker)
            speaker.catch_up(self._clock_ns())
            heard_frames = queue.position(reply, self._clock_ns(), speaker.latency_ms) or 0
            at_ms = clip.ms_at(heard_frames)
            # A newer request has arrived, and the rest of the device's buffer must not be heard before it.
            if self._wanted is not None:
                await speaker.flush()
                return at_ms
            if at_end and heard_frames >= fed_frames:
                return at_ms
            self._report(PlayingAudio(clip=command.clip, at_ms=at_ms, playing=True))
            await asyncio.sleep(POLL_S)

    async def _speaker_for(self, rate: int, output: str) -> Speaker:
        """Returns a speaker with this rate and output; opens a new speaker if necessary.

        Raises `AudioDeviceError`.
        """
        # If a call's output is a WAV file, it contains the agent's audio; a clip must not be mixed into it.
        output = "auto" if output.lower().endswith(".wav") else output
        speaker = self._speaker
        if speaker and not speaker.vanished and (speaker.queue.rate, self._output) == (rate, output):
            return speaker
        await self._close_speaker()
        # A safe latency, because playback of a recording does not have to respond quickly.
        speaker = Speaker(PlaybackQueue(rate), block_ms=20, latency=SAFE_LATENCY, clock_ns=self._clock_ns)
        self._speaker, self._output = speaker, output
        if output == "none":
            speaker.start_without_device(OutputKind.NONE, "")
        else:
            device = await in_thread(partial(devices.find_device, output, "output"), cancellable=True)
            await speaker.open(device)
        return speaker

    def _check(self, speaker: Speaker) -> None:
        """Raises `AudioDeviceError` if the speaker has failed, disappeared or stalled."""
        # Discarded, because nothing uses these records for a clip and they would accumulate while it plays.
        speaker.queue.take_happenings()
        name = speaker.device.name if speaker.device else "The speaker"
        if error := speaker.take_callback_error():
            raise AudioDeviceError(f"The playback callback failed: {error}.")
        if speaker.vanished:
            raise AudioDeviceError(f"{name} has disappeared: reconnect it or choose another device.")
        if speaker.callback_ns is not None and self._clock_ns() - speaker.callback_ns > STALLED_NS:
            raise AudioDeviceError(
                f"{name} is not accepting audio: it is suspended, or its sound server is not responding."
            )

    async def _close_speaker(self) -> None:
        speaker, self._speaker = self._speaker, None
        if speaker:
            await speaker.close()


def _open_clip(command: PlayAudio) -> Clip | None:
    """Returns the clip to play; None if the command only stops playback. Raises `AudioFileError`."""
    start_ms, end_ms, speed = command.start_ms, command.end_ms, command.speed
    if command.path:
        return wav_clip(command.path, track=command.track, start_ms=start_ms, end_ms=end_ms, speed=speed)
    if command.wire and command.format is not None:
        return wire_clip(command.wire, command.format, start_ms=start_ms, end_ms=end_ms, speed=speed)
    return None
