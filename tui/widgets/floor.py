"""FloorPane: shows both parties' speech in two lanes, and a list of the turn-taking events."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable, Iterable, Sequence

from tui.bridge import Bridge
from tui.callbacks import Registration
from tui.models.events import Party
from tui.models.turns.figures import Thresholds, timing_line
from tui.models.turns.floor import PEOPLE_MS, Floor, Speech, judged_by
from tui.models.turns.floor_figures import FloorMoment, MomentKind, floor_figures, floor_lines, moments_of
from tui.text import numbers
from tui.widgets.graded_rows import GradedRows
from tui.widgets.hints import nothing_shown
from tui.widgets.lines import Piece
from tui.widgets.wrap import fit

LIVE_NS = 60_000_000_000
"""Length of the lanes in a call."""
SPEECH, SILENCE = "█", "·"
TALK_OVER, BACKCHANNEL, GAP, OVERLAP, PAUSE = "▼", "◦", "┄", "╳", "…"
"""Symbols between the lanes. Their shapes differ, so that they can be distinguished without color."""
_LANE_LINES = 3
_NAME_CELLS, _TIME_CELLS, _FIGURE_CELLS = 6, 9, 8
"""Widths in cells; the width of the figure includes its ±."""
_SIGNS = {
    MomentKind.TALK_OVER: (TALK_OVER, "rows--slow"),
    MomentKind.BACKCHANNEL: (BACKCHANNEL, "rows--bar"),
    MomentKind.PAUSE: (PAUSE, "rows--muted"),
}
_ORDER = (MomentKind.PAUSE, MomentKind.TURN, MomentKind.BACKCHANNEL, MomentKind.TALK_OVER)
"""Order of precedence: if two symbols share a cell, the later kind is shown."""


class FloorPane(GradedRows):
    """Draws `SessionMetrics.floor`: the last minute of a call, or the whole of a saved session."""

    TITLE = "Floor"
    HELP = (
        f"each party's speech is in its own lane; between the lanes, {GAP} is a gap, {OVERLAP} an overlap at a "
        f"change of speaker, {TALK_OVER} a talk-over, {BACKCHANNEL} a backchannel, {PAUSE} a pause, ◆ the selected "
        "row · one row per event with its gap, overlap (−) or length; enter shows its events in the log"
    )

    def __init__(self, bridge: Bridge, thresholds: Thresholds, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(bridge, thresholds, id=id)
        self._moments: list[FloorMoment] = []
        self._known: Hashable = None
        """The edges from which rows and figures were last computed."""
        self._figures = floor_figures(Floor())
        self._right_cell = 0

    def listen(self) -> Iterable[Registration]:
        """Subscribes to changes of the status and of the figures."""
        yield from super().listen()
        yield self.bridge.state.add_metrics_update_callback(self.changed)

    @property
    def floor(self) -> Floor:
        """The floor of the session, before the user's thresholds are applied."""
        return self.bridge.state.metrics.floor

    def refresh_from_model(self) -> None:
        """Updates the pane. Recomputes rows and figures only if an edge of speech was added."""
        floor, rules, timing = self.floor, self.thresholds, self.bridge.state.metrics.timing
        newest = [(len(lane), lane[-1].ended_ns if lane else None) for lane in (floor.user, floor.agent)]
        known = *newest, rules, timing, self.bridge.state.status.live
        if known != self._known:
            judged = judged_by(floor, rules)
            self._known, self._moments = known, moments_of(judged, timing)
            self._figures = floor_figures(judged, timing)
        super().refresh_from_model()

    def poll(self) -> None:
        """Moves the lanes as time passes, by whole cells."""
        if self.bridge.state.status.live and self.following:
            cell = self._window(self.line_width)[0] // self._cell_ns(self.line_width)
            if cell != self._right_cell:
                self._right_cell = cell
                self.refresh_from_model()

    def title_parts(self) -> list[str]:
        """Returns who has the floor, each party's median offset and, for comparison, the offset between people."""
        figures = self._figures
        holder = self.floor.holder
        held = [f"held by {holder}"] if holder and self.bridge.state.status.live else []
        sides = (("agent after", figures.agent), ("user after", figures.user))
        offsets = [f"{name} {side.offset.short}" for name, side in sides if side.offsets]
        return [self.TITLE, *held, *offsets, *([f"people {PEOPLE_MS:.0f} ms"] if offsets else [])]

    def count(self) -> int:
        """Returns the number of events."""
        return len(self._moments)

    def event_of(self, index: int) -> int:
        """Returns the number of the event in the log for a row."""
        return self._moments[index].event

    def why_empty(self) -> str:
        """Returns the text for an empty pane."""
        return nothing_shown(self.bridge.state, "Nobody has spoken")

    def row_key(self, index: int) -> Hashable:
        """Returns the cache key of a row."""
        moment = self._moments[index]
        return moment.kind, moment.at_ns, moment.figure, moment.words

    def row(self, index: int, width: int) -> Sequence[Piece]:
        """Returns the time, symbol, figure and description of an event."""
        moment = self._moments[index]
        sign, look = self._sign(moment)
        words = max(width - _TIME_CELLS - _FIGURE_CELLS - 6, 0)
        return [
            (f"{numbers.since(moment.at_ns, self._start_ns()):>{_TIME_CELLS}} ", "rows--muted"),
            (f" {sign} ", look),
            (f"{moment.figure.short:>{_FIGURE_CELLS}} ", "rows--plain"),
            (fit(moment.words, words), look if moment.kind is MomentKind.TALK_OVER else "rows--plain"),
        ]

    def in_full(self, index: int) -> Sequence[Piece]:
        """Returns the selected event, the agent's report about it, and the figures of the session."""
        moment = self._moments[index]
        pieces: list[Piece] = [(moment.words, "rows--heading"), (str(moment.figure), "rows--plain")]
        pieces += [(line, "rows--muted") for line in self._account(moment)]
        for name, words in floor_lines(self._figures):
            pieces += [("\n", ""), (f"{name}: {words}", "rows--plain")]
        if bound := timing_line(self.bridge.state.metrics.timing):
            pieces += [("\n", ""), (bound, "rows--muted")]
        return pieces

    def _account(self, moment: FloorMoment) -> list[str]:
        """Returns the agent's own report about the user's onset, if the event begins with one."""
        if moment.by is not Party.USER:
            return []
        return [
            f"reported by the agent: barge-in {each.kind}, signal after {numbers.milliseconds(each.signal_ms)}"
            for each in self.bridge.state.metrics.barge_ins
            if each.at_ns == moment.at_ns
        ]

    # the lanes

    def heads(self, width: int, height: int) -> Sequence[Sequence[Piece]]:
        """Returns the lanes and, if there is room, their scale."""
        if height < _LANE_LINES + 1 or width <= 2 * _NAME_CELLS or not (self.floor.user or self.floor.agent):
            return []
        right_ns, span_ns = self._window(width)
        left_ns, cells = right_ns - span_ns, width - _NAME_CELLS
        lanes = [
            [
                (f"{name:<{_NAME_CELLS}}", "rows--muted"),
                (_lane(lane, left_ns, span_ns, cells), look),
            ]
            for name, lane, look in (
                ("user", self.floor.user, "rows--heading"),
                ("agent", self.floor.agent, "rows--bar"),
            )
        ]
        lines = [lanes[0], self._between(left_ns, span_ns, cells), lanes[1]]
        room = height - max(_LANE_LINES, self.least_lines)
        return [*lines, self._scale(left_ns, span_ns, cells)] if len(lines) < room else lines

    def _between(self, left_ns: int, span_ns: int, cells: int) -> list[Piece]:
        """Returns the symbols between the lanes, with the selected event highlighted."""
        signs: dict[int, Piece] = {}
        first = bisect_left(self._moments, left_ns - LIVE_NS, key=lambda each: each.at_ns)
        shown = sorted(self._moments[first:], key=lambda each: _ORDER.index(each.kind))
        for moment in shown:
            since_ns, until_ns = _extent(moment)
            for cell in _cells(since_ns, until_ns, left_ns, span_ns, cells):
                signs[cell] = self._sign(moment)
        if self.cursor < len(self._moments):
            at_ns = self._moments[self.cursor].at_ns
            for cell in _cells(at_ns, at_ns, left_ns, span_ns, cells):
                signs[cell] = "◆", "rows--heading"
        blank = (" ", "rows--muted")
        return [(" " * _NAME_CELLS, "rows--muted"), *(signs.get(cell, blank) for cell in range(cells))]

    def _scale(self, left_ns: int, span_ns: int, cells: int) -> list[Piece]:
        start_ns = self._start_ns()
        left, right = (numbers.clock((at_ns - start_ns) / 1e9) for at_ns in (left_ns, left_ns + span_ns))
        if left_ns < start_ns:
            left = ""
        middle = " " * max(cells - len(left) - len(right), 1)
        return [(f"{'':<{_NAME_CELLS}}{left}{middle}{right}", "rows--muted")]

    def _window(self, width: int) -> tuple[int, int]:
        """Returns the time at the right edge of the lanes, and the duration that the lanes cover, in ns.

        In a call, the right edge moves by whole cells.
        """
        ends = [
            each.ended_ns or each.began_ns
            for lane in (self.floor.user, self.floor.agent)
            for each in lane[-1:]
        ]
        newest_ns = max(ends, default=0)
        if not self.bridge.grows:
            return newest_ns, max(newest_ns - self._start_ns(), 1)
        cell_ns = self._cell_ns(width)
        now_ns = self.bridge.clock_ns() if self.bridge.state.status.live else newest_ns
        if not self.following and self.cursor < len(self._moments):
            at_ns = self._moments[self.cursor].at_ns
            if at_ns < now_ns - LIVE_NS:  # an event too old for the lanes is centered
                now_ns = at_ns + LIVE_NS // 2
        return (now_ns // cell_ns + 1) * cell_ns, cell_ns * max(width - _NAME_CELLS, 1)

    def _cell_ns(self, width: int) -> int:
        return max(LIVE_NS // max(width - _NAME_CELLS, 1), 1)

    def _start_ns(self) -> int:
        began = self.bridge.state.began_ns
        return began if began is not None else min((each.at_ns for each in self._moments), default=0)

    def _sign(self, moment: FloorMoment) -> Piece:
        if moment.kind is MomentKind.TURN:
            if moment.figure.ms is None:
                return " ", "rows--muted"
            return (OVERLAP if moment.figure.ms < 0 else GAP, "rows--muted")
        return _SIGNS[moment.kind]


def _extent(moment: FloorMoment) -> tuple[int, int]:
    """Returns the start and end of an event's symbol.

    The symbol of a turn covers the gap or overlap before the turn.
    """
    if moment.kind is not MomentKind.TURN:
        return moment.at_ns, moment.until_ns or moment.at_ns
    if moment.figure.ms is None:
        return 0, 0
    offset_ns = round(moment.figure.ms * 1e6)
    return min(moment.at_ns - offset_ns, moment.at_ns), max(moment.at_ns - offset_ns, moment.at_ns)


def _lane(lane: Sequence[Speech], left_ns: int, span_ns: int, cells: int) -> str:
    """Returns the lane of one party, as a string of cells. A cell that contains any speech is full."""
    drawn = [SILENCE] * cells
    for speech in reversed(lane):
        until_ns = left_ns + span_ns if speech.ended_ns is None else speech.ended_ns
        if until_ns < left_ns:
            break
        for cell in _cells(speech.began_ns, until_ns, left_ns, span_ns, cells):
            drawn[cell] = SPEECH
    return "".join(drawn)


def _cells(since_ns: int, until_ns: int, left_ns: int, span_ns: int, cells: int) -> range:
    """Returns the cells of a period: at least one, unless the period is outside the lanes."""
    if until_ns < left_ns or since_ns >= left_ns + span_ns:
        return range(0)
    first = (since_ns - left_ns) * cells // span_ns
    last = (max(until_ns - 1, since_ns) - left_ns) * cells // span_ns
    return range(max(first, 0), min(last, cells - 1) + 1)
