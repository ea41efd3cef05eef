"""During a call, polls everything that no event reports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tui.audio.blocks import Captured
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

_INTERVAL_NS, _UNWATCHED_INTERVAL_NS, _CROWD_INTERVAL_NS = 60_000_000, 200_000_000, 500_000_000
"""Times between two polls of everything: for a screen, which draws levels no more often; for a call whose levels
nobody receives; and for a call of a load test."""
_SOUND_INTERVAL_NS = 20_000_000
"""Time between two polls of sound while audio is played or an answer is due, and nothing is captured."""
_GRACE_NS = 100_000_000
"""How much later than captured blocks the timer polls. Blocks are due every 20 ms, so they have stopped by then."""


class SessionWatch:
    """Polls audio, answers, losses and the program's own lateness, and publishes telemetry.

    While audio is captured, all polls run with captured blocks, because waking up a second time costs more than a
    poll. At other times, a timer triggers them. Runs on the session's loop.
    """

    def __init__(
        self,
        journal: Journal,
        audio: AudioManager,
        *,
        user_audio: UserAudio,
        agent_audio: AgentAudio,
        functions: FunctionHandler,
        caller: CallerEnd,
        pending: Pending,
        log: MessageLog,
        telemetry: Callable[[Telemetry], object] | None,
    ) -> None:
        self._journal = journal
        self._audio = audio
        self._user_audio = user_audio
        self._agent_audio = agent_audio
        self._functions = functions
        self._log = log
        self._telemetry = telemetry
        self._answers = AnswerWatch(journal, caller, pending)
        self._self_check = SelfCheck(journal.emit, journal.clock_ns)
        self._failed_callbacks = 0
        self._due_ns = 0
        """When everything is polled next."""
        self._took_blocks = False
        """Whether captured blocks have arrived since the timer last ended."""

    async def run(self) -> None:
        """Polls until cancelled."""
        clock_ns = self._journal.clock_ns
        while True:
            now_ns = clock_ns()
            took_blocks, self._took_blocks = self._took_blocks, False
            if now_ns >= self._due_ns or not took_blocks:
                self._poll_due(now_ns)
            timer_ns = self._due_ns
            if took_blocks:
                timer_ns += _GRACE_NS
            elif self._needs_sound:
                timer_ns = min(timer_ns, now_ns + _SOUND_INTERVAL_NS)
            await asyncio.sleep(max(timer_ns - clock_ns(), 0) / NS_PER_S)
            self._self_check.woke(timer_ns)

    @property
    def _needs_sound(self) -> bool:
        """Whether sound or an answer is due, so that times matter, while no captured blocks arrive."""
        audio = self._audio
        return not audio.capture.microphone.delivering and (audio.playback.playing or self._answers.waiting)

    def take_block(self, block: Captured) -> None:
        """Polls after a captured block was sent. The delay of the block shows the loop's lag."""
        self._self_check.woke(block.captured_ns)
        self._took_blocks = True
        self._poll_due(self._journal.clock_ns())

    def _poll_due(self, now_ns: int) -> None:
        """Polls sound, and everything else if that is due."""
        self._agent_audio.end_dry_reply()
        if now_ns < self._due_ns:
            self._agent_audio.poll_sound()
            return
        self._due_ns = now_ns + self._interval_ns
        self._poll()
        self._self_check.woke(now_ns)  # a slow poll also blocks the loop

    @property
    def _interval_ns(self) -> int:
        if self._audio.crowd is not None:
            return _CROWD_INTERVAL_NS
        return _UNWATCHED_INTERVAL_NS if self._telemetry is None else _INTERVAL_NS

    def _poll(self) -> None:
        self._agent_audio.poll()
        self._answers.poll()
        self._count_late_results()
        self._emit_counts()
        self._self_check.look(self._audio, self._user_audio.pace)
        if self._telemetry is not None:
            self._telemetry(self._self_check.telemetry(self._audio, self._user_audio.pace))

    async def finish(self) -> None:
        """Emits the remaining events after audio and messages have stopped."""
        self._self_check.finish()
        self._user_audio.finish()
        self._agent_audio.poll(at_the_end=True)
        self._emit_counts(at_the_end=True)

    async def compare_edges(self) -> None:
        """Emits the findings of a second speech detector about the tracks, after the tracks have ended."""
        turns = self._journal.state.metrics.turns
        if all(turn.response_latency_ms is None for turn in turns):
            return
        for track in self._audio.tracks:
            if isinstance(track, TrackJudge):
                for event in await track.second_opinion(turns):
                    self._journal.emit(event)

    def _emit_counts(self, *, at_the_end: bool = False) -> None:
        self._log.emit_counts(at_the_end=at_the_end)
        self._count_failed_callbacks()
        self._journal.report_losses(final=at_the_end)

    def _count_late_results(self) -> None:
        counted = int(self._journal.state.metrics.losses.get(e.Loss.LATE_TOOL_RESULT, 0))
        if late := self._functions.late_results - counted:
            self._journal.lost(e.Loss.LATE_TOOL_RESULT, late)

    def _count_failed_callbacks(self) -> None:
        # Polled rather than counted at each failure, because a callback may fail for each of thousands of messages,
        # or even for the event that reports its failure.
        if more := default_reporter.total - self._failed_callbacks:
            self._failed_callbacks += more
            self._journal.losing(e.Loss.CALLBACK_FAILED, more=more)
