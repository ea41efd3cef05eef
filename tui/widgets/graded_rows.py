"""GradedRows: rows of figures from the session's metrics, graded by the user's thresholds."""

from __future__ import annotations

from collections.abc import Iterable

from tui.bridge import Bridge
from tui.callbacks import Registration
from tui.models.turns.figures import Thresholds
from tui.widgets.rows import RowsView


class GradedRows(RowsView):
    """A `RowsView` that starts over with each session."""

    def __init__(self, bridge: Bridge, thresholds: Thresholds, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.bridge = bridge
        self.thresholds = thresholds

    def listen(self) -> Iterable[Registration]:
        """Subscribes to status changes, because a new session clears the rows."""
        yield self.bridge.log.add_clear_callback(self.begin_anew)
        yield self.bridge.state.add_status_change_callback(self.changed)
