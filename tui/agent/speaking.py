"""Speaks the agent's replies in one call, one at a time."""

from __future__ import annotations

from tui.agent.replies import Answer, PacedReply
from tui.agent.settings import AgentSettings, Fault
from tui.protocols.base import AgentEnd, Outgoing

_PLAYOUT_MARGIN_NS = 200_000_000
"""Allowance for the caller's playback, which lags behind the audio that was sent."""
_LATE_MS = 800.0
_GOODBYE_MARGIN_NS = 1_000_000_000
"""How long a caller may take to confirm that the goodbye has been played."""


class Mouth:
    """Speaks one reply at a time; a new reply interrupts the current one."""

    def __init__(self, agent: AgentEnd, settings: AgentSettings) -> None:
        self._agent = agent
        self._settings = settings
        self._reply: PacedReply | None = None
        self._begun = 0
        self._heard = 0

    @property
    def busy(self) -> bool:
        """Whether a reply is waiting to start or is being sent."""
        return self._reply is not None and not self._reply.sent

    @property
    def _delay_ms(self) -> float:
        planted_ms = _LATE_MS if self._settings.fault is Fault.LATE else 0.0
        return self._settings.reply_delay_ms + planted_ms

    @property
    def next_due_ns(self) -> int | None:
        """Time at which to call `due` or `goodbye_heard` next; None if neither is necessary."""
        return self._reply.next_due_ns if self._reply and self.busy else self._goodbye_heard_ns

    @property
    def silent_since_ns(self) -> int | None:
        """Time at which the user will have heard the last reply; None during a reply or after an interruption."""
        return self._reply.heard_until_ns if self._reply and self._reply.sent else None

    def say(self, answer: Answer, now_ns: int, *, delayed: bool = False) -> list[Outgoing]:
        """Starts a reply, after the configured delay if ``delayed``. Does nothing before the call is accepted."""
        if self._agent.user_format is None:
            return []
        frames = self.yield_the_word(now_ns)
        self._begun += 1
        starts_ns = now_ns + (round((self._delay_ms + answer.delay_ms) * 1e6) if delayed else 0)
        self._reply = PacedReply(f"play-{self._begun}", answer, starts_ns, self._settings)
        return frames + self.due(now_ns)

    def due(self, now_ns: int) -> list[Outgoing]:
        """Returns the messages that are due by ``now_ns``."""
        return self._reply.due(now_ns, self._agent) if self._reply else []

    def yield_the_word(self, now_ns: int) -> list[Outgoing]:
        """Interrupts the current reply, including audio that the caller has received but not played yet."""
        reply = self.drop()
        if reply is None or (reply.sent and now_ns > reply.heard_until_ns + _PLAYOUT_MARGIN_NS):
            return []
        return self._agent.say_stop(reply.stream_id, interrupted=True)

    def drop(self) -> PacedReply | None:
        """Discards the current reply without sending a message. Returns the reply, or None if it had not started."""
        reply, self._reply = self._reply, None
        if reply and not reply.started:
            self._begun -= 1
            return None
        return reply

    def reply_heard(self) -> bool:
        """Handles the caller's confirmation that a reply was played; returns whether it was the goodbye."""
        self._heard += 1
        reply = self._reply
        if reply is None or not reply.sent or self._heard < self._begun:
            return False
        self._reply = None
        return reply.then_hang_up

    def goodbye_heard(self, now_ns: int) -> bool:
        """Returns whether the goodbye must have been played by now, even if the caller has not confirmed it."""
        heard_ns = self._goodbye_heard_ns
        return heard_ns is not None and now_ns >= heard_ns

    @property
    def _goodbye_heard_ns(self) -> int | None:
        reply = self._reply
        if reply is None or not (reply.sent and reply.then_hang_up):
            return None
        return reply.heard_until_ns + _GOODBYE_MARGIN_NS
