"""The Chart screen: response times by turn, their distribution, and a list of the slow turns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.color import Color
from textual.containers import Container
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from tui.bridge import Bridge
from tui.models.turns.figures import Grade, Thresholds, graded, response_of, worst_of
from tui.models.turns.turns import LEAST_TURNS, Turn
from tui.screens.actions import Action, bindings
from tui.screens.page import Page
from tui.widgets.turn_words import causes_of

if TYPE_CHECKING:
    from textual_plotext import PlotextPlot

CHART = (
    Action("chart_close", "escape,P", "Back", "Go back to the turns.", "close", key_display="esc", show=True),
)
_MOST_LISTED = 100
_MOST_BINS = 20
_BIN_WIDTHS_MS = [step * 10**power for power in range(6) for step in (1, 2, 5)]
_MOST_BIN_LABELS, _MOST_COUNT_LABELS = 6, 4
_MOST_TICKS = 8
_ROWS_AROUND = 4
"""Rows of a plot outside its frame, and of the frame: the title, the ticks, and two lines."""
_MARKERS: dict[Grade, tuple[str, str]] = {
    "good": ("•", "green"),
    "slow": ("~", "orange"),
    "bad": ("x", "red"),
}
"""Marker and color of a response, by grade. The markers are distinguishable without color."""
_IN_THEME = {
    "green": "success",
    "orange": "warning",
    "red": "error",
    "blue": "primary",
    "magenta": "secondary",
}
"""Theme color for each of plotext's colors, which are terminal colors."""


