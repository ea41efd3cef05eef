"""Runs a conversation on the clock of the caller's audio instead of in real time.

Full-duplex agents need such a clock, because their time stops when no audio arrives.
"""

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
    """A call with a full-duplex agent. The clock of the call advances only while the caller sends audio.

    Reports a finding when the caller's audio stops, because the agent then stays silent.
    """

    agent: RunsOnUserAudio
    _now_ns = 0
    """Duration of the audio received so far; the call is scheduled on this clock."""
    _audio_due_ns: int | None = None
    """Monotonic time by which more audio is due; None before the session starts and while audio is overdue."""

    @property
    def next_due_ns(self) -> int | None:
        """Monotonic time at which to call `due` next; None if nothing is due until the caller sends a frame."""
        if self.hearing.ear is None and self.agent.user_format is not None:
            return 0
        return self._audio_due_ns

    def receive(self, frame: str | bytes, now_ns: int) -> list[Outgoing]:
        """Handles a frame, advances the clock by the audio in the frame, and returns the messages to send."""
        before_ns, waits = self._now_ns, self.agent.user_format is None
        frames = super().receive(frame, self._now_ns)
        if self._now_ns > before_ns or (waits and self.agent.user_format is not None):
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
        until_ns = round(self.agent.heard_ms * 1e6)
        while self._now_ns < until_ns and not self.over:
            self._now_ns = min(self._now_ns + _STEP_NS, until_ns)
            self.agent.pass_time(self._now_ns / 1e6)
            frames += super().due(self._now_ns) + self.agent.track()
        return frames

    def due(self, now_ns: int) -> list[Outgoing]:
        """Reports a finding, once, if no audio has arrived for a second. Always returns an empty list."""
        self.hearing.prepare(self.agent.user_format)
        if self._audio_due_ns is not None and now_ns >= self._audio_due_ns and self.agent.user_format:
            self._audio_due_ns = None
            text = "No audio arrived for a second, so the agent's clock has stopped. Send silence when nobody speaks."
            self.on_problem("finding audio-stopped", text)
        return []


def conversation_with(
    agent: AgentEnd,
    settings: AgentSettings,
    hearing: Hearing,
    on_problem: Callable[[str, str], None],
    rules: AnswerRules | None = None,
) -> Conversation:
    """Returns a conversation that runs in real time or on the caller's audio, as ``agent`` requires."""
    kind = TimedByCaller if isinstance(agent, RunsOnUserAudio) else Conversation
    return kind(agent, settings, hearing, on_problem, rules=rules)
