"""TurnsPane: one line a turn, with where its milliseconds went."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from tui.bridge import Bridge
from tui.callbacks import Registration
from tui.models.text import one_line
from tui.models.turns import BargeIn, LatencyParts, Percentiles, Turn
from tui.widgets import numbers
from tui.widgets.lines import FollowView, line_of
from tui.widgets.wrap import fit

GOOD_MS, SLOW_MS = 800, 1500
"""A response is good up to the first, slow beyond the second."""
PART_GLYPHS = {
    "capture": "·",
    "sending": "·",
    "agent": "█",
    "transport": "░",
    "prebuffer": "▒",
    "device": "▓",
    "leading silence": "_",
}
"""Told apart without colour; what they mean stands in the first line."""
LEGEND = "· capture  █ agent  ░ transport  ▒ prebuffer  ▓ device  _ silence"
_MOST_BAR_CELLS = 24
_NUMBER_CELLS, _FIGURE_CELLS = 4, 8


class TurnsPane(FollowView, inherit_bindings=False):
    """Draws `SessionMetrics.turns`: a legend, then the turns. Has a cursor; `enter` chooses the turn under it."""

    TITLE = "Turns"
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "turns--muted",
        "turns--plain",
        "turns--good",
        "turns--slow",
        "turns--bad",
        "turns--bar",
        "turns--warn",
        "turns--cursor",
    }
    DEFAULT_CSS = """
    TurnsPane {
        .turns--muted { color: $foreground-muted; }
        .turns--plain { color: $foreground; }
        .turns--good { color: $text-success; text-style: bold; }
        .turns--slow { color: $text-warning; text-style: bold; }
        .turns--bad { color: $text-error; text-style: bold; }
        .turns--bar { color: $primary; }
        .turns--warn { color: $text-warning; }
        .turns--cursor { background: $block-cursor-blurred-background; }
        &:focus .turns--cursor { background: $block-cursor-background; color: $block-cursor-foreground; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "Turn before", show=False, id="turns.up"),
        Binding("down", "move(1)", "Next turn", show=False, id="turns.down"),
        Binding("pageup", "move(-10)", "Ten turns back", show=False, id="turns.page_up"),
        Binding("pagedown", "move(10)", "Ten turns on", show=False, id="turns.page_down"),
        Binding("home", "move(-1000000)", "First turn", show=False, id="turns.first"),
        Binding("end", "follow_end", "Last turn, and follow", show=False, id="turns.last"),
        Binding("enter", "choose", "Show the turn's events in the log", show=False, id="turns.choose"),
    ]

    class Chosen(Message):
        """The events of a turn are to be shown."""

        def __init__(self, turn: Turn) -> None:
            super().__init__()
            self.turn = turn

    def __init__(
        self,
        bridge: Bridge,
        *,
        good_ms: float = GOOD_MS,
        slow_ms: float = SLOW_MS,
        id: str | None = None,  # noqa: A002 - Textual's name for it
    ) -> None:
        super().__init__(id=id)
        self.bridge = bridge
        self.good_ms, self.slow_ms = good_ms, slow_ms
        self.cursor = 0

    @property
    def turns(self) -> list[Turn]:
        """What is drawn."""
        return self.bridge.state.metrics.turns

    def listen(self) -> Iterable[Registration]:
        """Figures, and the status: a new session has no turns."""
        yield self.bridge.state.add_metrics_update_callback(self.changed)
        yield self.bridge.state.add_status_change_callback(self.changed)

    def refresh_from_model(self) -> None:
        """Take over how many turns there are; a line draws itself anew when its turn changed."""
        turns = self.turns
        if self.following or self.cursor >= len(turns):
            self.cursor = max(len(turns) - 1, 0)
        self.grow(len(turns) + 1, len(turns))

    def title_parts(self) -> list[str]:
        """How many, and the percentiles."""
        turns = [turn for turn in self.turns if turn.number]
        return [self.TITLE, f"{len(turns):,}", *_percentiles(self.bridge.state.metrics.percentiles())]

    def go_to(self, number: int) -> None:
        """Put the cursor on a turn."""
        index = next((i for i, turn in enumerate(self.turns) if turn.number == number), None)
        if index is not None:
            self._move_to(index)

    def action_move(self, by: int) -> None:
        """Up or down."""
        self._move_to(min(max(self.cursor + by, 0), max(len(self.turns) - 1, 0)))

    def action_choose(self) -> None:
        """The turn under the cursor."""
        if self.cursor < len(self.turns):
            self.post_message(self.Chosen(self.turns[self.cursor]))

    def on_click(self, event: events.Click) -> None:
        """Choose what was clicked."""
        offset = event.get_content_offset(self)
        if offset is None:
            super().on_click(event)
            return
        index = offset.y + self.scroll_offset.y - 1
        if 0 <= index < len(self.turns):
            self._move_to(index)
            self.action_choose()

    def _move_to(self, index: int) -> None:
        self.hold()
        self.cursor = index
        self.show_line(index + 1)
        self.refresh()

    def line_key(self, index: int) -> Hashable:
        """What of a turn is drawn."""
        if not 0 < index <= len(self.turns):
            return index
        turn = self.turns[index - 1]
        seen = (
            turn.response_latency_ms,
            turn.user_speech_ms,
            turn.agent_speech_ms,
            turn.unmeasured,
            turn.doubt,
        )
        texts = turn.user_text, turn.agent_text, len(turn.tools), turn.interrupted
        return index, index - 1 == self.cursor, self.has_focus, seen, texts, len(self._barge_ins(turn))

    def draw_line(self, index: int, width: int) -> Strip:
        """The legend, or a turn."""
        if index == 0:
            return line_of((fit(LEGEND, width), self.component("turns--muted")))
        turn = self.turns[index - 1]
        highlight = "turns--cursor" if index - 1 == self.cursor else ""
        plain, muted = (self.component(f"turns--{name}", highlight) for name in ("plain", "muted"))
        bar_cells = min(max(width // 4, 8), _MOST_BAR_CELLS)
        head = [
            (f"{turn.number:>{_NUMBER_CELLS}} ", muted),
            (f"{_seconds(turn.user_speech_ms):>6} ", plain),
            (f"{self._response(turn):>{_FIGURE_CELLS}} ", self.component(self._look(turn), highlight)),
        ]
        if turn.response_latency_ms is None:
            reason = turn.unmeasured or "…"
            return line_of(*head, (fit(reason, max(width - 22, 0)), self.component("turns--warn", highlight)))
        rest = max(width - 22 - bar_cells - 9, 0)
        return line_of(
            *head,
            (
                bar_of(turn.parts, turn.response_latency_ms, self.slow_ms, bar_cells),
                self.component("turns--bar", highlight),
            ),
            (f" {_seconds(turn.agent_speech_ms):>6} ", plain),
            (fit(self._words(turn), rest), muted),
        )

    def _response(self, turn: Turn) -> str:
        return numbers.milliseconds(turn.response_latency_ms) + ("?" if turn.doubt else "")

    def _look(self, turn: Turn) -> str:
        if turn.response_latency_ms is None:
            return "turns--muted"
        good, slow = turn.response_latency_ms <= self.good_ms, turn.response_latency_ms <= self.slow_ms
        return "turns--good" if good else "turns--slow" if slow else "turns--bad"

    def _barge_ins(self, turn: Turn) -> list[BargeIn]:
        # They are in order, and only the newest turns change.
        found = []
        for barge_in in reversed(self.bridge.state.metrics.barge_ins):
            if barge_in.turn < turn.number:
                break
            if barge_in.turn == turn.number:
                found.append(barge_in)
        return found[::-1]

    def _words(self, turn: Turn) -> str:
        words = [
            f"barge-in {barge_in.kind} {numbers.milliseconds(barge_in.silence_ms)}"
            for barge_in in self._barge_ins(turn)
        ]
        words += ["greeting"] if turn.number == 0 else []
        words += ["cut off"] if turn.interrupted else []
        words += [f"[{name}]" for name in turn.tools]
        words += [f"{turn.doubt}"] if turn.doubt else []
        words += [f"“{turn.user_text or turn.agent_text}”"] if turn.user_text or turn.agent_text else []
        return one_line(" · ".join(words), 200)


def bar_of(parts: LatencyParts, latency_ms: float, full_ms: float, cells: int) -> str:
    """The parts as cells of their glyphs, ``full_ms`` being all of them; where no part is known, the whole."""
    known = parts.known() or [("agent", latency_ms)]
    scale = cells / max(full_ms, 1.0)
    bar, reached_ms = "", 0.0
    for name, length_ms in known:
        reached_ms += length_ms
        bar += PART_GLYPHS[name] * (round(reached_ms * scale) - len(bar))
    return (bar[: cells - 1] + "›" if len(bar) > cells else bar).ljust(cells)


def _percentiles(of: Percentiles) -> list[str]:
    if of.worst_ms is None:
        return []
    if of.p50_ms is None:
        return [f"worst {numbers.milliseconds(of.worst_ms)}", "p50, p95 from 20 turns on"]
    return [
        f"p50 {numbers.milliseconds(of.p50_ms)}",
        f"p95 {numbers.milliseconds(of.p95_ms)}",
        f"worst {numbers.milliseconds(of.worst_ms)}",
    ]


def _seconds(length_ms: float | None) -> str:
    return "–" if length_ms is None else f"{length_ms / 1000:.1f} s"
