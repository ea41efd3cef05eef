"""Acceptance: the agent has a limited time to accept the session, and again to resume it on a new socket."""

from __future__ import annotations

import asyncio

from tui.models import events as e
from tui.models.journal import Journal
from tui.session.ending import Ending
from tui.session.link import AgentLink


class Acceptance:
    """Ends the call when the agent does not accept it in time. On the session's loop."""

    def __init__(self, journal: Journal, ending: Ending, link: AgentLink) -> None:
        self._journal = journal
        self._ending = ending
        self._link = link
        self._given = asyncio.Event()

    def give(self) -> None:
        """The agent has accepted the session."""
        self._given.set()

    def withdraw(self) -> None:
        """Require the agent's acceptance once more, because the socket is a new one."""
        self._given.clear()

    async def wait(self) -> None:
        """Wait until the agent has accepted. Fails the call when that takes longer than the target allows."""
        limit_s = self._link.target.accept_timeout_s
        try:
            await asyncio.wait_for(self._given.wait(), limit_s)
        except TimeoutError:
            if self._ending.due:
                return
            if self._journal.state.status is e.Status.RESUMING:
                self._ending.not_resumed(limit_s)
            else:
                self._ending.not_accepted(limit_s, self._link.messages.received, self._link.target.protocol)
