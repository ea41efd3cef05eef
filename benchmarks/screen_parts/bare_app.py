"""A minimal Textual application, as the reference for the program's first paint."""

from __future__ import annotations

from textual.app import App, ComposeResult
from textual.widgets import Static


class BareApp(App[None]):
    """Shows one word."""

    def compose(self) -> ComposeResult:
        """Yields the word."""
        yield Static("ready")


if __name__ == "__main__":
    BareApp().run()
