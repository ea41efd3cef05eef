"""Records why a call ends. If there are several reasons, the first one counts."""

from __future__ import annotations

import asyncio

from tui.models import events as e
from tui.models.journal import Journal
from tui.protocols.base import HangUpReason
from tui.session.pending import Pending
from tui.websocket.link_faults import DROPPED

OURS = "hung up"
"""The reason that is recorded if the user ended the call."""


class Ending:
    """Stores the reason for the end of the call. Runs on the session's loop.

    The session waits until a reason is set, and then ends the call.
    """

    def __init__(self, journal: Journal, pending: Pending) -> None:
        self.pending = pending
        """Tracks what is still due in the call."""
        self._journal = journal
        self._due = asyncio.Event()
        self._reason = ""
        self._hang_up_reason = HangUpReason.USER
        self._failure: e.ErrorRaised | None = None
        self.dropped = False
        """Whether a fault injected by a scenario ended the call."""

    @property
    def due(self) -> bool:
        """Whether the call should end."""
        return self._due.is_set()

    async def wait(self) -> None:
        """Waits until the call should end."""
        await self._due.wait()

    @property
    def ours(self) -> bool:
        """Whether the user ended the call."""
        return self._reason == OURS

    @property
    def reason(self) -> str:
        """The reason for the end of the call, as a phrase."""
        return self._failure.message if self._failure else self._reason

    @property
    def hang_up_reason(self) -> HangUpReason:
        """The reason for the end of the call, as sent to the agent."""
        return HangUpReason.FAILED if self._failure and not self._reason else self._hang_up_reason

    def finish(self, reason: str = OURS, hang_up_reason: HangUpReason = HangUpReason.USER) -> None:
        """Ends the call for the given reason, without an error."""
        if not self._reason:
            self._reason, self._hang_up_reason = reason, hang_up_reason
        self._due.set()

    def agent_left(self, reason: str, hang_up_reason: HangUpReason = HangUpReason.AGENT) -> None:
        """Ends the call because the agent hung up or transferred it.

        The call fails if the script has lines left to play.
        """
        self.finish(reason, hang_up_reason)
        if self.ours or not self.pending.lines_left:
            return
        self._fail_as_left_early(f"{reason[0].upper()}{reason[1:]}")

    def fail(self, source: str, code: str, message: str, hint: str = "") -> None:
        """Ends the call with an error, and emits an event for the error."""
        self.fail_with(self._journal.error(source, code, message, hint, fatal=True))

    def fail_with(self, failure: e.ErrorRaised) -> None:
        """Ends the call with an error for which an event was already emitted."""
        self._failure = self._failure or failure
        self._due.set()

    def not_accepted(self, limit_s: float, received: int, understood: int, protocol: str) -> None:
        """Fails the call because the agent did not accept it in time.

        ``received`` is the number of messages from the agent. ``understood`` counts only messages of a type
        that ``protocol`` knows.
        """
        if not received:
            sent = "it sent nothing"
        elif received == 1:
            sent = "it sent one message, which did not accept the session"
        else:
            sent = f"it sent {received} messages, none of which accepted the session"
        self.fail(
            "agent",
            "not-accepted" if received else "silent",
            f"The agent did not accept the session within {limit_s:g} s: {sent}.",
            f"It speaks {protocol}. If it only needs more time, raise --accept-timeout."
            if understood
            else f"Does it speak {protocol}? Choose another protocol with --protocol.",
        )

    def not_resumed(self, limit_s: float) -> None:
        """Fails the call because the agent did not resume it on a new socket in time."""
        message = f"The socket was lost, and the agent did not resume the session within {limit_s:g} s."
        self.fail("agent", "not-resumed", message, "Call again.")

    def socket_closed(
        self, how: str, *, lost: bool, failed: bool, violation: str = "", dropped: bool = False
    ) -> None:
        """Ends or fails the call because its socket closed, unless the call is already ending.

        ``violation`` describes a message of the agent that made this side close the socket; "" if there was
        none. If something was still due, even a normal close fails the call. ``dropped`` means that a fault
        injected by a scenario closed the socket, which does not count as a failure.
        """
        pending = self.pending
        if self.due:
            return
        self.dropped = dropped
        if dropped:
            limit = pending.resuming
            why = (
                "it was down for longer than the limit for resuming a session"
                if limit
                else "the session cannot be resumed"
            )
            self.finish(f"cut off: {DROPPED}, and {why}")
            return
        if violation:
            message = f"The call was cut off because {violation}."
            self.fail(
                "socket",
                "violation",
                message,
                "The cause is the agent, or something between you and the agent, such as a proxy.",
            )
        elif self._journal.state.metrics.started_ns is None:
            message = f"The agent did not accept the session: the socket was {how}."
            self.fail("socket", "not-accepted", message, "Check the address and the token.")
        elif pending.resuming:
            message = f"The call was cut off: the socket was {how}, and the session could not be resumed."
            self.fail("socket", "lost", message, "Call again.")
        elif lost:
            self.fail("socket", "lost", f"The connection was {how}.", "Call again.")
        elif failed:
            message = f"The agent ended the call with an error: the socket was {how}."
            self.fail("socket", "closed", message, "The agent's own log may say why.")
        elif pending.replies or pending.line:
            message = f"The agent cut off the call: the socket was {how}, with {self._due_in_words()}."
            self.fail("socket", "broken-off", message, "The agent's own log may say why.")
        elif pending.lines_left or pending.answer_due:
            self._fail_as_left_early(f"The agent disconnected early: the socket was {how}")
        else:
            self.finish(f"the agent left: {how}")

    def _fail_as_left_early(self, left: str) -> None:
        message = f"{left}, with {self._due_in_words()}."
        self.fail("agent", "left-early", message, "The agent's own log may say why.")

    def _due_in_words(self) -> str:
        return " and ".join(self.pending.in_words())

    def emit(self) -> None:
        """Emits the event that states why the call has ended."""
        if self._failure:
            self._journal.become(e.Status.ERROR, self.reason)
            return
        if self._journal.state.status is not e.Status.ENDING:
            self._journal.become(e.Status.ENDING, self.reason)
        self._journal.become(e.Status.ENDED, self.reason)
