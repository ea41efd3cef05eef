"""TurnPage: shows one turn in full in a scrolling view."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar

from textual.binding import BindingType

from tui.bridge import Bridge
from tui.models.turns.figures import Thresholds, response_of, timing_line
from tui.models.turns.turns import BargeIn, Turn
from tui.models.turns.why import Share, why_of
from tui.text import numbers
from tui.text.visible import one_line
from tui.units import NS_PER_MS
from tui.widgets.text_page import Line, TextPage, scroll_bindings
from tui.widgets.turn_words import STAGE_GLYPHS, further_lines, judged, notable_lines, shown_shares
from tui.widgets.wrap import fit, wrap

_MS_CELLS, _SHARE_CELLS, _NAME_CELLS, _INDENT = 10, 5, 16, 2
_LEAST_BAR_CELLS, _MOST_BAR_CELLS = 10, 40
_MAX_WORDS = 2_000
_STEPS = ("speech stopped", "speech committed", "recognised")
"""Agent reports that are measured from the user's last sound. Other reports are the agent's own figures."""


class TurnPage(TextPage, inherit_bindings=False):
    """Draws one turn: its verdict, the shares of its response time, the agent's reports, and the words."""

    TITLE = "Turn"
    BINDINGS: ClassVar[list[BindingType]] = scroll_bindings("turn_page")

    def __init__(self, bridge: Bridge, thresholds: Thresholds, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.bridge = bridge
        self.thresholds = thresholds
        self.number = 0

    @property
    def turn(self) -> Turn | None:
        """The turn that is shown; None if the session has no such turn."""
        return next((turn for turn in self.bridge.state.metrics.turns if turn.number == self.number), None)

    def show(self, number: int) -> None:
        """Shows the turn with this number, from its beginning."""
        self.number = number
        self.scroll_to(y=0, animate=False)
        self.update()

    def update(self) -> None:
        """Updates the figures, which change until the turn is over."""
        turn, width = self.turn, max(self.line_width - 2, 1)
        barge_ins = [each for each in self.bridge.state.metrics.barge_ins if each.turn == self.number]
        bound = timing_line(self.bridge.state.metrics.timing)
        lines: list[Line] = []
        if turn is not None:
            lines = list(_lines(turn, barge_ins, self.thresholds, width, bound))
        self.set_text(lines)

    def on_resize(self) -> None:
        """Lays out the turn for the new width."""
        self.update()


def _lines(
    turn: Turn, barge_ins: Sequence[BargeIn], thresholds: Thresholds, width: int, bound: str
) -> Iterator[Line]:
    figure = response_of(turn, thresholds)
    if figure.ms is None:
        yield from _wrapped(f"No response time: {turn.unmeasured or 'not measured yet'}", "page--slow", width)
    else:
        yield [(f"Response time {judged(figure)}", f"page--{figure.grade or 'plain'}")]
    if why := why_of(turn):
        yield from _wrapped(f"{why}.", "page--plain", width)
    for line in notable_lines(turn, barge_ins):
        yield from _wrapped(line, "page--slow", width)
    shares = shown_shares(turn)
    if shares:
        yield from _headed("Where the time went, longest first", _of_shares(shares, width))
    if turn.user_ended_ns is not None and turn.number:
        yield from _headed("Heard here, and reported by the agent", _timeline(turn))
    yield from _headed("Also known", _others(turn, width, bound))
    yield from _headed("Words", _words(turn, width))


def _of_shares(shares: Sequence[Share], width: int) -> Iterator[Line]:
    whole_ms = max(sum(share.ms for share in shares), 1.0)
    cells = min(max(width // 4, _LEAST_BAR_CELLS), _MOST_BAR_CELLS)
    left = _INDENT + _MS_CELLS + _SHARE_CELLS + 2
    for share in shares:
        length = min(max(round(share.ms / whole_ms * cells), 1 if share.ms > 0 else 0), cells)
        yield [
            (f"{numbers.milliseconds(share.ms):>{_INDENT + _MS_CELLS}}", "page--plain"),
            (f"{share.ms / whole_ms:>{_SHARE_CELLS}.0%}  ", "page--muted"),
            (fit(share.stage, _NAME_CELLS), "page--heading"),
            (STAGE_GLYPHS[share.stage] * length, "page--bar"),
        ]
        yield from _wrapped(share.stage.meaning, "page--muted", width, indent=left)


def _timeline(turn: Turn) -> Iterator[Line]:
    parts = turn.parts
    arrived_ms = None if parts.agent_ms is None else parts.to_agent_ms + parts.agent_ms
    heard = [
        (0.0, "heard", "the user's last sound"),
        (arrived_ms, "received", "the first audio of the answer"),
        (turn.response_ms, "heard", "the agent's first sound"),
    ]
    reported = [(turn.reported_ms.get(name), "reported", name) for name in _STEPS]
    began_ns = turn.user_ended_ns or 0
    # The time that was measured in the call is listed above.
    second = [
        (
            (dispute.second_ns - began_ns) / NS_PER_MS,
            "second",
            f"the {dispute.edge}, according to a second detector",
        )
        for dispute in turn.disputes
        if dispute.second_ns is not None
    ]
    known = [(ms, by, what) for ms, by, what in (*heard, *reported, *second) if ms is not None]
    for ms, by, what in sorted(known, key=lambda each: each[0]):
        yield [
            (f"{numbers.milliseconds(ms):>{_INDENT + _MS_CELLS}}  ", "page--plain"),
            (f"{by:<10}", "page--bar" if by == "reported" else "page--muted"),
            (what, "page--plain"),
        ]


def _others(turn: Turn, width: int, bound: str) -> Iterator[Line]:
    facts = [
        f"user spoke {numbers.seconds(turn.user_speech_ms)}" if turn.user_speech_ms else "",
        f"agent spoke {numbers.seconds(turn.agent_speech_ms)}" if turn.agent_speech_ms else "",
        "the answer was cut off" if turn.interrupted else "",
        f"keys {one_line(turn.keys, 200)}" if turn.keys else "",
        *further_lines(turn),
        one_line(bound, 300),
    ]
    for fact in filter(None, facts):
        yield from _wrapped(fact, "page--plain", width, indent=_INDENT)


def _words(turn: Turn, width: int) -> Iterator[Line]:
    for speaker, words in (("user", turn.user_text), ("agent", turn.agent_text)):
        if words:
            yield from _wrapped(
                f"{speaker}: {one_line(words, _MAX_WORDS)}", "page--plain", width, indent=_INDENT
            )


def _headed(title: str, lines: Iterable[Line]) -> Iterator[Line]:
    found = list(lines)
    if found:
        yield []
        yield [(title, "page--heading")]
        yield from found


def _wrapped(text: str, style: str, width: int, indent: int = 0) -> Iterator[Line]:
    for line in wrap(text, max(width - indent, 1)):
        yield [(" " * indent + line, style)]
