"""SessionWatch: polls the parts of a call that do not report changes with events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass

from tui.audio.blocks import Captured
from tui.audio.plain import FLOOR_DBFS
from tui.callbacks import default_reporter
from tui.handlers.function_handler import FunctionHandler
from tui.models import events as e
from tui.models.audio_manager import AudioManager
from tui.models.journal import Journal
from tui.models.sound.tracks import TrackJudge
from tui.models.telemetry import Telemetry
from tui.protocols.base import CallerEnd
from tui.session.agent_audio import AgentAudio
from tui.session.answer_watch import AnswerWatch
from tui.session.message_log import MessageLog
from tui.session.pending import Pending
from tui.session.self_check import SelfCheck
from tui.session.user_audio import UserAudio
from tui.units import NS_PER_S

_INTERVAL_NS = 60_000_000
"""Time between two polls of everything; the screen draws levels no more often."""
_QUIET_INTERVAL_NS = 150_000_000
"""Time between two such polls in a call in which nothing can be heard, or whose levels nobody receives.

The polls also check the devices, and a check counts only if the previous one was less than 200 ms ago."""
_CROWD_INTERVAL_NS = 500_000_000
"""Time between two such polls in a call of a load test, which has no devices."""
_SOUND_INTERVAL_NS = 20_000_000
"""Time between two polls of sound while audio is played or an answer is due, and nothing is captured."""
_GRACE_NS = 100_000_000
"""Time without a captured block after which the timer polls. Blocks are due every 20 ms, so capture has stopped."""


@dataclass(eq=False, repr=False)
class SessionWatch:
    """Polls audio, answers, losses and the program's own lateness, and publishes telemetry.

    While audio is captured, each block triggers the polls, because a separate wake-up costs more than a poll.
    At other times, a timer triggers the polls. Runs on the session's loop.
    """

    journal: Journal
    audio: AudioManager
    _: KW_ONLY
    user_audio: UserAudio
    agent_audio: AgentAudio
    functions: FunctionHandler
    caller: CallerEnd
    pending: Pending
    log: MessageLog
    telemetry: Callable[[Telemetry], object] | None

    def __post_init__(self) -> None:
        self._answers = AnswerWatch(self.journal, self.caller, self.pending)
        self._self_check = SelfCheck(self.journal.emit, self.journal.clock_ns)
        self._failed_callbacks = 0
        self._due_ns = 0
        """Time of the next poll of everything."""
        self._woken = asyncio.Event()

    async def run(self) -> None:
        """Polls until it is cancelled."""
        due_ns = self._due_ns
        while True:
            now_ns = self.journal.clock_ns()
            took_blocks = self._due_ns != due_ns  # something was polled with them in the meantime
            if now_ns >= self._due_ns or not took_blocks:
                self._poll_due(now_ns)
            due_ns = timer_ns = self._due_ns
            if took_blocks:
                timer_ns += _GRACE_NS
            elif self._needs_sound and not self.audio.capture.microphone.delivering:
                timer_ns = min(timer_ns, now_ns + _SOUND_INTERVAL_NS)
            if await self._woken_before(timer_ns):
                due_ns = self._due_ns = 0

    def wake(self) -> None:
        """Makes `run` poll soon, even if the timer is not due."""
        self._woken.set()

    async def _woken_before(self, until_ns: int) -> bool:
        """Sleeps until the given time or until `wake` is called. Returns whether `wake` was called."""
        self._woken.clear()
        try:
            async with asyncio.timeout(max(until_ns - self.journal.clock_ns(), 0) / NS_PER_S):
                await self._woken.wait()
        except TimeoutError:
            self._self_check.woke(until_ns)
            return False
        return True

    @property
    def _needs_sound(self) -> bool:
        """Whether sound must be polled often, because audio is being played or an answer is due."""
        return self.audio.playback.playing or self._answers.waiting

    def take_block(self, block: Captured) -> None:
        """Polls after a captured block was sent. Also measures the loop's lag from the delay of the block."""
        self._self_check.woke(block.captured_ns)
        self._poll_due(self.journal.clock_ns())

    def _poll_due(self, now_ns: int) -> None:
        """Polls sound. Also polls answers, losses and lateness if they are due."""
        self.agent_audio.end_dry_reply()
        if now_ns < self._due_ns:
            self.agent_audio.poll_sound()
            return
        self._due_ns = now_ns + self._poll()
        self._self_check.woke(now_ns)  # a slow poll also blocks the loop

    def _poll(self) -> int:
        """Polls audio, answers, losses and lateness. Returns the time in ns after which it should be called again."""
        self.agent_audio.poll()
        self._answers.poll()
        self._count_late_results()
        self._emit_counts()
        self._self_check.look(self.audio, self.user_audio.pace)
        if self.telemetry is None:
            return _QUIET_INTERVAL_NS if self.audio.crowd is None else _CROWD_INTERVAL_NS
        telemetry = self._self_check.telemetry(self.audio, self.user_audio.pace)
        self.telemetry(telemetry)
        levels_dbfs = telemetry.user_peak_dbfs, telemetry.agent_peak_dbfs
        moves = any(level_dbfs is not None and level_dbfs > FLOOR_DBFS for level_dbfs in levels_dbfs)
        if moves or self._needs_sound or self.audio.capture.microphone.delivering:
            return _INTERVAL_NS
        return _QUIET_INTERVAL_NS

    async def finish(self) -> None:
        """Emits the remaining events. Call it after audio and messages have stopped."""
        self._self_check.finish()
        self.user_audio.finish()
        self.agent_audio.poll(at_the_end=True)
        self._emit_counts(at_the_end=True)

    async def compare_edges(self) -> None:
        """Emits the result of checking the tracks with a second speech detector.

        Call it after the tracks have ended.
        """
        turns = self.journal.state.metrics.turns
        if all(turn.response_latency_ms is None for turn in turns):
            return
        for track in self.audio.tracks:
            if isinstance(track, TrackJudge):
                for event in await track.second_opinion(turns):
                    self.journal.emit(event)

    def _emit_counts(self, *, at_the_end: bool = False) -> None:
        self.log.emit_counts(at_the_end=at_the_end)
        self._count_failed_callbacks()
        self.journal.report_losses(final=at_the_end)

    def _count_late_results(self) -> None:
        counted = int(self.journal.state.metrics.losses.get(e.Loss.LATE_TOOL_RESULT, 0))
        if late := self.functions.late_results - counted:
            self.journal.lost(e.Loss.LATE_TOOL_RESULT, late)

    def _count_failed_callbacks(self) -> None:
        # Polled rather than counted at each failure, because a callback may fail for each of thousands of messages,
        # or even for the event that reports its failure.
        if more := default_reporter.total - self._failed_callbacks:
            self._failed_callbacks += more
            self.journal.losing(e.Loss.CALLBACK_FAILED, more=more)
