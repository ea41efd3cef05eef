"""DetailPane: shows one event in full. A message is read and decoded once the log's cursor has rested on it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Hashable, Sequence
from typing import ClassVar, NamedTuple

import msgspec
from textual import events
from textual.binding import BindingType
from textual.strip import Strip
from textual.timer import Timer

from tui.bridge import Bridge
from tui.models.events import MessageLogged
from tui.models.log.event_log import Row
from tui.models.message.audio import EventAudio
from tui.models.message.json import as_json, children_of, content_of, path_text
from tui.models.message.tree import EventTree
from tui.widgets import detail_head
from tui.widgets.cursor import CursorKeys, cursor_bindings, own_key
from tui.widgets.lines import LineView, components_in, line_of
from tui.widgets.raw_lines import raw_lines
from tui.widgets.tree_lines import tree_of, tree_pieces
from tui.widgets.wrap import wrap

REST_S = 0.15
"""Time in seconds that the cursor must rest on a row before its message is read."""

WRITTEN_WITHIN_S = 5.0
"""Time in seconds after which a message that is not on disk counts as lost.

The file is written ten times a second.
"""

_NOT_KEPT = "This message was not kept or can no longer be read."
_NOT_YET = "This message has just arrived and is being written…"


class Copied(NamedTuple):
    """A text to copy, and its name. The text is the original, which may differ from the text that is shown."""

    what: str
    text: str


class ShownEvent:
    """The event of a row, with facts about it.

    The content of the event is None until `read` is called.
    """

    def __init__(self, bridge: Bridge, row: Row) -> None:
        self._bridge = bridge
        self.row = row
        self.event = bridge.log.event(row)
        self.is_message = isinstance(self.event, MessageLogged)
        self.about = [
            (detail_head.title(bridge.log, row), "detail--title"),
            *((text, "detail--label") for text in detail_head.facts(bridge.log, row)),
        ]
        """The lines above the content, each as pieces of text with their styles."""
        self.message: bytes | None = None
        """The raw bytes of a message; None until they have been read, or if they were not kept."""
        self.awaited = False
        """Whether the message was kept but is not yet on disk."""
        self.content: object = None
        """The content that the tree shows."""

    def read(self, audio: EventAudio) -> None:
        """Reads and decodes the content of the event."""
        event, bridge = self.event, self._bridge
        if isinstance(event, MessageLogged):
            self.message = bridge.raw_message(event)
            self.awaited = self.message is None and self._may_still_come(event)
            if event.audio_ms > 0 and self.message is not None:
                line = detail_head.audio_line(audio.of(self.row.last), self.row)
                self.about.append((line, "detail--label"))
        self.content = content_of(event, self.message, bridge.log.events.at_ns[0])

    def _may_still_come(self, event: MessageLogged) -> bool:
        age_s = (self._bridge.clock_ns() - event.at_ns) / 1e9
        return event.offset >= 0 and 0 <= age_s < WRITTEN_WITHIN_S


class DetailPane(LineView, CursorKeys, inherit_bindings=False):
    """Shows facts about an event, and its content.

    The content of a message is shown as a JSON tree or as received. An event that is not a message is shown
    as a tree of its fields.
    """

    DEFAULT_CSS = """
    DetailPane {
        .detail--title { color: $foreground; text-style: bold; }
        .detail--label { color: $foreground-muted; }
        .detail--text { color: $foreground; }
        .detail--key { color: $primary; }
        .detail--string { color: $success; }
        .detail--value { color: $warning; }
        .detail--cursor {
            color: $block-cursor-foreground; background: $block-cursor-background; text-style: none;
        }
        .detail--cursor-blurred { background: $surface-lighten-2; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = components_in(DEFAULT_CSS)
    BINDINGS: ClassVar[list[BindingType]] = [
        *cursor_bindings("detail", "Line"),
        own_key("enter", "toggle_value", "Expand", "Expand or collapse the value.", "detail.toggle"),
        own_key("right", "inwards", "Into", "Expand the value, then move into it.", "detail.in"),
        own_key("left", "outwards", "Out", "Collapse the value, or go to its parent.", "detail.out"),
    ]
    FOOTER: ClassVar[Sequence[str]] = (
        "detail.toggle",
        "raw",
        "copy_value",
        "copy_path",
        "copy_message",
        "play_audio",
        "close",
        "detail.in",
        "detail.out",
    )
    """The most useful keys first, because keys that do not fit are dropped from the end."""

    def __init__(self, bridge: Bridge, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.bridge = bridge
        self.raw = False
        """Whether messages are shown as received rather than as trees."""
        self.audio = EventAudio(bridge.log, bridge.raw_message)
        self._shown: ShownEvent | None = None
        self._tree: EventTree | None = None
        self._touched = False
        """Whether the user has opened or closed a value in the tree."""
        self._head: list[tuple[str, str]] = []
        """The wrapped lines above the content, as pairs of text and style."""
        self._lines: Sequence[str] = ()
        """The lines of the content, if it is not a tree."""
        self._cursor = 0
        self._rest: Timer | None = None
        """The timer that runs until the cursor has rested on the row long enough for its message to be read."""

    # content

    @property
    def row(self) -> Row | None:
        """The row whose event is shown."""
        return self._shown.row if self._shown else None

    def show(self, row: Row, *, at_once: bool) -> None:
        """Shows the event of a row.

        The header appears immediately. A message appears immediately if ``at_once``, otherwise once the
        cursor has rested on the row.
        """
        if self.shows(row):
            return
        self._shown = ShownEvent(self.bridge, row)
        self._tree, self._lines = None, ()
        self._stop_rest()
        if at_once or not self._shown.is_message:
            self._read()
        else:
            self._rest = self.set_timer(REST_S, self._rested)
            self._lay_out()
        self.scroll_to(y=0, animate=False)

    def forget(self) -> None:
        """Clears the pane, so that it shows no event."""
        self._stop_rest()
        self._shown, self._tree, self._lines = None, None, ()
        self._lay_out()

    def toggle_raw(self) -> None:
        """Switches between the tree of a message and the message as received."""
        self.raw = not self.raw
        if self._shown is not None and self._rest is None:
            self._lay_content()
        self.scroll_to(y=0, animate=False)

    def shows(self, row: Row) -> bool:
        """Returns whether the pane shows the row and has read its message."""
        return (
            self._rest is None and self._shown is not None and self.bridge.log.event(row) == self._shown.event
        )

    def poll(self) -> None:
        """Reads the message if it was not on disk yet when its row was opened."""
        if self._shown is not None and self._shown.awaited:
            self._read()

    # copying

    def copied_value(self) -> Copied | None:
        """Returns the value under the cursor: the characters of a string, or the JSON of any other value."""
        self._read_now()
        if self._tree is None:
            return None if self._shown is None else self.copied_event(self._shown.row)
        line = self._tree.line(self._cursor)
        text = line.value if type(line.value) is str else as_json(line.value)
        return Copied(f"value of {path_text(line.path)}", text)

    def copied_path(self) -> Copied | None:
        """Returns the path of the value under the cursor."""
        self._read_now()
        if self._tree is None:
            return None
        return Copied("path", path_text(self._tree.line(self._cursor).path))

    def copied_event(self, row: Row) -> Copied | None:
        """Returns a message as received, in base64 if it is not text, or any other event as JSON.

        Returns None if the message was not kept.
        """
        event = self.bridge.log.event(row)
        if not isinstance(event, MessageLogged):
            return Copied("event", msgspec.json.encode(event).decode())
        raw = self.bridge.raw_message(event)
        if raw is None:
            return None
        try:
            return Copied("message", raw.decode())
        except UnicodeDecodeError:
            return Copied("message, in base64", b64encode(raw).decode())

    # drawing

    def on_mount(self) -> None:
        """Draws the title."""
        self._lay_out()

    def on_unmount(self) -> None:
        """Stops the timer that waits for the cursor to rest."""
        self._stop_rest()

    def on_resize(self) -> None:
        """Lays out the content for the new width. Opened values stay open."""
        if self._tree is not None and self._touched:
            self._tree.reflow()
            self.move_to(self._cursor)
            self._lay_out()
        else:
            self._lay_content()

    def line_key(self, index: int) -> Hashable:
        """Returns the cache key of a line."""
        return index, self._highlight(index)

    def draw_line(self, index: int, width: int) -> Strip:
        """Draws one line of the header or the content."""
        highlight = self._highlight(index)
        if index < len(self._head):
            text, style = self._head[index]
            return line_of((text, self.component(style)))
        index -= len(self._head)
        if self._tree is None:
            return line_of((self._lines[index], self.component("detail--text")))
        none = "null" if self._shown and self._shown.is_message else "–"
        pieces = tree_pieces(self._tree.line(index), width, none=none)
        return line_of(*((text, self.component(style, highlight)) for text, style in pieces))

    def _highlight(self, index: int) -> str:
        if self._tree is None or index != len(self._head) + self._cursor:
            return ""
        return "detail--cursor" if self.has_focus else "detail--cursor-blurred"

    def _lay_out(self) -> None:
        """Wraps the header to the width of the pane. Does nothing until the width is known."""
        width = self.line_width
        if not width:
            return
        about = self._shown.about if self._shown else ()
        self._head = [(piece, style) for text, style in about for piece in wrap(text, width)]
        if self._head:
            self._head.append(("", "detail--text"))
        self.set_lines(len(self._head) + (len(self._lines) if self._tree is None else len(self._tree)))
        self.forget_lines()
        self.border_title = "Detail · raw, v for tree" if self.raw else "Detail · v for raw"
        self.refresh()

    # reading

    def _rested(self) -> None:
        self._rest = None
        self._read()

    def _read_now(self) -> None:
        if self._rest is not None:
            self._stop_rest()
            self._read()

    def _stop_rest(self) -> None:
        if self._rest is not None:
            self._rest.stop()
            self._rest = None

    def _read(self) -> None:
        if self._shown is not None:
            self._shown.read(self.audio)
            self._lay_content()

    def _lay_content(self) -> None:
        """Creates the tree of the content; for raw messages and other text, creates lines."""
        shown = self._shown
        self._tree, self._lines, self._cursor, self._touched = None, (), 0, False
        if shown is None or self._rest is not None:
            pass
        elif shown.is_message and shown.message is None:
            self._lines = wrap(_NOT_YET if shown.awaited else _NOT_KEPT, self.line_width)
        elif shown.message is not None and (self.raw or not children_of(shown.content)):
            self._lines = raw_lines(shown.message, self.line_width)
        else:
            self._tree = tree_of(shown.content, lambda: self.line_width)
        self._lay_out()

    # keys and mouse: without a tree, there is no cursor, and keys scroll the pane

    @property
    def cursor(self) -> int:
        """Index of the line of the tree with the cursor."""
        return self._cursor

    def count(self) -> int:
        """Returns the number of lines of the tree."""
        return len(self._tree) if self._tree is not None else 0

    def action_cursor(self, lines: int) -> None:
        """Moves the cursor by a number of lines. If the cursor is on the first line, scrolls up to the header."""
        if self._tree is None or (self._cursor + lines < 0):
            self.scroll_relative(y=lines, animate=False)
        else:
            super().action_cursor(lines)

    def action_page(self, pages: int) -> None:
        """Moves the cursor down by a number of pages, or up if the number is negative."""
        if self._tree is None:
            self.scroll_relative(y=pages * self.page_lines, animate=False)
        else:
            super().action_page(pages)

    def action_first(self) -> None:
        """Moves the cursor to the first line, and scrolls to the header."""
        if self._tree is not None:
            super().action_first()
        self.scroll_to(y=0, animate=False)

    def action_last(self) -> None:
        """Moves the cursor to the last line."""
        if self._tree is None:
            self.scroll_end(animate=False)
        else:
            super().action_last()

    def action_toggle_value(self) -> None:
        """Opens or closes the value under the cursor."""
        if self._tree is not None:
            line = self._tree.line(self._cursor)
            if line.opened is None and line.text is not None:
                self.move_to(self._tree.parent(self._cursor))
            if self._tree.toggle(self._cursor):
                self._touched = True
                self._lay_out()

    def action_inwards(self) -> None:
        """Opens the value under the cursor. If the value is open, moves the cursor to its first child."""
        if self._tree is not None:
            opened = self._tree.line(self._cursor).opened
            if opened:
                self.move_to(self._cursor + 1)
            elif opened is False:
                self.action_toggle_value()

    def action_outwards(self) -> None:
        """Closes the value under the cursor. If the value is closed, moves the cursor to its parent."""
        if self._tree is not None:
            if self._tree.line(self._cursor).opened:
                self.action_toggle_value()
            else:
                self.move_to(self._tree.parent(self._cursor))

    def line_at(self, y: int) -> int | None:
        """Returns the index of the tree's line at row ``y`` of the view, below the header; None elsewhere."""
        return y + self.scroll_offset.y - len(self._head)

    def line_clicked(self, index: int, event: events.Click) -> None:
        """Moves the cursor to the clicked line.

        A double click, or a click on the marker of a value, also opens or closes the value.
        """
        self.move_to(index)
        assert self._tree is not None
        offset = event.get_content_offset(self)
        marker, _ = tree_pieces(self._tree.line(index), self.line_width)[0]
        if event.chain == 2 or (offset is not None and len(marker) - 2 <= offset.x < len(marker)):
            self.action_toggle_value()

    def move_to(self, index: int) -> None:
        """Moves the cursor to a line of the tree."""
        assert self._tree is not None
        before, self._cursor = self._cursor, min(max(index, 0), len(self._tree) - 1)
        self.refresh_line(len(self._head) + before)
        self.refresh_line(len(self._head) + self._cursor)
        self.show_line(len(self._head) + self._cursor)
