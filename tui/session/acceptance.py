"""Acceptance: limits how long the agent may take to accept the session, or to resume it on a new socket."""

from __future__ import annotations

import asyncio
import contextlib

from tui.session.ending import Ending
from tui.session.link import AgentLink


class Acceptance:
    """Waits for the agent to accept the session, with a time limit. Runs on the session's loop."""

    def __init__(self, ending: Ending, link: AgentLink) -> None:
        self._ending = ending
        self._link = link
        self.given = asyncio.Event()

    async def wait(self) -> None:
        """Waits until the agent has accepted. Fails the call if the target's time limit expires."""
        link, limit_s = self._link, self._link.target.accept_timeout_s
        if not await self._accepted_within(limit_s):
            messages = link.messages
            self._ending.not_accepted(limit_s, messages.received, messages.understood, link.protocol.title)

    async def wait_for_resuming(self, left_s: float) -> None:
        """Waits until the agent has resumed the session. Fails the call after ``left_s``."""
        if not await self._accepted_within(left_s):
            self._ending.not_resumed(self._link.target.resume_timeout_s)

    async def _accepted_within(self, limit_s: float) -> bool:
        """Waits for the acceptance, or for the end of the call.

        Returns False if the time limit expires before either.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self.given.wait()
        return self.given.is_set() or self._ending.due
