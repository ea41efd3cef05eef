"""Ending: why a call is over, in words; of several reasons the first one holds."""

from __future__ import annotations

import asyncio

from tui.models import events as e
from tui.models.journal import Journal

OURS = "hung up"
"""The reason of an ending that the user asked for."""


class Ending:
    """What brings the call to its end says so here, and who holds the call waits for it. On the session's loop."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._due = asyncio.Event()
        self._reason = ""
        self._failure: e.ErrorRaised | None = None

    @property
    def due(self) -> bool:
        """Whether the call is to end."""
        return self._due.is_set()

    async def wait(self) -> None:
        """Until the call is to end."""
        await self._due.wait()

    @property
    def ours(self) -> bool:
        """Whether the user asked for it."""
        return self._reason == OURS

    @property
    def reason(self) -> str:
        """For a person."""
        return self._failure.message if self._failure else self._reason

    def finish(self, reason: str = OURS) -> None:
        """The call has come to its end."""
        self._reason = self._reason or reason
        self._due.set()

    def fail(self, source: str, code: str, message: str, hint: str = "") -> None:
        """The call cannot go on."""
        self.fail_with(self._journal.error(source, code, message, hint, fatal=True))

    def fail_with(self, failure: e.ErrorRaised) -> None:
        """The call cannot go on, as was reported."""
        self._failure = self._failure or failure
        self._due.set()

    def not_accepted(self, limit_s: float, messages: int, protocol: str) -> None:
        """The agent has not accepted the session within its time, whatever ``messages`` it sent."""
        sent = "one message, and it was no" if messages == 1 else f"{messages} messages, none of them an"
        said = f"it sent {sent} acceptance" if messages else "it said nothing"
        self.fail(
            "agent",
            "not-accepted" if messages else "silent",
            f"The agent did not accept the session within {limit_s:g} s: {said}.",
            f"Does it speak {protocol}? Choose another with --protocol.",
        )

    def not_resumed(self, limit_s: float) -> None:
        """The agent has not taken up the session again on a new socket."""
        limit = f"within {limit_s:g} s"
        message = f"The socket was lost, and the agent did not take the session up again {limit}."
        self.fail("agent", "not-resumed", message, "Call again.")

    def socket_closed(self, how: str, *, lost: bool, failed: bool, in_reply: bool) -> None:
        """The socket has closed, and nothing said before that the call was over."""
        if self.due:
            return
        if self._journal.state.metrics.started_ns is None:
            message = f"The agent did not accept the session: the socket was {how}."
            self.fail("socket", "not-accepted", message, "Is this its address, and is the token right?")
        elif lost:
            self.fail("socket", "lost", f"The agent is gone: the socket was {how}.", "Call again.")
        elif failed:
            message = f"The call was broken off: the socket was {how}."
            self.fail("socket", "closed", message, "The agent's own log may say why.")
        else:
            self.finish(f"the agent left{' in the middle of its reply' if in_reply else ''}: {how}")

    def emit(self) -> None:
        """Emit that the call has ended, with its reason."""
        if self._failure:
            self._journal.become(e.Status.ERROR, self.reason)
            return
        if self._journal.state.status is not e.Status.ENDING:
            self._journal.become(e.Status.ENDING, self.reason)
        self._journal.become(e.Status.ENDED, self.reason)
