"""AnswerWatch: notices that nothing answers the user, while nothing does."""

from __future__ import annotations

from tui.models import events as e
from tui.models.journal import Journal
from tui.models.turns.turns import Turn

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
        silent_ms = self._silent_ms(now_ns)
        talked_on = waited_ms is not None and silent_ms is not None and silent_ms < waited_ms
        missing_ms = silent_ms if talked_on else waited_ms
        missing = missing_ms is not None and missing_ms >= LIMIT_MS
        if self._unanswered is not None and (turn is not self._unanswered or not missing):
            self._tell(now_ns, self._why_over(talked_on), active=False)
            self._unanswered = None
        if self._unanswered is None and missing_ms is not None and missing:
            self._unanswered = turn
            last = "key" if turn and turn.method == "keys" else "word"
            since = "after it was heard last" if talked_on else f"after the user's last {last}"
            text = f"The agent does not answer: no reply {missing_ms / 1000:.0f} s {since}."
            self._tell(now_ns, text, active=True)

    def _silent_ms(self, now_ns: int) -> float | None:
        """For how long the agent has not been heard: whoever talks on has not fallen silent, but does not yield."""
        heard_ns = self._journal.state.last_heard_ns(e.Party.AGENT, now_ns)
        return None if heard_ns is None else (now_ns - heard_ns) / 1_000_000

    def _why_over(self, talked_on: bool) -> str:
        if self._unanswered and self._unanswered.replies:
            return "The answer has come."
        if self._journal.state.status is not e.Status.ACTIVE:
            return "The call is interrupted; the agent has not answered."
        return "The agent talks on." if talked_on else "The user goes on; the agent has not answered."

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
