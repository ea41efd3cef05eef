"""HealthPane: shows the figures of the audio path, the program's timing, and losses."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import ClassVar, NamedTuple

from textual.binding import Binding, BindingType
from textual.strip import Strip

from tui.audio.calibration import Timing
from tui.bridge import Bridge
from tui.callbacks import Registration
from tui.models.events import Loss
from tui.models.session_state import SessionState
from tui.models.telemetry import Telemetry
from tui.models.turns.metrics import SessionMetrics
from tui.text import numbers
from tui.text.visible import one_line
from tui.widgets.figures import ShownFigure
from tui.widgets.lines import LineView, components_in, line_of
from tui.widgets.panel import ModelPanel
from tui.widgets.wrap import fit

_NAME_CELLS = 22
_LAG_MS, _SEND_MS, _LOAD = 30.0, 50.0, 0.5
_NOTHING = Telemetry(at_ns=0)
_LAST = " · final values of the call"


class HealthLine(NamedTuple):
    """A line of the pane: a figure, or a heading if the value is empty."""

    name: str
    value: str = ""
    warns: bool = False


class HealthPane(LineView, ModelPanel, inherit_bindings=False):
    """Shows audio problems, then capture, playback, this program, and losses."""

    DEFAULT_CSS = """
    HealthPane {
        .health--name { color: $foreground-muted; }
        .health--value { color: $foreground; }
        .health--heading { color: $primary; text-style: bold; }
        .health--warn { color: $text-warning; text-style: bold; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = components_in(DEFAULT_CSS)
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll_up", "Line up", show=False, id="health.up"),
        Binding("down,j", "scroll_down", "Line down", show=False, id="health.down"),
        Binding("pageup", "page_up", "Page up", show=False, id="health.page_up"),
        Binding("pagedown", "page_down", "Page down", show=False, id="health.page_down"),
    ]

    def __init__(self, bridge: Bridge, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.bridge = bridge
        self.border_title = "Health"
        self.figures: list[HealthLine] = []

    def listen(self) -> Iterable[Registration]:
        """Subscribes to changes of the controls, which include audio problems, and to status changes."""
        yield self.bridge.state.add_controls_change_callback(self.changed)
        yield self.bridge.state.add_status_change_callback(self.changed)

    def refresh_from_model(self) -> None:
        """Redraws the pane if a figure has changed."""
        state = self.bridge.state
        live = state.status.live
        telemetry = self.bridge.latest.telemetry if live else self.bridge.latest.telemetry_in_call
        figures = figures_of(state, telemetry, measuring=live and self.bridge.grows)
        if figures != self.figures:
            self.figures = figures
            self.set_lines(len(figures))
            self.refresh_changed()

    def poll(self) -> None:
        """Shows the latest telemetry, which changes without events."""
        self.refresh_from_model()

    def line_key(self, index: int) -> Hashable:
        """Returns the figure on a line, which is the cache key of the line."""
        return self.figures[index]

    def draw_line(self, index: int, width: int) -> Strip:
        """Draws a figure or a heading."""
        figure = self.figures[index]
        if not figure.value:
            look = "health--warn" if figure.warns else "health--heading"
            return line_of((fit(figure.name, width), self.component(look)))
        value = ("! " if figure.warns else "") + figure.value
        return line_of(
            (f"  {figure.name:<{_NAME_CELLS}}", self.component("health--name")),
            (
                fit(value, max(width - _NAME_CELLS - 2, 0)),
                self.component("health--warn" if figure.warns else "health--value"),
            ),
        )


def figures_of(state: SessionState, telemetry: Telemetry, *, measuring: bool = False) -> list[HealthLine]:
    """Returns the figures to show.

    After a call, the figures are the last ones measured. For a saved session, only losses are returned.
    """
    if telemetry == _NOTHING and not measuring:
        return [*_conditions(state), *_unmeasured(state), *_losses(state.metrics)]
    when = "" if state.status.live else _LAST
    return [
        *_conditions(state),
        *_capture(telemetry, when),
        *_playback(telemetry, when, state.metrics.timing),
        *_wire(state.metrics, telemetry, when),
        *_losses(state.metrics),
    ]


def _unmeasured(state: SessionState) -> list[HealthLine]:
    """Returns lines that replace the figures when nothing is being measured.

    The lines say that current values are measured only in a call.
    """
    timing, round_trip_ms = state.metrics.timing, state.metrics.round_trip_ms
    return [
        HealthLine("Capture, playback, this program"),
        HealthLine("current values", "measured in a call, not saved"),
        *([HealthLine(ShownFigure.TIMING, one_line(str(timing), 200))] if timing else []),
        *(
            [HealthLine(ShownFigure.ROUND_TRIP, numbers.milliseconds(round_trip_ms))]
            if round_trip_ms is not None
            else []
        ),
    ]


def _conditions(state: SessionState) -> list[HealthLine]:
    lines: list[HealthLine] = []
    for condition in state.conditions.values():
        lines.append(
            HealthLine(f"! {one_line(condition.text or condition.condition.value, 300)}", warns=True)
        )
        if condition.hint:
            lines.append(HealthLine(f"  {one_line(condition.hint, 300)}"))
    return lines


def _capture(t: Telemetry, when: str) -> list[HealthLine]:
    return [
        HealthLine(f"Capture{when}"),
        HealthLine(ShownFigure.LEVEL, _level(t.user_dbfs, t.user_peak_dbfs)),
        HealthLine(ShownFigure.CLIPPING, "clipped" if t.user_clipped else _none(t), warns=t.user_clipped),
        HealthLine(
            ShownFigure.SILENCE, "only zeros" if t.user_is_zero else "–" if t.user_dc is None else "no"
        ),
        HealthLine(
            ShownFigure.DC_OFFSET,
            "–" if t.user_dc is None else f"{t.user_dc:+.2%}",
            warns=abs(t.user_dc or 0) > 0.05,
        ),
        HealthLine(ShownFigure.ECHO, _echo(t), warns=t.echo_db is not None),
        HealthLine(
            ShownFigure.CLOCK, "–" if t.drift_ppm is None else f"{t.drift_ppm:+.0f} ppm against playback"
        ),
    ]


def _playback(t: Telemetry, when: str, timing: Timing | None) -> list[HealthLine]:
    return [
        HealthLine(f"Playback{when}"),
        HealthLine(ShownFigure.LEVEL, _level(t.agent_dbfs, t.agent_peak_dbfs)),
        HealthLine(ShownFigure.QUEUE, _queued(t)),
        HealthLine(ShownFigure.BUFFER, numbers.milliseconds(t.prebuffer_ms)),
        HealthLine(ShownFigure.DEVICE_LATENCY, numbers.milliseconds(t.output_latency_ms)),
        *([HealthLine(ShownFigure.TIMING, one_line(str(timing), 200))] if timing else []),
        HealthLine(ShownFigure.JITTER, numbers.milliseconds(t.arrival_jitter_ms)),
        HealthLine(
            ShownFigure.DELIVERY, "–" if t.delivery_ratio is None else f"{t.delivery_ratio:.2f} x real time"
        ),
    ]


def _wire(m: SessionMetrics, t: Telemetry, when: str) -> list[HealthLine]:
    load = t.callback_load
    return [
        HealthLine(f"This program{when}"),
        HealthLine(ShownFigure.SENDING, f"p50 {_exact(t.send_p50_ms)}, p99 {_exact(t.send_p99_ms)}"),
        HealthLine(ShownFigure.SENDING_WORST, _exact(t.send_late_ms), warns=(t.send_late_ms or 0) > _SEND_MS),
        HealthLine(ShownFigure.LOOP_LAG, _exact(t.loop_lag_ms), warns=(t.loop_lag_ms or 0) > _LAG_MS),
        HealthLine(
            ShownFigure.CALLBACK_LOAD, "–" if load is None else f"{load:.1%}", warns=(load or 0) > _LOAD
        ),
        HealthLine(ShownFigure.ROUND_TRIP, numbers.milliseconds(m.round_trip_ms)),
    ]


def _losses(m: SessionMetrics) -> list[HealthLine]:
    lines = [HealthLine("Lost so far")]
    for loss in Loss:
        amount = m.losses.get(loss.value, 0)
        unit = f" {loss.unit}" if loss.unit else ""
        lines.append(HealthLine(loss.label, f"{amount:,.0f}{unit}", warns=bool(amount) and loss.is_fault))
    for figure, path in (
        (ShownFigure.CAPTURE_STALLED, "capture"),
        (ShownFigure.PLAYBACK_STALLED, "playback"),
    ):
        stalls = m.stalls.get(path)
        lines.append(HealthLine(figure, str(stalls or "never"), warns=stalls is not None))
    return lines


def _level(rms_dbfs: float | None, peak_dbfs: float | None) -> str:
    if rms_dbfs is None or peak_dbfs is None:
        return "–"
    return f"{rms_dbfs:.0f} dB, peak {peak_dbfs:.0f} dB"


def _echo(t: Telemetry) -> str:
    if t.echo_db is None or t.echo_delay_ms is None:
        return _none(t, "none found")
    return f"{t.echo_db:.0f} dB after {t.echo_delay_ms:.0f} ms"


def _none(t: Telemetry, word: str = "none") -> str:
    """Returns ``word``, which says that nothing was found, or a dash if nothing was measured."""
    return "–" if t == _NOTHING else word


def _queued(t: Telemetry) -> str:
    return "–" if t == _NOTHING else f"{t.queued_ms / 1000:.2f} s, {t.queued_worst_ms / 1000:.2f} s"


def _exact(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f} ms" if value < 10 else f"{value:.0f} ms"
