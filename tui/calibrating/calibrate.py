"""Calibrates a microphone and a speaker in a call with the local agent."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import msgspec
import numpy as np

from tui.agent.process import AgentProcess, start_agent
from tui.agent.settings import AgentError, AgentSettings, ReplyMode
from tui.assets import AssetsMissing, caller_lines
from tui.audio import endpoints
from tui.audio.calibration import Calibration, DevicesInUse, sound_server
from tui.audio.formats import AudioFormat, Encoding
from tui.audio.wav import AudioFileError, read_wav
from tui.calibrating import chirps
from tui.calibrating.truth import CallerInLoop, PlayedTrack, TruthOfCall, spread_of
from tui.models import events as e
from tui.models.audio_manager import AudioManager
from tui.models.target import Target
from tui.models.turns.metrics import SessionMetrics
from tui.models.turns.turns import Turn
from tui.protocols.registry import protocol_named
from tui.session.dialling import settle
from tui.session.live import LiveSession
from tui.session.set_up import CallSetUp
from tui.text.visible import one_line
from tui.units import NS_PER_MS

_LEAST_TURNS = 3
_LINE = "hold"
_ACTIVE_S, _OPEN_S, _ANSWER_S, _EDGES_S = 15.0, 5.0, 5.0, 1.0
_LOOK_S = 0.02
_SAME_MS = 1.0
_CHIRPS = "chirps"
"""First part of the ids of the replies under which chirps are played."""
_LINES_PER_CHIRPS = 2


class CalibrationFailed(Exception):
    """Raised if a calibration measured nothing. The message gives the reason and a remedy."""


class _Notes:
    """Records a call's events and the audio that the speaker plays.

    `agent_heard` is called on the playback thread, everything else on the event loop.
    """

    def __init__(self) -> None:
        self.metrics = SessionMetrics()
        self.onsets_ns: list[int] = []
        self.opened: list[e.AudioOpened] = []
        self.output_ms: list[float] = []
        """Time from the speaker's callback until the first sample of each reply is heard, as
        reported by the driver.
        """
        self.chirps_ns: list[int] = []
        """When each set of chirps was due to be heard."""
        self.late: list[e.LatenessSeen] = []
        """Periods in which a device was late."""
        self.problem = ""
        self.blocks: list[tuple[int, bytes, int]] = []

    def take(self, event: e.SessionEvent) -> None:
        """Records an event of the call."""
        match event:
            case e.SpeechEdge(speaker=e.Party.USER, started=True):
                self.onsets_ns.append(event.at_ns)
            case e.AudioOpened():
                self.opened.append(event)
            case e.PlaybackStarted() if event.handed_ns is not None:
                self.output_ms.append((event.at_ns - event.handed_ns) / NS_PER_MS)
                if event.reply.startswith(_CHIRPS):
                    self.chirps_ns.append(event.at_ns)
            case e.LatenessSeen() if event.path:
                self.late.append(event)
            case e.ErrorRaised():
                self.problem = self.problem or f"{one_line(event.message)} {event.hint}".strip()

    def agent_heard(self, start_ns: int, pcm: bytes, rate: int) -> None:
        """Records a block of agent audio and the time at which it is heard."""
        self.blocks.append((start_ns, pcm, rate))

    def agent_cut(self, at_ns: int) -> None:
        """Does nothing, because audio that was cut is not in the microphone's stream."""

    def user_format(self, audio_format: AudioFormat) -> None:
        """Does nothing, because the capture chain already has the user's audio."""

    def user_sent(self, end_ns: int, pcm: bytes, rate: int) -> None:
        """Does nothing, because the capture chain already has the user's audio."""


