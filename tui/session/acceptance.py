"""Limits the time that the agent may take to accept the session, or to resume it on a new socket."""

from __future__ import annotations

import asyncio
import contextlib

from tui.session.ending import Ending
from tui.session.link import AgentLink


class Acceptance:
    """Ends the call if the agent does not accept it in time. Runs on the session's loop."""

    def __init__(self, ending: Ending, link: AgentLink) -> None:
        self._ending = ending
        self._link = link
        self._given = asyncio.Event()

    def give(self) -> None:
        """Records that the agent has accepted the session."""
        self._given.set()

    def withdraw(self) -> None:
        """Requires the agent to accept again, because the socket is a new one."""
        self._given.clear()

    async def wait(self) -> None:
        """Waits until the agent has accepted; the call fails if this exceeds the target's time limit."""
        link, limit_s = self._link, self._link.target.accept_timeout_s
        if not await self._accepted_within(limit_s):
            messages = link.messages
            self._ending.not_accepted(limit_s, messages.received, messages.understood, link.protocol.title)

    async def wait_for_resuming(self, left_s: float) -> None:
        """Waits until the agent has resumed the session; if that takes longer than ``left_s``, the call fails."""
        if not await self._accepted_within(left_s):
            self._ending.not_resumed(self._link.target.resume_timeout_s)

    async def _accepted_within(self, limit_s: float) -> bool:
        """Returns False if the time limit expired and the call was not already ending."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self._given.wait()
        return self._given.is_set() or self._ending.due
