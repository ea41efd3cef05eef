"""Ending: why a call ends, in words; of several reasons the first one counts."""

from __future__ import annotations

import asyncio

from tui.models import events as e
from tui.models.journal import Journal
from tui.session.pending import Pending

OURS = "hung up"
"""The reason of an ending that the user asked for."""


class Ending:
    """Collects what ends the call, for the session that waits for it. On the session's loop."""

    def __init__(self, journal: Journal, pending: Pending) -> None:
        self.pending = pending
        """What is still due when the call ends."""
        self._journal = journal
        self._due = asyncio.Event()
        self._reason = ""
        self._failure: e.ErrorRaised | None = None

    @property
    def due(self) -> bool:
        """Whether the call is to end."""
        return self._due.is_set()

    async def wait(self) -> None:
        """Wait until the call is to end."""
        await self._due.wait()

    @property
    def ours(self) -> bool:
        """Whether the user ended the call."""
        return self._reason == OURS

    @property
    def reason(self) -> str:
        """The reason, for a person."""
        return self._failure.message if self._failure else self._reason

    def finish(self, reason: str = OURS) -> None:
        """End the call, for this reason."""
        self._reason = self._reason or reason
        self._due.set()

    def fail(self, source: str, code: str, message: str, hint: str = "") -> None:
        """End the call with an error, which is emitted here."""
        self.fail_with(self._journal.error(source, code, message, hint, fatal=True))

    def fail_with(self, failure: e.ErrorRaised) -> None:
        """End the call with an error that was already emitted."""
        self._failure = self._failure or failure
        self._due.set()

    def not_accepted(self, limit_s: float, messages: int, protocol: str) -> None:
        """Fail the call: the agent did not accept it in time. ``messages`` is how many it sent."""
        if not messages:
            sent = "it sent nothing"
        elif messages == 1:
            sent = "it sent one message, which was not an acceptance"
        else:
            sent = f"it sent {messages} messages, none of them an acceptance"
        self.fail(
            "agent",
            "not-accepted" if messages else "silent",
            f"The agent did not accept the session within {limit_s:g} s: {sent}.",
            f"Does it speak {protocol}? Choose another with --protocol.",
        )

    def not_resumed(self, limit_s: float) -> None:
        """Fail the call: the agent did not resume it on a new socket in time."""
        message = f"The socket was lost, and the agent did not resume the session within {limit_s:g} s."
        self.fail("agent", "not-resumed", message, "Call again.")

    def socket_closed(
        self, how: str, *, lost: bool, failed: bool, in_reply: bool, violation: str = ""
    ) -> None:
        """End or fail the call because its socket closed, unless it is ending already.

        ``violation`` is what the agent sent that made this end close it.
        """
        if self.due:
            return
        if violation:
            message = f"The call was broken off, because {violation}."
            self.fail(
                "socket", "violation", message, "This is a fault of the agent or of something in between."
            )
        elif self._journal.state.metrics.started_ns is None:
            message = f"The agent did not accept the session: the socket was {how}."
            self.fail("socket", "not-accepted", message, "Check the address and the token.")
        elif lost:
            self.fail("socket", "lost", f"The connection was lost: the socket was {how}.", "Call again.")
        elif failed:
            message = f"The agent ended the call with an error: the socket was {how}."
            self.fail("socket", "closed", message, "The agent's own log may say why.")
        else:
            self.finish(f"the agent left{' during its reply' if in_reply else ''}: {how}")

    def emit(self) -> None:
        """Emit that the call has ended, with its reason."""
        if self._failure:
            self._journal.become(e.Status.ERROR, self.reason)
            return
        if self._journal.state.status is not e.Status.ENDING:
            self._journal.become(e.Status.ENDING, self.reason)
        self._journal.become(e.Status.ENDED, self.reason)
