"""SessionStrip: shows the state of the session in two lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich.cells import cell_len
from textual.content import Content
from textual.geometry import Region
from textual.strip import Strip

from tui.bridge import Bridge
from tui.callbacks import Registration
from tui.models.events import Loss, ScenarioPhase, Status
from tui.models.session_state import SessionState
from tui.models.telemetry import Telemetry
from tui.models.turns.figures import Figure, Thresholds, response_of, timed
from tui.models.turns.metrics import SessionMetrics
from tui.text import numbers
from tui.text.visible import one_line
from tui.widgets.drawn import Drawn
from tui.widgets.figures import ShownFigure
from tui.widgets.hints import what_to_press
from tui.widgets.lines import line_of
from tui.widgets.panel import ModelPanel
from tui.widgets.wrap import fit

Part = tuple[str, str]
"""A piece of text and its style."""

STATUS_LOOKS: dict[Status, Part] = {
    Status.IDLE: ("○", "$foreground-muted"),
    Status.CONNECTING: ("◌", "$text-warning"),
    Status.INITIATING: ("◍", "$text-warning"),
    Status.ACTIVE: ("●", "bold $text-success"),
    Status.RESUMING: ("↻", "bold $text-warning"),
    Status.ENDING: ("◑", "$text-warning"),
    Status.ENDED: ("■", "$foreground-muted"),
    Status.ERROR: ("✗", "bold $text-error"),
}
_LOSS_NAMES = {
    Loss.CAPTURE_OVERFLOW: "overflow",
    Loss.CAPTURE_DROPPED: "dropped",
    Loss.DEVICE_UNDERFLOW: "underflow",
    Loss.CALLBACK_FAILED: "callbacks",
}
"""Labels that are shorter than `Loss.label`, by loss."""
_CAPTURE_NAMES = {"default": "default microphone", "caller lines": "recorded lines"}
_PLAYBACK_NAMES = {"default": "default speaker", "none": "not heard"}
"""Clearer words for device names of sound systems and of this program."""
_GAP = 2
_LEAST_CELLS = 12
"""Width in cells of the smallest part of a URL that is worth showing."""
_NOTHING = Telemetry(at_ns=0)
_MUTED, _PLAIN, _WARN = "$foreground-muted", "$foreground", "bold $text-warning"
_JUDGED = {"good": "bold $text-success", "slow": _WARN, "bad": "bold $text-error"}


class SessionStrip(Drawn, ModelPanel):
    """Shows the status, controls and figures of the session, and a clock."""

    DEFAULT_CSS = """
    SessionStrip { height: 2; padding: 0 1; background: $surface; }
    """

    def __init__(self, bridge: Bridge, thresholds: Thresholds, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.bridge = bridge
        self.thresholds = thresholds
        self.hint = ""
        """Text shown while there is no session."""
        self.recorded = False
        """Whether this is a saved session, for which no saving light is shown."""
        self._up_to_date = False
        """Whether the strip was refreshed since the last poll."""
        self._lines: list[list[Part]] = [[], []]
        """The two lines as they are shown."""

    def listen(self) -> Iterable[Registration]:
        """Subscribes to changes of the status, controls and figures."""
        state = self.bridge.state
        yield state.add_status_change_callback(self.changed)
        yield state.add_controls_change_callback(self.changed)
        yield state.add_metrics_update_callback(self.changed)

    def refresh_from_model(self) -> None:
        """Redraws the strip if the text has changed."""
        self._up_to_date = True
        # Before the first layout, the width is that of the screen, so that the first picture is complete.
        width = self.content_size.width or self.screen.size.width - 2
        state = self.bridge.state
        now_ns = self.bridge.clock_ns()
        telemetry = self.bridge.latest.telemetry if state.status.live else _NOTHING
        figures = [*_figures(state.metrics, self.thresholds), *_usage(state.usage)]
        reading = self.bridge.latest.reading
        lines = (
            (_who(state, self.hint, reading), _controls(state, now_ns, reading, self._saving())),
            (figures, [*self._hint(), *_doing(state, telemetry)]),
        )
        for y, line in enumerate(lines):
            parts = spread_parts(*line, width)
            if parts != self._lines[y]:
                self._lines[y] = parts
                self.repaint(Region(0, y, width, 1))

    def render_line(self, y: int) -> Strip:
        """Draws one of the two lines."""
        return line_of(*((text, self.look(style)) for text, style in self._lines[y]))

    def _hint(self) -> list[Group]:
        """Returns a hint with the keys to press, in a call in which the user has not spoken yet.

        While a scenario plays, there is none, because the scenario is the user.
        """
        playing = self.bridge.scenario.phase is ScenarioPhase.PLAYING
        hint = "" if self.recorded or playing else what_to_press(self.bridge.state)
        return [Group([(hint, "$secondary")], 4)] if hint else []

    def _saving(self) -> Group | None:
        """Returns a light that shows whether the call is being saved; None for a saved session."""
        if self.recorded or not self.bridge.state.status.live:
            return None
        folder = self.bridge.folder
        if folder.path is None or folder.saving_ended:
            return Group([("not saved", _WARN)])
        return Group([("● saving", "$text-success")], 1)

    def poll(self) -> None:
        """Updates the clock. Does nothing if an event has updated the strip since the last poll."""
        if not self._up_to_date:
            self.refresh_from_model()
        self._up_to_date = False

    def on_resize(self) -> None:
        """Draws the groups that fit the new width."""
        self.refresh_from_model()


class Group(NamedTuple):
    """Pieces of text that are shown or left out together."""

    parts: Sequence[Part]
    rank: int = 0
    """If there is not enough room, groups of the highest rank are left out first, groups of rank 0 never."""
    least_cells: int = 0
    """Smallest width of the shortened group; 0 means that the group is never shortened."""

    def fitted(self, cells: int) -> Group | None:
        """Returns the group shortened to ``cells`` cells; None if too little of the group would remain.

        The last text of the group is cut in the middle.
        """
        if not self.least_cells or cells < self.least_cells:
            return None
        *first, (text, style) = self.parts
        room = cells - sum(cell_len(part) for part, _ in first)
        return self._replace(parts=[*first, (fit(text, room, keep_ends=True).rstrip(), style)])


def spread(left: Sequence[Group], right: Sequence[Group], width: int) -> Content:
    """Returns a line with groups at its left and right edge.

    Groups of high rank are left out if there is not enough room.
    """
    return Content.assemble(*spread_parts(left, right, width))


def spread_parts(left: Sequence[Group], right: Sequence[Group], width: int) -> list[Part]:
    """Returns the pieces of a line with groups at its left and right edge.

    Groups of high rank are left out if there is not enough room.
    """
    kept, ends = list(left), list(right)
    while _cells(kept) + _cells(ends) + (_GAP if ends else 0) > width:
        last = max((*kept, *ends), key=lambda group: group.rank)
        if last.rank == 0:
            break
        side = kept if last in kept else ends
        room = width - _cells([group for group in (*kept, *ends) if group is not last]) - 2 * _GAP
        short = last.fitted(room)
        if short is not None:
            side[side.index(last)] = short
            break
        side.remove(last)
    gap = max(width - _cells(kept) - _cells(ends), 0)
    return [*_joined(kept), (" " * gap, ""), *_joined(ends)]


def _joined(groups: Sequence[Group]) -> list[Part]:
    parts: list[Part] = []
    for group in groups:
        if parts:
            parts.append((" " * _GAP, ""))
        parts += group.parts
    return parts


def _cells(groups: Sequence[Group]) -> int:
    return sum(cell_len(text) for text, _ in _joined(groups))


def _who(state: SessionState, hint: str, reading: float | None) -> list[Group]:
    glyph, style = STATUS_LOOKS[state.status]
    groups = [Group([(f"{glyph} {state.status.value}", style)])]
    if reading is not None:  # the status comes from the saved events, not from a call
        groups = [Group([(f"◌ reading the session: {reading:.0%}", "$text-warning")])]
    if not state.protocol:
        return [*groups, Group([(hint or "no session", _MUTED)], 1)]
    groups.append(Group([(one_line(state.title or state.target, 40), "bold $foreground")]))
    groups.append(Group([(one_line(state.protocol, 20), "$primary")], 2))
    if state.reason:
        groups.append(Group([(one_line(state.reason, 60), _PLAIN)], 1))
    if state.title and state.target:
        groups.append(Group([(one_line(state.target, 80), _MUTED)], 5, _LEAST_CELLS))
    return groups


def _controls(state: SessionState, now_ns: int, reading: float | None, saving: Group | None) -> list[Group]:
    groups: list[Group] = []
    if state.controls.capture or state.controls.playback:
        capture = _CAPTURE_NAMES.get(state.controls.capture, one_line(state.controls.capture, 24))
        playback = _PLAYBACK_NAMES.get(state.controls.playback, one_line(state.controls.playback, 24))
        devices = f"{capture} → agent → {playback}"
        groups.append(Group([(devices, _MUTED)], 6))
    if state.controls.volume != 1.0:
        groups.append(_named(ShownFigure.VOLUME, f"{state.controls.volume:.0%}", 3))
    if state.controls.muted:
        groups.append(Group([("▲ MUTED", _WARN)]))
    if reading is not None:
        pass  # there is no microphone in this case
    elif state.controls.recording:
        groups.append(Group([("◉ mic on", "bold $text-error")]))
    elif state.status.live:
        groups.append(Group([("□ mic off", _MUTED)], 4))
    if saving is not None:
        groups.append(saving)
    groups.append(Group([(numbers.clock(state.metrics.duration_s(now_ns)), "bold $foreground")]))
    return groups


def _figures(metrics: SessionMetrics, thresholds: Thresholds) -> list[Group]:
    return [
        _response(metrics, thresholds),
        Group([(f"{ShownFigure.LOSS} ", _MUTED), *_losses(metrics)]),
        *_asked_for(metrics),
        *_stalls(metrics),
        *([_count(ShownFigure.ERRORS, metrics.errors, 1, "bold $text-error")] if metrics.errors else ()),
        *([_count(ShownFigure.FINDINGS, metrics.findings, 2, _WARN)] if metrics.findings else ()),
        *([_count(ShownFigure.ADVICE, metrics.advice, 11)] if metrics.advice else ()),
        _latency(ShownFigure.GREETING, _greeting(metrics), 7),
        _latency(ShownFigure.PING, timed(metrics.round_trip_ms), 6),
        *([_count(ShownFigure.FLUSHED, metrics.interruptions, 8)] if metrics.interruptions else ()),
        _count(ShownFigure.RECEIVED, metrics.messages_received, 9),
        _count(ShownFigure.SENT, metrics.messages_sent, 10),
    ]


def _usage(usage: dict[str, float]) -> list[Group]:
    """Returns the token counts that the agent has reported."""
    names = ((ShownFigure.TOKENS, "total_tokens", 4), (ShownFigure.TOKENS_LEFT, "tokens left", 5))
    return [
        _named(name, numbers.count(usage[figure]), rank) for name, figure, rank in names if figure in usage
    ]


def _count(name: ShownFigure, value: int, rank: int, style: str = _PLAIN) -> Group:
    return _named(name, f"{value:,}", rank, style)


def _named(name: str, value: str, rank: int, style: str = _PLAIN) -> Group:
    return Group([(f"{name} ", _MUTED), (value, style)], rank)


def _latency(name: ShownFigure, figure: Figure, rank: int) -> Group:
    text, style = str(figure), _PLAIN
    if figure.grade:
        text, style = f"{text} {figure.glyph}", _JUDGED[figure.grade]
    return _named(name, text, rank, style)


def _response(metrics: SessionMetrics, thresholds: Thresholds) -> Group:
    turn = metrics.last_answered
    figure = response_of(turn, thresholds) if turn else Figure()
    # Until there is one, a hint on which key to press is more helpful.
    return _latency(ShownFigure.RESPONSE, figure, 4 if figure.ms is None else 0)


def _greeting(metrics: SessionMetrics) -> Figure:
    turn = metrics.turns[0] if metrics.turns else None
    return response_of(turn, None) if turn and not turn.number else Figure()


def _asked_for(metrics: SessionMetrics) -> list[Group]:
    """Returns the amounts of audio that were dropped on purpose.

    Audio that was dropped on purpose does not count as a loss.
    """
    return [
        _named(loss.label, _amount(loss, amount), 3)
        for loss in Loss
        if not loss.is_fault and (amount := metrics.losses.get(loss.value, 0))
    ]


def _stalls(metrics: SessionMetrics) -> list[Group]:
    """Returns how long each device delivered or accepted no audio."""
    lasted_ms = sum(stalls.lasted_ms for stalls in metrics.stalls.values())
    return [_named(ShownFigure.STALLED, f"{lasted_ms / 1000:.1f} s", 2, _WARN)] if lasted_ms else []


def _amount(loss: Loss, amount: float) -> str:
    return f"{amount / 1000:.1f} s" if loss.unit == "ms" else f"{amount:g}"


def _losses(metrics: SessionMetrics) -> list[Part]:
    parts: list[Part] = []
    for loss in Loss:
        amount = metrics.losses.get(loss.value, 0)
        if amount and loss.is_fault:
            name = _LOSS_NAMES.get(loss, loss.label)
            parts.append((f"{', ' if parts else ''}{name} {_amount(loss, amount)}", _WARN))
    return parts or [("0", _PLAIN)]


def _doing(state: SessionState, telemetry: Telemetry) -> list[Group]:
    groups: list[Group] = []
    if telemetry.queued_ms >= 50:
        groups.append(_named(ShownFigure.QUEUED, f"{telemetry.queued_ms / 1000:.1f} s", 3))
    if state.controls.line:
        progress = telemetry.line_progress
        how_far = "" if progress is None else f" {min(max(progress, 0.0), 1.0):.0%}"
        groups.append(Group([(f"▶ {one_line(state.controls.line, 24)}{how_far}", "bold $secondary")], 1))
    return groups