async def calibrate(target: Target, seconds: float, seed: int | None = None) -> Calibration:
    """Calibrates the target's devices in a call to the local agent. Raises `CalibrationFailed`.

    The call lasts ``seconds`` and uses the target's protocol.
    """
    found = await endpoints.find(target.input, target.output)
    if found.input_device is None or found.output_device is None:
        why = found.notice or "Calibration requires a microphone and a speaker."
        raise CalibrationFailed(f"{why} {found.hint}".strip())
    notes = _Notes()
    try:
        agent = await asyncio.to_thread(
            start_agent, AgentSettings(reply=ReplyMode.ECHO, reply_delay_ms=200, pace=4.0)
        )
        try:
            caller, clock_ppm, rate = await _hold(await _to_agent(target, agent), notes, seconds, seed)
        finally:
            await asyncio.to_thread(agent.stop)
    except (AgentError, AssetsMissing, AudioFileError) as error:
        raise CalibrationFailed(str(error)) from error
    api = found.output_device.host_api
    return await asyncio.to_thread(_evaluate, notes, caller, rate, target, api, clock_ppm)


async def _to_agent(target: Target, agent: AgentProcess) -> Target:
    url = await asyncio.to_thread(agent.url, protocol_named(target.protocol).path)
    return msgspec.structs.replace(
        target, url=url, title="calibrate", token="", headers={}, save="", echo="none", tools=""
    )


async def _hold(
    target: Target, notes: _Notes, seconds: float, seed: int | None
) -> tuple[CallerInLoop, tuple[float | None, float | None], int]:
    """Makes the call; returns the caller, the drift of both device clocks in ppm, and the microphone's rate."""
    audio = AudioManager()
    set_up = CallSetUp(audio, notes.take)
    try:
        audio.tracks = [notes]
        await set_up.find_devices(target)
        session = set_up.session(await settle(target))
        caller = CallerInLoop(lambda: audio.capture.lines.block_end_ns)
        audio.capture.chain.add_callback(caller)
        running = asyncio.ensure_future(session.run())
        try:
            await _converse(session, audio, caller, notes, seconds, random.Random(seed))
        finally:
            clock_ppm = audio.clock_ppm
            session.hang_up()
            await running
    finally:
        await set_up.close()
    notes.metrics = session.state.metrics
    return caller, clock_ppm, audio.capture.format.rate


