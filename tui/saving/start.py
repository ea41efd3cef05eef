"""Starts saving a call. The call's events report everything that could not be saved."""

from __future__ import annotations

import logging

from tui.models.journal import Journal
from tui.models.target import Target
from tui.models.turns.metrics import SessionMetrics
from tui.saving.record import UNSAVED, SavingError
from tui.saving.writer import SessionWriter

logger = logging.getLogger(__name__)


class SavingProblems:
    """Reports problems with saving as errors of the session. Runs on the session's loop.

    Problems that occur before the session begins are reported when it begins.
    """

    def __init__(self) -> None:
        self._journal: Journal | None = None
        self._waiting: list[tuple[str, str]] = []
        """The code and the sentence of each problem that has not been reported yet."""

    def begun(self, journal: Journal) -> None:
        """Reports the problems known so far to ``journal``, and later ones as they occur."""
        self._journal = journal
        waiting, self._waiting = self._waiting, []
        for code, sentence in waiting:
            _emit(journal, code, sentence)

    def report(self, sentence: str) -> None:
        """Reports that a part of the session is not saved."""
        self._report("unkept", sentence)

    def report_end(self, sentence: str) -> None:
        """Reports that the session is not saved or no longer saved."""
        self._report(UNSAVED, sentence)

    def metrics(self) -> SessionMetrics | None:
        """Returns the session's figures so far; None before the session has begun."""
        return None if self._journal is None else self._journal.state.metrics

    def _report(self, code: str, sentence: str) -> None:
        if self._journal is None:
            self._waiting.append((code, sentence))
        else:
            _emit(self._journal, code, sentence)


def _emit(journal: Journal, code: str, sentence: str) -> None:
    logger.error(sentence)
    journal.error("session file", code, sentence, "The call continues.")


async def start_saving(target: Target, problems: SavingProblems) -> SessionWriter | None:
    """Starts saving a call that is about to begin. Returns None if the call should not or cannot be saved."""
    if not target.save:
        return None
    try:
        return await SessionWriter.start(
            target, problems.report, problems.metrics, on_end=problems.report_end
        )
    except SavingError as error:
        problems.report_end(f"The session is not being saved: {error}.")
        return None
