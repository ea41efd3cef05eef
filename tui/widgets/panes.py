"""Panes: arranges the event log and as many side panes as fit next to it or below it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from enum import Enum

from msgspec.structs import replace
from textual import events
from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.message import Message
from textual.widget import Widget

from tui.view.layout import Arrangement, Layout, share_of, weight_of
from tui.widgets.panel import ModelPanel

BESIDE_CELLS = 120
"""Minimum width at which side panes are next to the log."""
PANE_LINES = 16
"""Another side pane is shown only if each pane still has this many lines."""
LINES_AROUND = 5
"""Lines of a call's screen that are not for panes (strip, meters, tabs, keys); used only for the first estimate."""
_MOST_PANES = 3
_LOG_SHARE_BESIDES_DETAIL = 0.5
"""The log's largest share of the height while the detail pane is open."""
FOCUSED_LINES = 14
"""Height of a focused side pane below the log, unless the user has chosen another share."""
_LEAST_LOG_SHARE = 0.3
"""Minimum share of the height that the log keeps while a side pane has the focus."""


class Edge(Enum):
    """An edge between panes that the mouse can drag."""

    LOG = "between the log and the side panes"
    PANE = "between two side panes"


class Panes(Container):
    """Arranges the log and the side panes. The order of the side panes is fixed."""

    DEFAULT_CSS = """
    Panes {
        height: 1fr;
        layout: vertical;
        &.-beside { layout: horizontal; }
        #side { width: 1fr; height: 1fr; }
    }
    """

    class Changed(Message):
        """Reports that other panes are shown, or that the panes have other sizes."""

    def __init__(
        self,
        log: Widget,
        side: Mapping[str, Callable[[], Widget]],
        layout: Layout,
        *,
        transient: Collection[str] = (),
        id: str | None = None,  # noqa: A002 - Textual's name for it
    ) -> None:
        super().__init__(id=id)
        self.log_pane, self._makers = log, side
        self.panes: dict[str, Widget] = {}
        """The side panes created so far. Other panes are created when they are shown, or after the first frame."""
        self.side = Vertical(id="side")
        self._kept = layout
        self._arrangement = Arrangement(tuple(side), transient, layout.panes)
        self._full = ""
        """The maximized pane; "" if no pane is maximized."""
        self._grabbed: tuple[Edge, str] | None = None
        self._beside = False
        self._in_side = False
        """Whether the last focused pane is a side pane."""

    def compose(self) -> ComposeResult:
        """Yields the log and the side panes.

        The panes are already arranged for this terminal, so that they are styled only once.
        """
        width, height = self.app.size
        self._take_room(width, height - LINES_AROUND)
        yield self.log_pane
        yield self.side

    def on_mount(self) -> None:
        """Arranges the panes before the first layout, and creates the other panes after it.

        The first layout therefore includes only the panes that fit.
        """
        self._settle()
        self.call_after_refresh(self._make, self._makers)

    @property
    def shown(self) -> list[str]:
        """The visible side panes, from top to bottom."""
        if self._full:
            return [self._full] if self._full in self._makers else []
        return self._arrangement.shown

    @property
    def is_maximized(self) -> bool:
        """Whether one pane fills the space."""
        return bool(self._full)

    def maximize(self) -> None:
        """Maximizes the focused pane. If a pane is already maximized, shows all panes again."""
        focused = self.screen.focused
        filled = bool(self._full) or focused is None or not self.has(focused)
        self._fill("" if filled or focused is None else focused.id or "")

    def restore(self) -> None:
        """Shows all panes again after one was maximized."""
        self._fill("")

    def has(self, widget: Widget) -> bool:
        """Returns whether a widget is one of the panes."""
        return widget is self.log_pane or widget in self.panes.values()

    @property
    def stacked(self) -> bool:
        """Whether more than one side pane is visible."""
        return len(self.shown) > 1

    @property
    def layout_now(self) -> Layout:
        """The current layout, to be stored between runs."""
        return replace(self._kept, panes=self._arrangement.lasting)

    def on_resize(self, event: events.Resize) -> None:
        """Shows as many panes as fit, next to or below the log."""
        if self._take_room(*event.size):
            self._settle()
        elif self._in_side:
            self._divide()

    def on_descendant_focus(self) -> None:
        """Enlarges the log or the side panes, depending on which of them has the focus."""
        in_side = self.screen.focused in self.panes.values()
        if in_side != self._in_side:
            self._in_side = in_side
            self._divide()

    def _take_room(self, width: int, height: int) -> bool:
        """Chooses the arrangement for a size of the terminal; returns whether it has changed."""
        beside = width >= BESIDE_CELLS
        room = height // PANE_LINES if beside else height // (2 * PANE_LINES) + 1
        room = min(max(room, 1), _MOST_PANES)
        if (beside, room) == (self._beside, self._arrangement.room):
            return False
        self._beside = beside
        self.set_class(beside, "-beside")
        self._arrangement.make_room(room)
        return True

    def poll(self) -> None:
        """Polls the visible panes."""
        for name in self.shown:
            pane = self.panes.get(name)  # before the first layout, there are no panes
            if isinstance(pane, ModelPanel):
                pane.poll()

    def visit(self, name: str) -> None:
        """Shows and focuses a pane. If the pane already has the focus, hides the pane and focuses the log."""
        if name not in self._makers:
            self._fill("")
            self.log_pane.focus()
        elif name in self.panes and self.panes[name].has_focus:
            self.put_away(name)
        else:
            self.bring(name)
            self.panes[name].focus()

    def bring(self, name: str) -> None:
        """Shows a side pane, without moving the focus."""
        self._full = ""
        self._arrangement.bring(name)
        self._settle()

    def put_away(self, name: str) -> None:
        """Hides a side pane, and restores the pane that was previously in its place."""
        had_focus = self.panes[name].has_focus
        self._full = ""
        self._arrangement.put_away(name)
        self._settle()
        if had_focus:
            self.log_pane.focus()

    def resize(self, by: float) -> None:
        """Enlarges the part that has the focus: the log or the side panes.

        ``by`` is a share of the total space.
        """
        in_side = self.screen.focused in self.panes.values()
        self._share(self._log_share + (-by if in_side else by))

    def resize_height(self, factor: float) -> None:
        """Multiplies the height of the focused side pane. Does nothing if only one side pane is shown."""
        name = next((name for name in self.shown if self.panes[name].has_focus), None)
        if name is not None:
            self._weigh({name: self._weight(name) * factor})

    # mouse: pressing the button grabs an edge, and moving the mouse drags it, so that a click on a title
    # remains a click

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Remembers the edge under the mouse, in case the user drags it."""
        self._grabbed = self._edge_at(event.screen_x, event.screen_y)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Moves the edge that the user drags."""
        if self._grabbed is None or not event.button:
            return
        self.capture_mouse()
        edge, name = self._grabbed
        if edge is Edge.LOG:
            at, length = (
                (event.screen_x - self.region.x, self.region.width)
                if self._beside
                else (event.screen_y - self.region.y, self.region.height)
            )
            self._share((at + 0.5) / max(length, 1))
        else:
            self._drag_pane(name, event.screen_y)

    def on_mouse_up(self) -> None:
        """Ends the drag."""
        self._grabbed = None
        self.release_mouse()

    def _edge_at(self, x: int, y: int) -> tuple[Edge, str] | None:
        log, side = self.log_pane.region, self.side.region
        on_log_edge = x in (log.right - 1, side.x) if self._beside else y == side.y
        if on_log_edge:
            return Edge.LOG, ""
        below = self.shown[1:]
        return next(((Edge.PANE, name) for name in below if y == self.panes[name].region.y), None)

    def _drag_pane(self, name: str, y: int) -> None:
        """Moves the upper edge of a pane to row ``y``, and resizes the pane and the one above it."""
        above = self.shown[self.shown.index(name) - 1]
        top, bottom = self.panes[above].region.y, self.panes[name].region.bottom
        share = min(max((y - top + 0.5) / max(bottom - top, 1), 0.2), 0.8)
        both = self._weight(above) + self._weight(name)
        self._weigh({above: both * share, name: both * (1 - share)})

    # arranging

    def _fill(self, name: str) -> None:
        if name != self._full:
            self._full = name
            self._settle()

    @property
    def _log_share(self) -> float:
        if self._beside:
            return self._kept.log_share_beside
        chosen = below = self._kept.log_share_below
        if self._arrangement.has_transient:
            below = min(below, _LOG_SHARE_BESIDES_DETAIL)
        if self._in_side and chosen == Layout().log_share_below:
            focused = 1 - FOCUSED_LINES / max(self.size.height, 1)
            below = min(below, max(focused, _LEAST_LOG_SHARE))
        return below

    def _weight(self, name: str) -> float:
        return self._kept.weights.get(name, 1.0)

    def _share(self, wanted: float) -> None:
        share = share_of(wanted)
        if self._beside:
            self._kept = replace(self._kept, log_share_beside=share)
        else:
            self._kept = replace(self._kept, log_share_below=share)
        self._settle()

    def _weigh(self, weights: dict[str, float]) -> None:
        kept = {name: weight_of(weight) for name, weight in weights.items()}
        self._kept = replace(self._kept, weights=self._kept.weights | kept)
        self._settle()

    def _make(self, names: Iterable[str]) -> None:
        """Creates the panes that do not exist yet, at their positions. A new pane is hidden."""
        for name in names:
            if name not in self.panes:
                below = [self.panes[other] for other in self._behind(name) if other in self.panes]
                pane = self.panes[name] = self._makers[name]()
                self._show(pane, shown=False)
                self.side.mount(pane, before=below[0] if below else None)

    def _behind(self, name: str) -> list[str]:
        names = list(self._makers)
        return names[names.index(name) + 1 :]

    def _show(self, pane: Widget, *, shown: bool) -> None:
        pane.display = shown
        if isinstance(pane, ModelPanel):
            pane.wake() if shown else pane.sleep()

    def _settle(self) -> None:
        """Applies the arrangement and the sizes to the panes."""
        self._make(self.shown)
        self._divide()
        self.log_pane.display = self._full in ("", self.log_pane.id)
        self.side.display = self._full != self.log_pane.id
        shown = self.shown
        for name, pane in self.panes.items():
            pane.styles.height = _part(self._weight(name))
            self._show(pane, shown=name in shown)
        self.post_message(self.Changed())

    def _divide(self) -> None:
        """Divides the space between the log and the side panes."""
        for part, share in ((self.log_pane, self._log_share), (self.side, 1 - self._log_share)):
            part.styles.width = _part(share) if self._beside else "1fr"
            part.styles.height = "1fr" if self._beside else _part(share)


def _part(share: float) -> str:
    """Converts a share of the space to a size in Textual's notation.

    Uses whole thousandths, because Textual's rounding of floats can cost a cell.
    """
    return f"{max(round(share * 1000), 1)}fr"
