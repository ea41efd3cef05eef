"""LineView: a scrolling panel that draws only the lines on the screen, and each of them once.

`FollowView` adds staying at the end of something that grows: only while at the bottom; otherwise what is new
is counted and nothing under the reader's eyes moves.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

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

from tui.widgets.panel import ModelPanel
from tui.widgets.wrap import wrap

Piece = tuple[str, str]
"""A text, and the component class of its style."""
_KEPT_STRIPS = 1024
_UNCOLOURED, _UNCOLOURED_BLURRED = Style(reverse=True), Style(underline=True)
"""How a highlighted line is told without colours."""


class LineView(ScrollView, can_focus=True):
    """Draws lines by number. Override `draw_line`, and `line_key` where a line can change in place."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"lines--empty"}
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

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name for it
        super().__init__(id=id)
        self._strips: FIFOCache[Hashable, Strip] = FIFOCache(_KEPT_STRIPS)
        self._painted: dict[int, Hashable] = {}
        """By place on the screen, the key of what was drawn there last."""
        self._width = 0
        self._said: list[str] = []
        """What stands in place of lines."""

    @property
    def line_width(self) -> int:
        """Cells a line has."""
        return self.scrollable_content_region.width

    def draw_line(self, index: int, width: int) -> Strip:
        """The line with this number."""
        raise NotImplementedError

    def line_key(self, index: int) -> Hashable:
        """What the look of a line depends on, beside style and width."""
        return index

    @property
    def has_lines(self) -> bool:
        """Whether there is anything to be drawn."""
        return bool(self.virtual_size.height)

    def why_empty(self) -> str:
        """What is said where there is nothing to be drawn: why, and what to do about it."""
        return ""

    def component(self, name: str, highlight: str = "") -> Style:
        """The style of a component class, on the background of another one where a line is highlighted."""
        style = self.get_component_rich_style(name)
        if not highlight:
            return style
        style += self.get_component_rich_style(highlight, partial=True)
        if self.app.no_color:
            style += _UNCOLOURED if self.has_focus else _UNCOLOURED_BLURRED
        return style

    def set_lines(self, count: int) -> None:
        """How many lines there are.

        Setting `virtual_size` would have the whole screen laid out again, ten times a second in a call; but only
        the scrollbar depends on it.
        """
        size = Size(0, count)
        if size != self.virtual_size:
            self.set_reactive(Widget.virtual_size, size)
            self._scroll_update(size)

    def forget_lines(self) -> None:
        """Draw every line anew."""
        self._strips.clear()
        self._painted.clear()

    def refresh_changed(self) -> None:
        """Have those places painted that are to look different now: most of a frame is what the last one was."""
        self.measure()
        for y in range(self.scrollable_content_region.height):
            if y not in self._painted or self._painted[y] != self.key_at(y):
                self.refresh(Region(0, y, self.size.width, 1))

    def key_at(self, y: int) -> Hashable:
        """What the look of a place on the screen depends on; None where there is no line."""
        index = self.scroll_offset.y + y
        return self.line_key(index) if index < self.virtual_size.height else self.said_at(y)

    def draw_at(self, y: int) -> Strip:
        """What is to be seen there, as wide as a line."""
        index = self.scroll_offset.y + y
        if index >= self.virtual_size.height:
            return self.draw_said(y)
        return self.draw_line(index, self._width).adjust_cell_length(self._width, self.rich_style)

    def said_at(self, line: int) -> str | None:
        """What stands in a line in place of something to be drawn."""
        return self._said[line] if line < len(self._said) else None

    def draw_said(self, line: int) -> Strip:
        """The same, or nothing."""
        said = self.said_at(line)
        if said is None:
            return Strip.blank(self._width, self.rich_style)
        strip = line_of((f" {said}", self.component("lines--empty")))
        return strip.adjust_cell_length(self._width, self.rich_style)

    def render_lines(self, crop: Region) -> list[Strip]:
        """Draw the visible part."""
        self.measure()
        return super().render_lines(crop)

    def measure(self) -> None:
        """Take over how large the view is: once a frame and not once a line."""
        width = self.line_width
        if width != self._width:
            self._width = width
            self.forget_lines()
        said = "" if self.has_lines else self.why_empty()
        self._said = wrap(said, width - 2) if said else []

    def render_line(self, y: int) -> Strip:
        """Draw one visible line, or take it from the cache."""
        key = self._painted[y] = self.key_at(y)
        strip = self._strips.get(key)
        if strip is None:
            strip = self._strips[key] = self.draw_at(y)
        return strip

    def _scroll_to(self, *args: Any, **kwargs: Any) -> bool:
        """Scroll now, by key and wheel too: a scroll that is still on its way loses against following the end."""
        return super()._scroll_to(*args, **{**kwargs, "animate": False})

    def notify_style_update(self) -> None:
        """Theme, focus or hover changed."""
        self.forget_lines()
        super().notify_style_update()

    def show_line(self, index: int, *, centre: bool = False) -> None:
        """Scroll as little as it takes to see a line, or far enough to see it amid its neighbours."""
        top, height = self.scroll_offset.y, self.scrollable_content_region.height
        if top <= index < top + height:
            return
        target = index - height // 2 if centre else index if index < top else index - height + 1
        self.scroll_to(y=target, animate=False)


