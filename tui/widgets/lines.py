"""LineView: a scrolling panel that draws only visible lines, and caches the drawn lines.

`FollowView` also follows the end of a growing list while it is scrolled to the bottom. While a `FollowView`
is scrolled up, it counts new lines, and the visible lines do not move.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.cache import FIFOCache
from textual.content import Content
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from tui.widgets.drawn import Drawn
from tui.widgets.panel import ModelPanel
from tui.widgets.wrap import fit, wrap

Piece = tuple[str, str]
"""A piece of text, and the component class of its style."""
_KEPT_STRIPS = 1024
_JOINT = " · "
_BOX_CELLS, _LINE_CELLS = 6, 2
"""Number of cells next to a title: in a box frame, and in a single line."""
_UNCOLOURED, _UNCOLOURED_BLURRED = Style(reverse=True), Style(underline=True)
"""Styles of a highlighted line in a terminal without colors, with and without focus."""


def components_in(css: str) -> set[str]:
    """Returns the component classes that a style sheet names."""
    return set(re.findall(r"\.([\w-]+--[\w-]+)", css))


class LineView(ScrollView, Drawn, can_focus=True):
    """Draws lines by number.

    Subclasses override `draw_line`, and also `line_key` if a line can change in place.
    """

    DEFAULT_CSS = """
    LineView {
        overflow-x: hidden;
        overflow-y: scroll;
        scrollbar-size-vertical: 1;
        background: $background;
        color: $foreground;
        border-top: solid $border-blurred;
        border-title-color: $foreground-muted;
        &:focus { border-top: solid $border; border-title-color: $border; border-title-style: bold; }
        .lines--empty { color: $foreground-muted; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = components_in(DEFAULT_CSS)

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name for it
        super().__init__(id=id)
        self._strips: FIFOCache[Hashable, Strip] = FIFOCache(_KEPT_STRIPS)
        self._painted: dict[int, Hashable] = {}
        """Key of the line that was last drawn in each row of the view."""
        self._view = Size(0, 0)
        """Size of the area for lines, measured once per frame because Textual computes it anew each time."""
        self._empty_text: list[str] = []
        """Text shown when there are no lines."""

    @property
    def line_width(self) -> int:
        """Width of a line in cells."""
        return self.scrollable_content_region.width

    def draw_line(self, index: int, width: int) -> Strip:
        """Draws the line with this number."""
        raise NotImplementedError

    def line_key(self, index: int) -> Hashable:
        """Returns the cache key of a line, which must change when the line looks different."""
        return index

    @property
    def has_lines(self) -> bool:
        """Whether the view has lines."""
        return bool(self.virtual_size.height)

    def why_empty(self) -> str:
        """Returns the text for a view without lines, with a hint on what to do."""
        return ""

    def component(self, name: str, highlight: str = "") -> Style:
        """Returns the style of a component class, on the background of ``highlight``, if given.

        A highlight is visible even in a terminal without colors.
        """
        style = super().component(name, highlight)
        if highlight and self.app.no_color:
            style += _UNCOLOURED if self.has_focus else _UNCOLOURED_BLURRED
        return style

    def set_lines(self, count: int) -> None:
        """Sets the number of lines. Only the scrollbar is laid out again.

        Setting `virtual_size` directly would lay out the whole screen, ten times a second in a call.
        """
        size = Size(0, count)
        if size != self.virtual_size:
            self.set_reactive(Widget.virtual_size, size)
            self._scroll_update(size)

    def forget_lines(self) -> None:
        """Discards all drawn lines, so that they are drawn again."""
        self._strips.clear()
        self._painted.clear()

    def refresh_changed(self) -> None:
        """Repaints only the rows of the view that have changed, because most rows stay the same."""
        self.measure()
        painted, (width, height) = self._painted, self._view
        keys = enumerate(self.keys(height))
        changed = [Region(0, y, width, 1) for y, key in keys if y not in painted or painted[y] != key]
        if changed:
            self.repaint(*changed)

    def refresh_line(self, y: int) -> None:
        """Repaints the line with number ``y``."""
        self.repaint(Region(0, y - self.scroll_offset.y, self.line_width, 1))

    def keys(self, height: int) -> Iterable[Hashable]:
        """Returns `key_at` for each row of a view of this height.

        Subclasses may override this method with a faster one.
        """
        return map(self.key_at, range(height))

    def key_at(self, y: int) -> Hashable:
        """Returns the cache key of row ``y`` of the view; None for a blank row."""
        index = self.scroll_offset.y + y
        return self.line_key(index) if index < self.virtual_size.height else self.empty_text_at(y)

    def draw_at(self, y: int) -> Strip:
        """Draws row ``y`` of the view."""
        index = self.scroll_offset.y + y
        if index >= self.virtual_size.height:
            return self.draw_empty_text(y)
        return self.draw_line(index, self._view.width).adjust_cell_length(self._view.width, self._blank)

    def empty_text_at(self, line: int) -> str | None:
        """Returns a line of the text for an empty view; None beyond the end of the text."""
        return self._empty_text[line] if line < len(self._empty_text) else None

    def draw_empty_text(self, line: int) -> Strip:
        """Draws a line of the text for an empty view. Beyond the end of the text, draws a blank line."""
        text = self.empty_text_at(line)
        if text is None:
            return Strip.blank(self._view.width, self._blank)
        strip = line_of((f" {text}", self.component("lines--empty")))
        return strip.adjust_cell_length(self._view.width, self._blank)

    @property
    def _blank(self) -> Style:
        """Style of cells without text."""
        return self.look("")

    def render_lines(self, crop: Region) -> list[Strip]:
        """Measures the view, then draws its visible part."""
        self.measure()
        return super().render_lines(crop)

    def measure(self) -> None:
        """Updates the size of the view and the text for an empty view. Called once per frame."""
        before, self._view = self._view.width, self.scrollable_content_region.size
        width = self._view.width
        if width != before:
            self.forget_lines()
        text = "" if self.has_lines else self.why_empty()
        self._empty_text = wrap(text, width - 2) if text else []

    def render_line(self, y: int) -> Strip:
        """Returns row ``y`` of the view, from the cache if possible."""
        key = self._painted[y] = self.key_at(y)
        strip = self._strips.get(key)
        if strip is None:
            strip = self._strips[key] = self.draw_at(y)
        return strip

    def _scroll_to(self, *args: Any, **kwargs: Any) -> bool:
        """Scrolls without animation, because following the end would interrupt an animation."""
        return super()._scroll_to(*args, **{**kwargs, "animate": False})

    def notify_style_update(self) -> None:
        """Discards all drawn lines. Textual calls this when the theme, focus or hover state changes."""
        self.forget_lines()
        super().notify_style_update()

    def show_line(self, index: int, *, centre: bool = False) -> None:
        """Scrolls a line into view: to the middle if ``centre``, otherwise as little as possible."""
        top, height = self.scroll_offset.y, self.scrollable_content_region.height
        if top <= index < top + height:
            return
        target = index - height // 2 if centre else index if index < top else index - height + 1
        self.scroll_to(y=target, animate=False)


class FollowView(LineView, ModelPanel):
    """A `LineView` for a model that grows at its end."""

    TITLE: ClassVar[str] = ""
    FOOTER: ClassVar[Sequence[str]] = ()
    """Ids of the actions that the footer lists while this pane has the focus."""
    LEAST_TITLE_CELLS: ClassVar[int] = 0
    """Smallest width of a shortened last part of the title; 0 means that the part is dropped instead."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("end", "follow_end", "Go to the end and follow", show=False, id="pane.end"),
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._following = True
        self._items = 0
        self._seen = 0
        self._moving = False

    @property
    def following(self) -> bool:
        """Whether the view stays at its end as lines are added."""
        return self._following

    @following.setter
    def following(self, following: bool) -> None:
        self._following = following
        self.following_changed()

    def following_changed(self) -> None:
        """Called when `following` changes. Subclasses may override this method to update their model."""

    @property
    def grows(self) -> bool:
        """Whether lines may still be added; false for a saved session that was read completely."""
        return self.bridge.grows

    @property
    def unseen(self) -> int:
        """Number of items that were added since the view stopped following."""
        return self._items - self._seen

    def grow(self, lines: int, items: int) -> None:
        """Sets the number of lines and of items. Call it once per tick, after all changes."""
        with self._moving_ourselves():
            if items < self._seen:
                self._seen = items
            self._items = items
            self.set_lines(lines)
            if self.following:
                self._seen = items
                self.show_followed()
        self._update_title()
        self.refresh_changed()

    def follow(self) -> None:
        """Scrolls to the end of the list, and stays there as lines are added."""
        self.following = True
        self.grow(self.virtual_size.height, self._items)

    def begin_anew(self) -> None:
        """Starts following for a new session."""
        self.following = True
        self.changed()

    def hold(self) -> None:
        """Stops following, so that the user can read."""
        self.following = False
        self._update_title()

    def action_follow_end(self) -> None:
        """Starts following. The end key runs this action."""
        self.follow()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Starts following when the user scrolls to the end, and stops when the user scrolls away."""
        super().watch_scroll_y(old_value, new_value)
        if not self._moving:
            # A pane that becomes taller moves its lines down to the end, without the user having scrolled.
            down = new_value > old_value
            self.following = (self.following or down) and round(new_value) >= self.max_scroll_y
            if self.following:
                self._seen = self._items
            self._update_title()

    def show_followed(self) -> None:
        """Scrolls to the end. Subclasses may follow another line instead."""
        self.scroll_end(animate=False, immediate=True, x_axis=False)

    def on_resize(self) -> None:
        """If the view follows, scrolls to the followed lines."""
        if self.following:
            with self._moving_ourselves():
                self.show_followed()
        self._update_title()

    def on_click(self, event: events.Click) -> None:
        """Starts following if the title was clicked."""
        if event.get_content_offset(self) is None and event.y == 0:
            self.follow()

    def title_parts(self) -> list[str]:
        """Returns the parts of the title. The follow state is inserted after the second part."""
        return [self.TITLE]

    @property
    def title_room(self) -> int:
        """Number of cells in the title: the pane's width minus corners and blanks."""
        edges = _BOX_CELLS if self.styles.border_left[0] else _LINE_CELLS
        return max(self.outer_size.width - edges, 0)

    def title_of(self, parts: list[str]) -> str:
        """Returns the title. Parts that do not fit are dropped from the end."""
        return joined(parts, self.title_room, self.LEAST_TITLE_CELLS)

    def _update_title(self) -> None:
        parts = self.title_parts()
        if not self.following and self.grows:
            paused = f"paused, +{self.unseen:,} new" if self.unseen else "paused"
            parts.insert(2, f"{paused}, F to follow")
            if "follow" in self.FOOTER and cell_len(_JOINT.join(parts)) > self.title_room:
                parts[2:3] = [paused]  # the footer names the key
        title = self.title_of(parts)
        if title != self._shown_title:
            self._shown_title = title
            # Setting `border_title` would repaint every line, ten times a second in a call.
            self._border_title = Content(title)
            self.repaint(Region(0, -self.content_offset.y, self.size.width, 1))

    _shown_title = ""

    @contextmanager
    def _moving_ourselves(self) -> Iterator[None]:
        self._moving, before = True, self._moving
        try:
            yield
        finally:
            self._moving = before


def joined(parts: Sequence[str], cells: int, least_cells: int = 0) -> str:
    """Joins as many of the parts as fit, and at least the first.

    The last part is shortened if it still has ``least_cells`` cells. If ``least_cells`` is 0, parts are never
    shortened.
    """
    kept = list(parts)
    while len(kept) > 1 and cell_len(_JOINT.join(kept)) > cells:
        last = kept.pop()
        room = cells - cell_len(_JOINT.join([*kept, ""]))
        if least_cells and room >= least_cells:
            kept.append(fit(last, room).rstrip())
    return _JOINT.join(kept)


def line_of(*parts: tuple[str, Style]) -> Strip:
    """Returns a line made of pieces of text and their styles."""
    return Strip([Segment(text, style) for text, style in parts if text])
