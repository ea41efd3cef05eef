"""A reporter of failing callbacks that keeps what it reported."""

from __future__ import annotations

from tui.callbacks import ErrorReporter, FailureReport


class ListedReporter(ErrorReporter):
    """Keeps each distinct failure in ``reports``."""

    def __init__(self) -> None:
        super().__init__()
        self.reports: list[FailureReport] = []
        self.subscribe(self.reports.append)