class FollowView(LineView, ModelPanel):
    """A `LineView` of a growing model."""

    TITLE: ClassVar[str] = ""

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
        """At the bottom, and staying there."""
        return self._following

    @following.setter
    def following(self, following: bool) -> None:
        self._following = following
        self.following_changed()

    def following_changed(self) -> None:
        """Override to have the model know."""

    @property
    def unseen(self) -> int:
        """What has come since the bottom was left."""
        return self._items - self._seen

    def grow(self, lines: int, items: int) -> None:
        """Take over how many lines and items there are now: once a tick, after all of its changes."""
        with self._moving_ourselves():
            if items < self._seen:
                self._seen = items
            self._items = items
            self.set_lines(lines)
            if self.following:
                self._seen = items
                self.scroll_end(animate=False, immediate=True, x_axis=False)
        self._update_title()
        self.refresh_changed()

    def follow(self) -> None:
        """Go to the end and stay there."""
        self.following = True
        self.grow(self.virtual_size.height, self._items)

    def begin_anew(self) -> None:
        """Another session: what was read of the one before is gone."""
        self.following = True
        self.changed()

    def hold(self) -> None:
        """Stop following: something is being read."""
        self.following = False
        self._update_title()

    def action_follow_end(self) -> None:
        """The end key."""
        self.follow()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Follow from when the reader has come to the bottom until they leave it."""
        super().watch_scroll_y(old_value, new_value)
        if not self._moving:
            self.following = round(new_value) >= self.max_scroll_y
            if self.following:
                self._seen = self._items
            self._update_title()

    def on_resize(self) -> None:
        """Keep the end in sight."""
        if self.following:
            with self._moving_ourselves():
                self.scroll_end(animate=False, immediate=True, x_axis=False)

    def on_click(self, event: events.Click) -> None:
        """A click on the title follows, as it says there."""
        if event.get_content_offset(self) is None and event.y == 0:
            self.follow()

    def title_parts(self) -> list[str]:
        """What the title says before the state of following."""
        return [self.TITLE]

    def _update_title(self) -> None:
        parts = self.title_parts()
        if not self.following:
            parts.insert(2, f"+{self.unseen:,} new, F follows" if self.unseen else "F follows")
        title = " · ".join(parts)
        if title != self._shown_title:
            self._shown_title = title
            # Setting `border_title` would have every line painted again, ten times a second in a call.
            self._border_title = Content(title)
            self.refresh(Region(0, -self.content_offset.y, self.size.width, 1))

    _shown_title = ""

    @contextmanager
    def _moving_ourselves(self) -> Iterator[None]:
        self._moving, before = True, self._moving
        try:
            yield
        finally:
            self._moving = before


def line_of(*parts: tuple[str, Style]) -> Strip:
    """A line made of texts and their styles."""
    return Strip([Segment(text, style) for text, style in parts if text])
