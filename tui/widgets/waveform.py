"""WaveformStrip: shows both tracks of a saved session, with events and the playhead."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import ClassVar, NamedTuple

from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tui.bridge import Bridge
from tui.callbacks import Registration
from tui.models.session_state import SessionError
from tui.models.turns.turns import BargeInKind
from tui.view.playhead import Playhead
from tui.widgets.lines import components_in, line_of
from tui.widgets.panel import ModelPanel

FULL = 0.35
"""Loudness that fills a line, as a share of full scale: the mean peak of loud speech."""
BARGE_IN, ERROR, PLAYHEAD, LINE = "▼", "✗", "│", "─"
DISPUTED = "?"
"""Symbol for a disputed edge, drawn at each detector's position for the edge."""
NO_ROOM = "┬"
"""Symbol for a turn whose number does not fit at this zoom."""
LABEL_CELLS = 6
MIN_SPAN_NS = 1_000_000_000
_EIGHTHS = " ▁▂▃▄▅▆▇█"
_USER, _AGENT = 0, 1


class WaveformMark(NamedTuple):
    """An event that is marked on the line between the tracks."""

    at_ns: int
    text: str
    look: str


class WaveformStrip(ModelPanel, Widget):
    """Shows the user above and the agent below, with turns, barge-ins and errors between them.

    Drag or click to seek, and scroll to zoom. Heights are proportional to the square root of the loudness, so
    that quiet speech is visible. The strip draws a `tui.view.waveform.Waveform`. It is redrawn when it is
    polled, if the picture has changed.
    """

    DEFAULT_CSS = """
    WaveformStrip {
        height: 3;
        padding: 0 1;
        .waveform--label { color: $foreground-muted; }
        .waveform--user { color: $secondary; }
        .waveform--agent { color: $primary; }
        .waveform--unread { color: $border-blurred; }
        .waveform--line { color: $border-blurred; }
        .waveform--turn { color: $foreground; text-style: bold; }
        .waveform--barge-in { color: $text-warning; text-style: bold; }
        .waveform--disputed { color: $text-warning; text-style: bold; }
        .waveform--error { color: $text-error; text-style: bold; }
        .waveform--playhead { color: $accent; text-style: bold; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = components_in(DEFAULT_CSS)

    class Sought(Message):
        """Requests that the playhead be moved to a time."""

        def __init__(self, at_ns: int) -> None:
            super().__init__()
            self.at_ns = at_ns

    def __init__(self, bridge: Bridge, playhead: Playhead, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.bridge = bridge
        self.playhead = playhead
        self.zoom = 1
        """Width of the whole session, as a multiple of the strip's width."""
        self._left_ns = playhead.first_ns
        self._errors: list[int] = []
        self._dragging = False
        self._levels: tuple[bytes, bytes] = (b"", b"")
        self._levels_key: tuple[object, ...] = ()
        self._shown: tuple[object, ...] = ()

    def listen(self) -> Iterable[Registration]:
        """Subscribes to errors, and to the clearing of the log, which removes the errors."""
        yield self.bridge.state.add_error_callback(self._add_error)
        yield self.bridge.log.add_clear_callback(self._errors.clear)

    @property
    def span_ns(self) -> int:
        """Duration of the visible part, in ns."""
        whole_ns = max(self.playhead.last_ns - self.playhead.first_ns, 1)
        return max(whole_ns // self.zoom, min(MIN_SPAN_NS, whole_ns))

    def zoom_by(self, factor: float) -> None:
        """Multiplies the zoom by ``factor``: 2 zooms in, 0.5 zooms out. Keeps the playhead in place if possible."""
        head, before_ns = self.playhead, self.span_ns
        if factor < 1 or before_ns > MIN_SPAN_NS:
            self.zoom = max(round(self.zoom * factor), 1)
        place = (head.at_ns - self._left_ns) / before_ns
        self._left_ns = head.at_ns - round(place * self.span_ns)

    def poll(self) -> None:
        """Redraws the strip if the picture has changed."""
        self._keep_playhead_in_sight()
        metrics = self.bridge.state.metrics
        looks = (
            self.size,
            self._left_ns,
            self.span_ns,
            self._column(self.playhead.at_ns),
            self.bridge.waveform.version,
            (len(self._errors), len(metrics.turns), len(metrics.barge_ins), metrics.edges_disputed),
        )
        if looks != self._shown:
            self._shown = looks
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """Draws a line of a track, or the line with the events."""
        rows = max((self.size.height - 1) // 2, 1)
        if y < rows:
            return self._track(_USER, rows - 1 - y, rows)
        if y == rows:
            return self._marks()
        return self._track(_AGENT, 2 * rows - y, rows)

    @property
    def columns(self) -> int:
        """Width of the tracks in cells."""
        return max(self.size.width - LABEL_CELLS, 1)

    def _track(self, track: int, row: int, rows: int) -> Strip:
        """Returns line ``row`` of a track that is ``rows`` lines high. Row 0 is the lowest row."""
        name = ("user", "agent")[track]
        style, unread = self._look(f"waveform--{name}"), self._look("waveform--unread")
        levels = self._levels_now()[track]
        known = self._known_columns()
        cells = [
            (_EIGHTHS[min(max(round(_height(level) * rows * 8) - 8 * row, 0), 8)], style)
            if column < known
            else ("·" if row == 0 else " ", unread)
            for column, level in enumerate(levels)
        ]
        label = name if row == 0 else ""
        return line_of(
            (label.ljust(LABEL_CELLS), self._look("waveform--label")),
            *self._with_playhead(cells, over=_EIGHTHS + "·"),
        )

    def _marks(self) -> Strip:
        cells = [(LINE, self._look("waveform--line"))] * self.columns
        for mark in self._happened():
            column = self._column(mark.at_ns)
            if not 0 <= column < self.columns or cells[column][0] != LINE:
                continue
            # A number needs a blank cell after it, because two adjacent numbers would look like one.
            room = "".join(text for text, _ in cells[column : column + len(mark.text) + 1])
            text = mark.text if room == LINE * (len(mark.text) + 1) or len(mark.text) == 1 else NO_ROOM
            style = self._look(f"waveform--{mark.look}")
            cells[column : column + len(text)] = [(glyph, style) for glyph in text]
        label = f"{self.zoom}x" if self.zoom > 1 else ""
        return line_of(
            (label.ljust(LABEL_CELLS), self._look("waveform--label")), *self._with_playhead(cells, over=LINE)
        )

    def _happened(self) -> Iterable[WaveformMark]:
        """Yields the marks. If two marks are in the same place, the first one is visible."""
        for at_ns in self._errors:
            yield WaveformMark(at_ns, ERROR, "error")
        metrics = self.bridge.state.metrics
        for turn in metrics.turns:
            for dispute in turn.disputes:
                for edge_ns in (dispute.first_ns, dispute.second_ns):
                    if edge_ns is not None:
                        yield WaveformMark(edge_ns, DISPUTED, "disputed")
        for barge_in in metrics.barge_ins:
            if barge_in.at_ns is not None and barge_in.kind is not BargeInKind.FALSE:
                yield WaveformMark(barge_in.at_ns, BARGE_IN, "barge-in")
        for turn in metrics.turns:
            if turn.number and turn.began_ns is not None:
                yield WaveformMark(turn.began_ns, str(turn.number), "turn")

    def _with_playhead(self, cells: list[tuple[str, Style]], *, over: str) -> list[tuple[str, Style]]:
        """Returns the cells with the playhead.

        The playhead replaces a glyph that is in ``over``. A glyph that is not in ``over`` stays visible and
        is drawn in reverse.
        """
        column = self._column(self.playhead.at_ns)
        if 0 <= column < len(cells):
            text, style = cells[column]
            look = self._look("waveform--playhead")
            cells[column] = (PLAYHEAD, look) if text in over else (text, style + Style(reverse=True))
        return cells

    def _levels_now(self) -> tuple[bytes, bytes]:
        """Returns the loudness of both tracks, one byte per column.

        The result is cached until the visible part changes.
        """
        waveform = self.bridge.waveform
        key = waveform.version, self._left_ns, self.span_ns, self.columns
        if key != self._levels_key:
            start_ms = (self._left_ns - self.playhead.audio_starts_ns) / 1e6
            end_ms = start_ms + self.span_ns / 1e6
            user, agent = (waveform.columns(n, start_ms, end_ms, self.columns) for n in (_USER, _AGENT))
            self._levels, self._levels_key = (user, agent), key
        return self._levels

    def _known_columns(self) -> int:
        waveform = self.bridge.waveform
        if not self.playhead.audio_path or (waveform.bins and waveform.known_bins >= waveform.bins):
            return self.columns
        known_ns = self.playhead.audio_starts_ns + round(waveform.known_bins * waveform.bin_ms * 1e6)
        return self._column(known_ns) if waveform.known_bins else 0

    def _keep_playhead_in_sight(self) -> None:
        """Scrolls so that the playhead is visible."""
        head, span_ns = self.playhead, self.span_ns
        if not self._left_ns <= head.at_ns <= self._left_ns + span_ns:
            self._left_ns = head.at_ns - span_ns // 8
        self._left_ns = max(min(self._left_ns, head.last_ns - span_ns), head.first_ns)

    def _column(self, at_ns: int) -> int:
        """Returns the column for a time. The column may be outside the strip."""
        column = (at_ns - self._left_ns) * self.columns // self.span_ns
        return self.columns - 1 if at_ns == self._left_ns + self.span_ns else column

    def _look(self, name: str) -> Style:
        return self.get_component_rich_style(name)

    def _add_error(self, error: Exception, _source: str) -> None:
        if isinstance(error, SessionError):
            self._errors.append(error.event.at_ns)

    # the mouse

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Seeks to the time under the mouse, and starts a drag."""
        self._dragging = True
        self.capture_mouse()
        self._seek(event)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Seeks while the mouse is dragged."""
        if self._dragging:
            self._seek(event)

    def on_mouse_up(self) -> None:
        """Ends the drag."""
        self._dragging = False
        self.release_mouse()

    def on_mouse_scroll_up(self) -> None:
        """Zooms in."""
        self.zoom_by(2)

    def on_mouse_scroll_down(self) -> None:
        """Zooms out."""
        self.zoom_by(0.5)

    def _seek(self, event: events.MouseEvent) -> None:
        column = event.x - self.styles.padding.left - LABEL_CELLS
        column = min(max(column, 0), self.columns - 1)
        self.post_message(self.Sought(self._left_ns + column * self.span_ns // self.columns))


def _height(loudness: int) -> float:
    """Converts a loudness (0–255) to a share of the track's height, 0..1."""
    return min(math.sqrt(loudness / (255 * FULL)), 1.0)
