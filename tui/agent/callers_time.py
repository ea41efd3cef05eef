"""Runs a conversation with the caller's audio as its clock, for agents whose time stops when no audio arrives."""

from __future__ import annotations

from collections.abc import Callable

from tui.agent.conversation import Conversation
from tui.agent.hearing import Hearing
from tui.agent.rules import AnswerRules
from tui.agent.settings import AgentSettings
from tui.protocols.base import AgentEnd, Outgoing, RunsOnUserAudio, TelephonyEvent

_STEP_NS = 10_000_000
_AUDIO_STOPPED_NS = 1_000_000_000


class TimedByCaller(Conversation):
    """A call with a full-duplex agent, whose clock is the audio that it receives.

    Reports when the caller's audio stops, because the agent then stays silent until audio arrives again.
    """

    _agent: RunsOnUserAudio
    _now_ns = 0
    """Time on the audio clock, by which everything is scheduled."""
    _audio_due_ns: int | None = None
    """Clock time by which more audio is due. None before the session starts and after overdue audio has been
    reported."""

    @property
    def next_due_ns(self) -> int | None:
        """Clock time at which to call `due` next."""
        if self._hearing.ear is None and self._agent.user_format is not None:
            return 0
        return self._audio_due_ns

    def receive(self, frame: str | bytes, now_ns: int) -> list[Outgoing]:
        """Handles a frame from the caller and advances the time by its audio; returns the messages that are due."""
        before_ns, waits = self._now_ns, self._agent.user_format is None
        frames = super().receive(frame, self._now_ns)
        if self._now_ns > before_ns or (waits and self._agent.user_format is not None):
            self._audio_due_ns = now_ns + _AUDIO_STOPPED_NS
        # After the agent has closed the session, it ignores everything that the caller sends.
        self.over = self.over or self._leaves_at_ns is not None
        return frames

    def _take(self, event: TelephonyEvent, now_ns: int) -> list[Outgoing]:
        # Time advances before the audio is processed, so that reactions to the audio come after it.
        frames = self._let_time_pass()
        return frames + super()._take(event, self._now_ns)

    def _let_time_pass(self) -> list[Outgoing]:
        frames: list[Outgoing] = []
        until_ns = round(self._agent.heard_ms * 1e6)
        while self._now_ns < until_ns and not self.over:
            self._now_ns = min(self._now_ns + _STEP_NS, until_ns)
            self._agent.pass_time(self._now_ns / 1e6)
            frames += super().due(self._now_ns) + self._agent.track()
        return frames

    def due(self, now_ns: int) -> list[Outgoing]:
        """Reports once that the caller's audio is overdue; returns no messages."""
        self._hearing.prepare(self._agent.user_format)
        if self._audio_due_ns is not None and now_ns >= self._audio_due_ns and self._agent.user_format:
            self._audio_due_ns = None
            text = "No audio arrived for a second, so the agent's clock has stopped. Send silence when nobody speaks."
            self._on_problem("finding audio-stopped", text)
        return []


def conversation_with(
    agent: AgentEnd,
    settings: AgentSettings,
    hearing: Hearing,
    on_problem: Callable[[str, str], None],
    rules: AnswerRules | None = None,
) -> Conversation:
    """Returns a conversation with the clock that the agent's end requires: real time or the caller's audio."""
    kind = TimedByCaller if isinstance(agent, RunsOnUserAudio) else Conversation
    return kind(agent, settings, hearing, on_problem, rules=rules)
