"""The live screen of a load test, whose calls other processes make."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import msgspec
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Footer, Static

from tui.load.plot import TIME_STEPS, ticks
from tui.load.processes import LoadProcesses
from tui.load.snapshot import Snapshot
from tui.screens.themes import ANSI, DEFAULT_THEME, THEMES
from tui.text.numbers import clock, milliseconds
from tui.text.visible import one_line

if TYPE_CHECKING:
    from textual_plotext import PlotextPlot

_MOST_KINDS = 6
_MOST_POINTS = 600
"""Maximum number of snapshots. Beyond it, every other one is dropped, because a test may last for hours."""
_PERCENTILES = (("p50", "blue"), ("p95", "orange"), ("p99", "red"))
_BARS = "▁▂▃▄▅▆▇█"


class _PlotLine(NamedTuple):
    """A line of a plot: its name, its color, and its points."""

    name: str
    color: str
    points: Sequence[tuple[float, float | None]]


class LoadApp(App[int]):
    """Shows the progress of a load test until it ends.

    Returns the exit code of the test. ``printed`` collects the output of the processes that is not a
    snapshot, to be printed after the screen closes.
    """

    CSS_PATH = "load.tcss"
    TITLE = "Load test"
    ENABLE_COMMAND_PALETTE = False
    VERTICAL_BREAKPOINTS = [(0, "-short"), (30, "-tall")]  # noqa: RUF012 - as Textual declares it
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,ctrl+c,ctrl+q", "stop", "Hang up every call and stop", key_display="q", priority=True)
    ]

    def __init__(self, processes: LoadProcesses, title: str, theme: str = "") -> None:
        """Creates the screen. ``theme`` is used if there is such a theme."""
        super().__init__()
        self._wanted_theme = theme
        self._processes = processes
        self._what = one_line(title, 100)
        self._history: list[Snapshot] = []
        self._stopping = False
        self.printed: list[str] = []

    def compose(self) -> ComposeResult:
        """Composes the widgets from top to bottom."""
        # Imported with the first plot, because importing plotext takes as long as drawing a small screen.
        from textual_plotext import PlotextPlot

        with Vertical(id="body"):
            yield Static(self._what, id="title", markup=False)
            yield Static("Starting…", id="figures", markup=False)
            yield PlotextPlot(id="responses")
            yield PlotextPlot(id="calls")
            yield Static("", id="canary", markup=False)
            yield Static("", id="failures", markup=False)
        yield Footer()

    def on_mount(self) -> None:
        """Starts reading the output of the processes."""
        for theme in THEMES:
            self.register_theme(theme)
        known = self._wanted_theme in self.available_themes
        self.theme = ANSI if self.no_color else self._wanted_theme if known else DEFAULT_THEME
        self.run_worker(self._follow, thread=True)

    def action_stop(self) -> None:
        """Hangs up every call. If called again, ends the test immediately."""
        self._stopping = True
        self.query_one("#figures", Static).update("Hanging up every call… Press q again to end immediately.")
        self._processes.stop()

    def _follow(self) -> None:
        """Shows each snapshot from the processes until they have ended. Runs on a thread."""
        for line in self._processes.lines():
            try:
                snapshot = msgspec.json.decode(line, type=Snapshot)
            except msgspec.DecodeError:
                self.printed.append(line)
            else:
                self.call_from_thread(self.show, snapshot)
        code = self._processes.wait()
        self.call_from_thread(self.exit, code)

    def show(self, snapshot: Snapshot) -> None:
        """Shows a snapshot of the test."""
        self._history.append(snapshot)
        if len(self._history) > _MOST_POINTS:
            del self._history[1:-1:2]
        if not self._stopping:
            self.query_one("#figures", Static).update("\n".join(lines_of(snapshot)))
        failures = self.query_one("#failures", Static)
        failures.update("\n".join(failures_of(snapshot)))
        failures.set_class(bool(snapshot.kinds), "-failed")
        self.query_one("#canary", Static).update(strip_of(snapshot.canary_ms))
        self._plot_responses(self.query_one("#responses"))  # type: ignore[arg-type]  # imported late
        self._plot_calls(self.query_one("#calls"))  # type: ignore[arg-type]  # imported late

    def _plot_responses(self, plot: PlotextPlot) -> None:
        lines = [
            _PlotLine(name, color, [(each.at_s, getattr(each, f"{name}_ms")) for each in self._history])
            for name, color in _PERCENTILES
        ]
        measured = any(value is not None for line in lines for _, value in line.points)
        title = (
            "Response time (ms) over the last 30 s" if measured else "No response time has been measured yet"
        )
        self._plot(plot, title, lines, most_steps=5)

    def _plot_calls(self, plot: PlotextPlot) -> None:
        lines = [_PlotLine("calls", "blue", [(each.at_s, each.calls) for each in self._history])]
        title = "Simultaneous calls"
        if knee := self._history[-1].knee_calls:
            lines.append(_PlotLine("knee", "orange", [(each.at_s, knee) for each in self._history]))
            title = f"{title} and the current knee"
        self._plot(plot, title, lines, most_steps=3)

    def _plot(self, plot: PlotextPlot, title: str, lines: Sequence[_PlotLine], *, most_steps: int) -> None:
        plt, now_s = plot.plt, max(self._history[-1].at_s, 1.0)
        plt.clear_data()
        plt.title(title)
        most = max((value for line in lines for _, value in line.points if value is not None), default=0.0)
        values = ticks(most, most_steps=most_steps)
        plt.ylim(0, values[-1])
        plt.yticks(values, [f"{value:7,.0f}" for value in values])
        times_s = [at_s for at_s in ticks(now_s, TIME_STEPS, most_steps=5) if at_s <= now_s]
        plt.xlim(0, now_s)
        plt.xticks(times_s, [clock(at_s) for at_s in times_s])
        for line in lines:
            known = [(at_s, value) for at_s, value in line.points if value is not None]
            if known:
                at_s, shown = zip(*known, strict=True)
                plt.plot(at_s, shown, label=line.name, color=line.color)
        plot.refresh()


def lines_of(snapshot: Snapshot) -> list[str]:
    """Returns three lines with the figures of a snapshot."""
    percentiles = (("p50", snapshot.p50_ms), ("p95", snapshot.p95_ms), ("p99", snapshot.p99_ms))
    response = "   ".join(f"{name} {milliseconds(value)}" for name, value in percentiles)
    knee = f"{snapshot.knee_calls} calls" if snapshot.knee_calls else "none so far"
    now = f"{snapshot.users:,} users   {snapshot.calls:,} calls now   {snapshot.calls_per_s:.1f} calls/s"
    worker = f"workers: {milliseconds(snapshot.lag_ms)} late, {snapshot.workers_lost:,} lost"
    return [
        f"{clock(snapshot.at_s)}   {now}   {snapshot.began:,} in all",
        f"last 30 s   {response}   knee {knee}",
        f"failed {snapshot.failed:,}   turns not trusted {snapshot.not_trusted:,}   {worker}",
    ]


def strip_of(canary_ms: Sequence[float]) -> str:
    """Returns the latest response times of the canary call as a row of bars; empty if there are none.

    The longest response time has the highest bar.
    """
    if not canary_ms:
        return ""
    worst_ms = max(canary_ms)
    bars = "".join(_BARS[min(int(each / worst_ms * len(_BARS)), len(_BARS) - 1)] for each in canary_ms[-40:])
    return f"canary response {bars}   now {milliseconds(canary_ms[-1])}   worst {milliseconds(worst_ms)}"


def failures_of(snapshot: Snapshot) -> list[str]:
    """Returns the failures in a snapshot by kind, the most frequent kind first."""
    most = sorted(snapshot.kinds.items(), key=lambda kind: -kind[1])[:_MOST_KINDS]
    return [one_line(f"{count:6,} × {kind}", 100) for kind, count in most] or ["No failures."]
