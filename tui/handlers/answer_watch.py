"""AnswerWatch: notices that nothing answers the user, while nothing does."""

from __future__ import annotations

from tui.models import events as e
from tui.models.journal import Journal
from tui.models.turns import Turn

LIMIT_MS = 3_000.0
"""Whoever waits so long for an answer takes the agent for gone."""


class AnswerWatch:
    """Told of nothing: it looks at the turn that is under way. On the session's loop."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._unanswered: Turn | None = None
        """The turn that was said to have no answer."""

    def poll(self) -> None:
        """Tell that an answer is missing, or no longer."""
        state, now_ns = self._journal.state, self._journal.clock_ns()
        turn = state.metrics.turns[-1] if state.metrics.turns else None
        waits = turn and not turn.replies and state.status is e.Status.ACTIVE
        waited_ms = turn.waited_ms(now_ns) if turn and waits else None
        if self._unanswered is not None and (turn is not self._unanswered or waited_ms is None):
            answered = self._unanswered.replies
            over = "The user goes on" if state.status is e.Status.ACTIVE else "The call is interrupted"
            text = "The answer has come." if answered else f"{over}; the agent has not answered."
            self._tell(now_ns, text, active=False)
            self._unanswered = None
        if self._unanswered is None and waited_ms is not None and waited_ms >= LIMIT_MS:
            self._unanswered = turn
            waited = f"{waited_ms / 1000:.0f} s after the user's last word"
            text = f"The agent does not answer: no reply {waited}."
            self._tell(now_ns, text, active=True)

    def _tell(self, now_ns: int, text: str, *, active: bool) -> None:
        self._journal.emit(
            e.ConditionChanged(
                at_ns=now_ns,
                condition=e.Condition.NOT_ANSWERED,
                path="playback",
                active=active,
                text=text,
                hint="Has it heard the user? The log says what it was sent and what it sent since."
                if active
                else "",
            )
        )
