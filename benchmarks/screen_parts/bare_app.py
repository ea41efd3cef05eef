"""The least that a Textual application can be: what the first picture of the program is measured against."""

from __future__ import annotations

from textual.app import App, ComposeResult
from textual.widgets import Static


class BareApp(App[None]):
    """One word."""

    def compose(self) -> ComposeResult:
        """Show it."""
        yield Static("ready")


if __name__ == "__main__":
    BareApp().run()