class ChartScreen(Page[int | None], inherit_bindings=False):
    """Plots the response times so far.

    Returns a turn if the user asks for its events in the log, otherwise None. ``opened`` is called with the
    number of each turn that the user opens from the chart.
    """

    CSS_PATH = "chart.tcss"
    TITLE = "Chart"
    ACTIONS = CHART
    BINDINGS: ClassVar[list[BindingType]] = bindings(CHART)

    def __init__(self, bridge: Bridge, thresholds: Thresholds, opened: Callable[[int], object]) -> None:
        super().__init__()
        self._bridge = bridge
        self._opened = opened
        metrics = bridge.state.metrics
        self._judge = thresholds
        self._turns = [turn for turn in metrics.turns if turn.number and turn.response_ms is not None]
        self._percentiles = metrics.percentiles()

    def body(self) -> ComposeResult:
        """Composes the widgets from top to bottom."""
        # Imported with the first chart, because importing plotext takes as long as drawing a small screen.
        from textual_plotext import PlotextPlot

        yield Static(id="head", markup=False)
        with Container(id="plots"):
            yield PlotextPlot(id="responses")
            if len(self._turns) >= LEAST_TURNS:
                yield PlotextPlot(id="distribution")
        yield OptionList(*self._outliers(), id="outliers", markup=False)

    def on_mount(self) -> None:
        """Puts the cursor on the slowest turn."""
        outliers = self.query_one(OptionList)
        outliers.border_title = "Slowest first · enter opens the turn"
        outliers.focus()
        self.app.theme_changed_signal.subscribe(self, lambda _: self._draw())

    def on_resize(self) -> None:
        """Draws the plots once they have their new sizes."""
        self.call_after_refresh(self._draw)

    def _draw(self) -> None:
        head = self.query_one("#head", Static)
        head.update(self._head(head.content_size.width))
        self._plot_responses(self.query_one("#responses"))  # type: ignore[arg-type]  # imported late
        for plot in self.query("#distribution"):
            self._plot_distribution(plot)  # type: ignore[arg-type]  # imported late

    def _head(self, width: int) -> str:
        """Returns the figures and the limits, with line breaks only between them."""
        of, judge = self._percentiles, self._judge
        named = {"p50": graded(of.p50_ms, judge), "p95": graded(of.p95_ms, judge)}
        named["worst"] = worst_of(self._turns, judge)
        figures = [f"{name} {each} {each.glyph}" for name, each in named.items() if each.ms is not None]
        few = [f"p50, p95 and the histogram need {LEAST_TURNS} turns"] if of.p50_ms is None else []
        limits = f"✓ ≤ {judge.good_ms:g} ms, ~ ≤ {judge.slow_ms:g} ms, ✗ above"
        first, *others = (f"{len(self._turns):,} response times", *figures, *few, limits)
        lines = [first]
        for part in others:
            longer = f"{lines[-1]} · {part}"
            if cell_len(longer) <= width:
                lines[-1] = longer
            else:
                lines.append(part)
        return "\n".join(lines)

    def _plot_responses(self, plot: PlotextPlot) -> None:
        plt, judge = plot.plt, self._judge
        plt.clear_data()
        plt.title("Response time in ms, by turn")
        for grade, (marker, color) in _MARKERS.items():
            those = [turn for turn in self._turns if response_of(turn, judge).grade == grade]
            if those:
                times_ms = [turn.response_ms for turn in those]
                numbers = [turn.number for turn in those]
                plt.scatter(numbers, times_ms, marker=marker, color=self._color(color))
        top_ms = 1.05 * max(self._percentiles.worst_ms or 0.0, judge.slow_ms)
        row_ms = top_ms / max(plot.size.height - _ROWS_AROUND, 1)
        labels: dict[float, str] = {0.0: "0"}
        for name, ms, color in (
            ("✓", judge.good_ms, "green"),
            ("~", judge.slow_ms, "red"),
            ("p50", self._percentiles.p50_ms, "blue"),
            ("p95", self._percentiles.p95_ms, "magenta"),
        ):
            # In the row of another line, it would take that line's place under that line's label.
            if ms is not None and all(abs(ms - other_ms) > row_ms for other_ms in labels):
                plt.hline(ms, self._color(color))
                labels[ms] = f"{name} {ms:.0f}"
        plt.ylim(0, top_ms)
        plt.yticks(list(labels), list(labels.values()))
        if self._turns:
            plt.xticks(_whole_ticks(self._turns[0].number, self._turns[-1].number))
        plot.refresh()

    def _color(self, name: str) -> str | tuple[int, int, int]:
        theme = self.app.current_theme
        return name if theme.ansi else Color.parse(getattr(theme, _IN_THEME[name])).rgb

    def _plot_distribution(self, plot: PlotextPlot) -> None:
        plt = plot.plt
        plt.clear_data()
        plt.title("Turns by response time in ms")
        first, width_ms, counts = _bins([turn.response_ms or 0.0 for turn in self._turns])
        plt.bar(list(range(len(counts))), counts, width=1, color=self._color("blue"))
        edges = _whole_ticks(0, len(counts), _MOST_BIN_LABELS)
        # A bar is drawn around its position.
        plt.xticks([edge - 0.5 for edge in edges], [f"{(first + edge) * width_ms:g}" for edge in edges])
        plt.yticks(_whole_ticks(0, max(counts), _MOST_COUNT_LABELS))
        plot.refresh()

    def _outliers(self) -> list[Option]:
        slowest = sorted(self._turns, key=lambda turn: -(turn.response_ms or 0.0))
        return [Option(self._line(turn), id=str(turn.number)) for turn in slowest[:_MOST_LISTED]]

    def _line(self, turn: Turn) -> str:
        figure = response_of(turn, self._judge)
        return f"turn {turn.number:<4} {figure.short:>9} {figure.glyph}  {' · '.join(causes_of(turn))}"

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        from tui.screens.turn import TurnScreen

        number = int(event.option_id or 0)
        self._opened(number)
        self.app.push_screen(TurnScreen(self._bridge, self._judge, number), self._turn_left)

    def _turn_left(self, number: int | None) -> None:
        if number is not None:
            self.dismiss(number)


def _bins(times_ms: Sequence[float]) -> tuple[int, int, list[int]]:
    """Returns the index of the first bin, the width of the bins in ms, and the count of times in each bin."""
    least, most = min(times_ms), max(times_ms)
    width_ms = next((each for each in _BIN_WIDTHS_MS if most - least < each * _MOST_BINS), _BIN_WIDTHS_MS[-1])
    first = int(least // width_ms)
    counts = [0] * (int(most // width_ms) - first + 1)
    for ms in times_ms:
        counts[int(ms // width_ms) - first] += 1
    return first, width_ms, counts


def _whole_ticks(first: int, last: int, most: int = _MOST_TICKS) -> list[float]:
    """Returns at most ``most`` equally spaced whole numbers from ``first`` to ``last``."""
    step = max(1, -(-(last - first) // (most - 1)))
    return [float(number) for number in range(first, last + 1, step)]
