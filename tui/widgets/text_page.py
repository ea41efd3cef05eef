"""TextPage: a scrolling view of text that is already divided into lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.strip import Strip

from tui.widgets.lines import LineView, Piece, components_in, line_of

Line = Sequence[Piece]


class TextPage(LineView):
    """Draws lines of text whose pieces have styles such as ``page--heading``. Subclasses supply the lines."""

    DEFAULT_CSS = """
    TextPage {
        .page--plain { color: $foreground; }
        .page--muted { color: $foreground-muted; }
        .page--heading { color: $primary; text-style: bold; }
        .page--good { color: $text-success; text-style: bold; }
        .page--slow { color: $text-warning; text-style: bold; }
        .page--bad { color: $text-error; text-style: bold; }
        .page--bar { color: $primary; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = components_in(DEFAULT_CSS)

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name for it
        super().__init__(id=id)
        self._lines: Sequence[Line] = ()

    def set_text(self, lines: Sequence[Line]) -> None:
        """Shows these lines. Does nothing if the lines are already shown."""
        if lines != self._lines:
            self._lines = lines
            self.forget_lines()
            self.set_lines(len(lines))
            self.refresh()

    def draw_line(self, index: int, width: int) -> Strip:
        """Draws one line, with a margin of one cell."""
        pieces = [(" ", "page--plain"), *self._lines[index]]
        return line_of(*((text, self.component(style)) for text, style in pieces))


def scroll_bindings(prefix: str) -> list[BindingType]:
    """Returns the bindings for scrolling a page, with ids such as ``prefix.up``."""
    keys = (
        ("up,k", "scroll_up", "Up", "up"),
        ("down,j", "scroll_down", "Down", "down"),
        ("pageup", "page_up", "Page up", "page_up"),
        ("pagedown", "page_down", "Page down", "page_down"),
        ("home", "scroll_home", "To the top", "first"),
        ("end", "scroll_end", "To the end", "last"),
    )
    return [Binding(key, action, name, show=False, id=f"{prefix}.{of}") for key, action, name, of in keys]