async def _converse(
    session: LiveSession,
    audio: AudioManager,
    caller: CallerInLoop,
    notes: _Notes,
    seconds: float,
    dice: random.Random,
) -> None:
    """Plays recorded lines at random times for ``seconds``. Every other line interrupts an answer."""
    state, clock = session.state, asyncio.get_running_loop().time
    await _until(lambda: state.status is e.Status.ACTIVE or bool(notes.problem), _ACTIVE_S)
    if state.status is not e.Status.ACTIVE:
        raise CalibrationFailed(notes.problem or "The local agent did not accept the call.")
    ends_s = clock() + seconds
    await session.user.record(True)
    await _until(lambda: audio.capture.microphone.source is not None and caller.frames > 0, _OPEN_S)
    if audio.capture.microphone.source is None or not caller.frames:
        raise CalibrationFailed(notes.problem or "The microphone is not delivering any audio.")
    rate = audio.capture.format.rate
    line = next(each for each in caller_lines() if each.name == _LINE)
    pcm = await asyncio.to_thread(read_wav, str(line.path), rate)
    pcm = pcm[: -2 * rate]  # without the second of silence at its end
    await _until(lambda: not audio.playback.playing, _ANSWER_S)
    number = 0
    while clock() < ends_s:
        # Spread over the call, so that a device that is late once, or still settling, does not decide the
        # result.
        if number % _LINES_PER_CHIRPS == 0:
            await _play_chirps(audio, number)
        number += 1
        interrupts = number % 2 == 0
        await asyncio.sleep(dice.uniform(0.3, 0.6) if interrupts else dice.uniform(0.7, 0.9))
        spoken = caller.say(pcm, dice.randrange(rate // 20), rate)
        if not await _until(lambda: caller.frames >= spoken.ended, _ANSWER_S):  # noqa: B023 - awaited at once
            raise CalibrationFailed(notes.problem or "The microphone stopped delivering audio.")
        ended_ns = caller.at_ns(spoken.ended, rate)
        await _until(lambda: _heard_since(state.metrics.turns, ended_ns), _ANSWER_S)  # noqa: B023
        if interrupts:
            await _until(lambda: not audio.playback.playing, _ANSWER_S)
    await _until(lambda: not audio.playback.playing, _ANSWER_S)
    await asyncio.sleep(_EDGES_S)


async def _play_chirps(audio: AudioManager, number: int) -> None:
    """Plays a set of chirps on the speaker and waits until they have been heard. The agent is not involved."""
    queue = audio.playback.queue
    chirps_format = AudioFormat(Encoding.PCM16, queue.rate if queue else audio.capture.format.rate)
    reply = f"{_CHIRPS} {number}"
    audio.playback.play(reply, chirps.chirps_pcm(chirps_format.rate), chirps_format)
    audio.playback.end(reply)
    await _until(lambda: not audio.playback.playing, _ANSWER_S)


async def _until(condition: Callable[[], bool], limit_s: float) -> bool:
    """Polls ``condition``; returns whether it became true within ``limit_s``."""
    clock = asyncio.get_running_loop().time
    gives_up_s = clock() + limit_s
    while not condition():
        if clock() > gives_up_s:
            return False
        await asyncio.sleep(_LOOK_S)
    return True


def _heard_since(turns: Sequence[Turn], at_ns: int) -> bool:
    began_ns = turns[-1].agent_began_ns if turns else None
    return began_ns is not None and began_ns > at_ns


def _evaluate(
    notes: _Notes,
    caller: CallerInLoop,
    rate: int,
    target: Target,
    host_api: str,
    clock_ppm: tuple[float | None, float | None],
) -> Calibration:
    """Computes the calibration from the recorded call. Slow. Raises `CalibrationFailed`."""
    latest = next((each for each in reversed(notes.opened) if each.latency_ms), None)
    if latest is None:
        raise CalibrationFailed(notes.problem or "The speaker was not opened.")
    # If a buffer grew during the call, everything heard before that had a different latency.
    others_ns = [each.at_ns for each in notes.opened if abs(each.latency_ms - latest.latency_ms) > _SAME_MS]
    since_ns, track = max(others_ns, default=0), PlayedTrack(notes.blocks, rate)
    errors = TruthOfCall(notes.metrics, caller, track).errors(notes.onsets_ns, since_ns)
    if len(errors.responses) < _LEAST_TURNS:
        raise CalibrationFailed(
            f"Only {len(errors.responses)} answers could be measured."
            " Increase --seconds, and close other programs that keep this machine busy."
        )
    stated_ms = float(np.median(notes.output_ms)) + target.block_ms
    # A microphone with noise suppression may remove chirps. The answers, which are speech, then show the
    # loop.
    loops_ms = _chirp_loops_ms(notes, caller, track, since_ns) or errors.loops
    return Calibration(
        devices=DevicesInUse(
            latest.capture, latest.playback, latest.latency_ms, target.block_ms, sound_server(host_api)
        ),
        measured=datetime.now(UTC).replace(microsecond=0),
        protocol=target.protocol,
        response=spread_of(errors.responses),
        silence=spread_of(errors.silences),
        signal=spread_of(errors.onsets),
        capture_ppm=clock_ppm[0],
        playback_ppm=clock_ppm[1],
        round_trip_stated_ms=stated_ms,
        round_trip_ms=stated_ms + float(np.median(loops_ms)) if loops_ms else None,
    )


def _chirp_loops_ms(notes: _Notes, caller: CallerInLoop, track: PlayedTrack, since_ns: int) -> list[float]:
    """Returns the delays of all chirps since ``since_ns``, in ms. Skips sets during which a device was late."""
    loops_ms: list[float] = []
    for started_ns in notes.chirps_ns:
        ended_ns = started_ns + chirps.LENGTH_MS * NS_PER_MS
        was_late = any(late.since_ns <= ended_ns and late.at_ns >= started_ns for late in notes.late)
        if started_ns >= since_ns and not was_late:
            loops_ms += chirps.chirp_loops_ms(started_ns, caller, track)
    return loops_ms
