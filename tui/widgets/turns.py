"""TurnsPane: one row per turn, with a breakdown of its response time."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

from tui.bridge import Bridge
from tui.callbacks import Registration
from tui.config.model import Thresholds
from tui.models.events import Condition, Status
from tui.models.turns.turns import LEAST_TURNS, BargeIn, Percentiles, Turn
from tui.text import numbers
from tui.text.visible import one_line
from tui.widgets.lines import Piece
from tui.widgets.rows import RowsView
from tui.widgets.turn_words import LEGEND, bar_of, turn_in_full
from tui.widgets.wrap import fit

_MOST_BAR_CELLS = 24
_NUMBER_CELLS, _FIGURE_CELLS = 4, 8
_HEAD_CELLS = 23
_MOST_KEYS = 20


class TurnsPane(RowsView):
    """Draws `SessionMetrics.turns`."""

    TITLE = "Turns"
    HELP = (
        "user speech · response time, ✓ good ~ slow ✗ bad, ? uncertain, … waiting · its parts as a bar, "
        "› longer than the bar · agent speech · words; below: the selected turn in full"
    )

    def __init__(
        self,
        bridge: Bridge,
        thresholds: Thresholds,
        *,
        id: str | None = None,  # noqa: A002 - Textual's name for it
    ) -> None:
        super().__init__(id=id)
        self.bridge = bridge
        self.thresholds = thresholds

    @property
    def turns(self) -> list[Turn]:
        """The turns of the session."""
        return self.bridge.state.metrics.turns

    def listen(self) -> Iterable[Registration]:
        """Registers for figures, and for the status: a new session has no turns."""
        yield self.bridge.state.add_metrics_update_callback(self.changed)
        yield self.bridge.log.add_clear_callback(self.begin_anew)
        yield self.bridge.state.add_status_change_callback(self.changed)

    def title_parts(self) -> list[str]:
        """Returns the number of turns and the percentiles."""
        turns = [turn for turn in self.turns if turn.number]
        return [self.TITLE, f"{len(turns):,}", *_percentiles(self.bridge.state.metrics.percentiles())]

    def go_to_turn(self, number: int) -> None:
        """Put the cursor on a turn."""
        index = next((i for i, turn in enumerate(self.turns) if turn.number == number), None)
        if index is not None:
            self.move_to(index)

    def count(self) -> int:
        """Returns the number of turns."""
        return len(self.turns)

    def event_of(self, index: int) -> int:
        """Returns the number of the event the turn begins with."""
        return self.turns[index].first_event

    def head(self, width: int) -> str:
        """Returns the meaning of the glyphs."""
        good_ms, slow_ms = self.thresholds.good_ms, self.thresholds.slow_ms
        return f"{LEGEND}   ✓ ≤ {good_ms:g} ms  ~ ≤ {slow_ms:g}  ✗ above"

    def why_empty(self) -> str:
        """Returns why nothing is shown."""
        return "No turns yet. A turn starts when you speak or when the agent greets you."

    def poll(self) -> None:
        """Update the waiting time, which has no events."""
        if self.turns and self._waiting(self.turns[-1]):
            self.refresh_changed()

    def row_key(self, index: int) -> Hashable:
        """Returns the parts of a turn that are drawn."""
        turn = self.turns[index]
        seen = (
            turn.response_latency_ms,
            turn.user_speech_ms,
            turn.agent_speech_ms,
            turn.unmeasured or self._waiting(turn),
            turn.doubt,
        )
        texts = turn.user_text, turn.agent_text, turn.keys, len(turn.tools), turn.interrupted
        return turn.number, seen, texts, len(self._barge_ins(turn))

    def row(self, index: int, width: int) -> Sequence[Piece]:
        """Returns number, user speech, response time, its parts, agent speech, and what was said and done."""
        turn = self.turns[index]
        glyph, _, look = self._judged(turn)
        head = [
            (f"{turn.number:>{_NUMBER_CELLS}} ", "rows--muted"),
            (f"{numbers.seconds(turn.user_speech_ms):>6} ", "rows--plain"),
            (f"{self._response(turn):>{_FIGURE_CELLS}} {glyph} ", look),
        ]
        if turn.response_latency_ms is None:
            reason = one_line(turn.unmeasured, 200) or f"… {self._waiting(turn)}"
            return [*head, (fit(reason, max(width - _HEAD_CELLS, 0)), "rows--slow")]
        bar_cells = min(max(width // 4, 8), _MOST_BAR_CELLS)
        return [
            *head,
            (bar_of(turn.parts, turn.response_latency_ms, self.thresholds.slow_ms, bar_cells), "rows--bar"),
            (f" {numbers.seconds(turn.agent_speech_ms):>6} ", "rows--plain"),
            (fit(self._words(turn), max(width - _HEAD_CELLS - bar_cells - 8, 0)), "rows--muted"),
        ]

    def in_full(self, index: int) -> Sequence[Piece]:
        """Returns every figure of the turn, by name."""
        turn = self.turns[index]
        glyph, word, look = self._judged(turn)
        return turn_in_full(turn, self._barge_ins(turn), (f"{glyph} {word}", look), self._waiting(turn))

    def _waiting(self, turn: Turn) -> str:
        """Returns how long the user has been waiting for an answer; empty if they are not waiting."""
        state = self.bridge.state
        if turn is not self.turns[-1] or state.status is not Status.ACTIVE:
            return ""
        waited_ms = turn.waited_ms(self.bridge.clock_ns())
        if waited_ms is None or waited_ms < 0:
            return ""
        given_up = ("playback", Condition.NOT_ANSWERED) in state.conditions
        return f"{waited_ms / 1000:.1f} s{', not answered' if given_up else ''}"

    def _response(self, turn: Turn) -> str:
        return numbers.milliseconds(turn.response_latency_ms) + ("?" if turn.doubt else "")

    def _judged(self, turn: Turn) -> tuple[str, str, str]:
        """Returns glyph, word and style of the verdict."""
        if turn.response_latency_ms is None:
            return " ", "", "rows--muted"
        word = self.thresholds.judge(turn.response_latency_ms)
        return numbers.VERDICTS[word], word, f"rows--{word}"

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
        words += [f"keys {one_line(turn.keys, _MOST_KEYS)}"] if turn.keys else []
        words += ["cut off"] if turn.interrupted else []
        words += [f"[{name}]" for name in turn.tools]
        words += [f"{turn.doubt}"] if turn.doubt else []
        words += [f"“{turn.user_text or turn.agent_text}”"] if turn.user_text or turn.agent_text else []
        return one_line(" · ".join(words), 200)


def _percentiles(of: Percentiles) -> list[str]:
    if of.worst_ms is None:
        return []
    if of.p50_ms is None:
        return [f"worst {numbers.milliseconds(of.worst_ms)}", f"p50/p95 need {LEAST_TURNS} turns"]
    return [
        f"p50 {numbers.milliseconds(of.p50_ms)}",
        f"p95 {numbers.milliseconds(of.p95_ms)}",
        f"worst {numbers.milliseconds(of.worst_ms)}",
    ]
