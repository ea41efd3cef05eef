"""Page: the base of every screen that fills the terminal, except the session and the connect screen."""

from __future__ import annotations

from collections.abc import Mapping

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import Screen, ScreenResultType

from tui.widgets.keys import KeyBar
from tui.widgets.too_small import TooSmall


class Page(Screen[ScreenResultType], inherit_bindings=False):
    """Shows a body above the keys, or a notice if the terminal is too small.

    The user can close the page without a result.
    """

    def compose(self) -> ComposeResult:
        """Yields the notice, the body and the keys."""
        yield TooSmall()
        with Vertical(id="body"):
            yield from self.body()
        yield KeyBar(self.key_labels)

    def key_labels(self) -> Mapping[str, str]:
        """Returns labels for the footer by action id, for actions whose label changes."""
        return {}

    def body(self) -> ComposeResult:
        """Yields the widgets of the body."""
        raise NotImplementedError

    def action_close(self) -> None:
        """Goes back to the screen below."""
        self.dismiss(None)
