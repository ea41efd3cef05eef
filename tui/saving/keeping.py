"""Whether a call is kept: its saving begins here, and what is not kept, or no longer, is told here."""

from __future__ import annotations

import logging

from tui.models.journal import Journal
from tui.models.target import Target
from tui.saving.record import SavingError
from tui.saving.writer import SessionWriter

logger = logging.getLogger(__name__)


class Unkept:
    """Takes sentences on what of a session is not kept; they are errors of it as soon as it has begun.

    On the session's loop.
    """

    def __init__(self) -> None:
        self._journal: Journal | None = None
        self._waiting: list[str] = []

    def begun(self, journal: Journal) -> None:
        """The session has begun: tell in its journal what is known, and what comes."""
        self._journal = journal
        waiting, self._waiting = self._waiting, []
        for sentence in waiting:
            self._tell(journal, sentence)

    def report(self, sentence: str) -> None:
        """Something is not kept."""
        if self._journal is None:
            self._waiting.append(sentence)
        else:
            self._tell(self._journal, sentence)

    def _tell(self, journal: Journal, sentence: str) -> None:
        logger.error(sentence)
        journal.error("session file", "unkept", sentence, "The call goes on.")


async def start_saving(target: Target, unkept: Unkept) -> SessionWriter | None:
    """Begin to save the call that is about to begin, if it is to be and can be."""
    if not target.save:
        return None
    try:
        return await SessionWriter.start(target, unkept.report)
    except SavingError as error:
        unkept.report(f"The session is not saved: {error}.")
        return None
