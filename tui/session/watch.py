"""Polls, during a call, everything that no event reports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count

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

_INTERVAL_NS = 20_000_000
_CROWD_INTERVAL_NS, _CROWD_IDLE_EVERY = 100_000_000, 5
_IDLE_EVERY = 3
"""Number of polls after which telemetry is published and idle audio is checked; more often would be useless,
because the screen draws levels no faster.
"""


class SessionWatch:
    """Polls audio, answers, losses and the program's own lateness, and publishes telemetry.

    Runs on the session's loop.
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

    async def run(self) -> None:
        """Polls until cancelled."""
        clock_ns = self._journal.clock_ns
        # A call in a crowd is polled for sound with every block that it sends, so it needs fewer polls here.
        interval_ns, idle_every = (
            (_INTERVAL_NS, _IDLE_EVERY)
            if self._audio.crowd is None
            else (_CROWD_INTERVAL_NS, _CROWD_IDLE_EVERY)
        )
        for polls in count():
            # Computed before the work, so that a slow poll also counts as lateness of the loop.
            due_ns = clock_ns() + interval_ns
            is_full = polls % idle_every == 0
            if is_full or (self._audio.crowd is None and self._audio.moving):
                self._agent_audio.end_dry_reply()
                self._agent_audio.poll()
                self._answers.poll()
                self._count_late_results()
                self._emit_counts()
            else:
                self._log.emit_sums()
            if is_full:
                self._self_check.look(self._audio, self._user_audio.pace)
                if self._telemetry is not None:
                    self._telemetry(self._self_check.telemetry(self._audio, self._user_audio.pace))
            await asyncio.sleep(max(due_ns - clock_ns(), 0) / NS_PER_S)
            self._self_check.woke(due_ns)

    async def finish(self) -> None:
        """Emits the remaining events after audio and messages have stopped."""
        self._self_check.finish()
        self._user_audio.finish()
        self._agent_audio.poll(at_the_end=True)
        self._emit_counts(at_the_end=True)

    async def compare_edges(self) -> None:
        """Emits the findings of a second detector on the tracks, after the tracks have ended."""
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
