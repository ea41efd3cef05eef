"""Reports when the agent does not answer the user."""

from __future__ import annotations

from tui.models import events as e
from tui.models.journal import Journal
from tui.models.turns.turns import Turn
from tui.protocols.base import AcknowledgesUserStream, CallerEnd
from tui.session.pending import Pending, UnansweredTool
from tui.units import NS_PER_MS

OPEN_STREAM_HINT = (
    "The agent recognized the user's speech, but the user stream is still open. It may be waiting for the stream to"
    " close: try --on-stop close or --no-barge-in."
)
LIMIT_MS = 3_000.0
"""Time without an answer after which a user would assume that the agent is no longer there."""


class AnswerWatch:
    """Reports overdue answers, by polling the current turn. Runs on the session's loop.

    An answer is audible speech or text. No answer is overdue while a tool is running.
    """

    def __init__(self, journal: Journal, caller: CallerEnd, pending: Pending) -> None:
        self._journal = journal
        self._caller = caller
        self._pending = pending
        self.waiting = False
        """Whether the user was waiting for an answer at the last poll."""
        self._unanswered: Turn | None = None
        """The turn that was reported as unanswered."""
        self._tool: UnansweredTool | None = None
        """The tool whose result was reported as unanswered; None if the report is about the user's turn."""

    def poll(self) -> None:
        """Emits an event when an answer becomes overdue, and another when it is no longer overdue."""
        state, now_ns = self._journal.state, self._journal.clock_ns()
        turn = state.metrics.turns[-1] if state.metrics.turns else None
        waits = state.status is e.Status.ACTIVE and not self._pending.tools
        silent_ms = self._silent_ms(now_ns)
        tool = self._owing_tool(turn, silent_ms, now_ns) if turn and waits else None
        waited_ms = turn.waited_ms(now_ns) if turn and waits else None
        if tool is not None:
            waited_ms = (now_ns - tool.ended_ns) / NS_PER_MS
        self.waiting = waited_ms is not None
        talked_on = waited_ms is not None and silent_ms is not None and silent_ms < waited_ms
        missing_ms = silent_ms if talked_on else waited_ms
        missing = missing_ms is not None and missing_ms >= LIMIT_MS
        if self._unanswered is not None and (turn is not self._unanswered or not missing):
            self._report(self._why_over(talked_on), active=False)
            self._unanswered = None
        if self._unanswered is None and missing_ms is not None and missing:
            self._unanswered, self._tool = turn, tool
            last = "key" if turn and turn.method == "keys" else "word"
            since = "after it last spoke" if talked_on else f"after the user's last {last}"
            if tool is not None:
                since = f"after the result of its tool {tool.name}"
            text = f"The agent has not answered: no reply within {missing_ms / 1000:.0f} s {since}."
            self._report(text, active=True, hint=self._what_helps(turn))

    def _owing_tool(self, turn: Turn, silent_ms: float | None, now_ns: int) -> UnansweredTool | None:
        """Returns the tool whose result the agent has not answered in this turn; None if there is none."""
        tool = self._pending.unanswered_tool
        if tool is None or tool.ended_ns < (turn.began_ns or 0):
            return None
        heard_since = silent_ms is not None and now_ns - silent_ms * NS_PER_MS > tool.ended_ns
        # If the agent does not mark the end of replies, its answer may continue what it was saying.
        return None if heard_since and not self._pending.replies_are_ended else tool

    def _silent_ms(self, now_ns: int) -> float | None:
        """Returns how long the agent has been silent, in ms; None if it never spoke."""
        heard_ns = self._journal.state.audible.last_heard_ns(e.Party.AGENT, now_ns)
        return None if heard_ns is None else (now_ns - heard_ns) / 1_000_000

    def _why_over(self, talked_on: bool) -> str:
        still_owed = self._tool is not None and self._tool == self._pending.unanswered_tool
        if self._unanswered and self._unanswered.answered and not still_owed:
            in_text = self._unanswered.agent_began_ns is None
            return f"The agent has answered{' in text' if in_text else ''}."
        status = self._journal.state.status
        if status is e.Status.RESUMING:
            return "The connection was lost; the agent has not answered."
        if status is not e.Status.ACTIVE:
            return "The call is over; the agent has not answered."
        if self._pending.tools:
            return "The agent called a tool, which is still running."
        return (
            "The agent keeps talking."
            if talked_on
            else "The user continued speaking; the agent has not answered."
        )

    def _what_helps(self, turn: Turn | None) -> str:
        """Returns a hint for the user.

        An agent that has recognized the user's words may be waiting for the end of the user stream.
        """
        stream_open = isinstance(self._caller, AcknowledgesUserStream) and self._caller.user_stream_open
        if turn and turn.user_text and not turn.typed and stream_open:
            return OPEN_STREAM_HINT
        return "Check the event log for what was sent to the agent and what the agent has sent since."

    def _report(self, text: str, *, active: bool, hint: str = "") -> None:
        self._journal.condition(e.Condition.NOT_ANSWERED, "playback", active=active, text=text, hint=hint)
