"""A reporter of failing callbacks that stores its reports."""

from __future__ import annotations

from tui.callbacks import ErrorReporter, FailureReport


class ListedReporter(ErrorReporter):
    """Stores each distinct failure in ``reports``."""

    def __init__(self) -> None:
        super().__init__()
        self.reports: list[FailureReport] = []
        self.subscribe(self.reports.append)
