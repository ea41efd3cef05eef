"""Describes a turn and its barge-ins in words. The most important figures come first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from textual.renderables.sparkline import Sparkline

from tui.models.turns.figures import Figure, Thresholds, barge_in_figures
from tui.models.turns.turns import BargeIn, Turn
from tui.models.turns.why import Share, Stage, notable, shares_of, why_of
from tui.text import numbers
from tui.text.visible import one_line
from tui.widgets.lines import Piece

STAGE_GLYPHS = {
    Stage.CAPTURE: "·",
    Stage.FRAMING: ":",
    Stage.SENDING: "·",
    Stage.TRANSPORT: "░",
    Stage.NOTICING: "▞",
    Stage.STEPS: "▤",
    Stage.TOOLS: "▚",
    Stage.UNEXPLAINED: "█",
    Stage.AGENT: "█",
    Stage.BUFFER: "▒",
    Stage.DEVICE: "▓",
    Stage.UNSTATED: "▓",
    Stage.SILENCE: "_",
    Stage.REST: "?",
}
"""Glyphs of the stages, distinguishable without color."""
_METHODS = {
    "silero": "end of speech: Silero VAD",
    "energy": "end of speech: energy VAD",
    "typed": "typed turn",
}
_MAX_TEXT = 200
VITAL_PIECES = 3
"""Number of leading pieces of a turn in full: its number, its response time, and the sentence with the reason."""
LEAST_SHARE_MS = 0.05
"""Smallest share shown in ms. Shorter shares would be shown as 0.0 ms."""


def bar_of(shares: Sequence[Share], full_ms: float, cells: int, judge: Thresholds) -> str:
    """Returns a bar of ``cells`` cells, filled with the glyphs of the shares.

    ``full_ms`` is the time that fills all cells. The empty cells show the thresholds.
    """
    scale = cells / max(full_ms, 1.0)
    bar, reached_ms = "", 0.0
    for share in shares:
        reached_ms += share.ms
        bar += STAGE_GLYPHS[share.stage] * (round(reached_ms * scale) - len(bar))
    bar = bar[:cells].ljust(cells)
    marks = {_cell(ms, full_ms, cells) for ms in (judge.good_ms, judge.slow_ms)}
    return "".join("┊" if cell == " " and at in marks else cell for at, cell in enumerate(bar))


def axis_of(full_ms: float, cells: int, judge: Thresholds) -> str:
    """Returns the axis above the bars. The axis has a mark at each threshold in its range."""
    marks = {_cell(ms, full_ms, cells) for ms in (judge.good_ms, judge.slow_ms)}
    return "".join("┬" if at in marks else "─" for at in range(cells))


def _cell(ms: float, full_ms: float, cells: int) -> int | None:
    return min(round(ms * cells / full_ms), cells - 1) if 0 < ms <= full_ms else None


def sparkline_of(latencies_ms: Sequence[float]) -> str:
    """Returns response times as a sparkline, one cell for each; empty if there are fewer than two."""
    if len(latencies_ms) < 2:
        return ""
    # Scaled from zero; otherwise, the fastest turn would look as if it took no time.
    worst_ms = max(latencies_ms)
    bars = Sparkline.BARS
    return "".join(bars[round(ms / max(worst_ms, 1.0) * (len(bars) - 1))] for ms in latencies_ms)


def turn_in_full(turn: Turn, figure: Figure, barge_ins: Sequence[BargeIn], waiting: str = "") -> list[Piece]:
    """Returns the details of a turn.

    The first `VITAL_PIECES` pieces are the number of the turn, its response time, and the reason.
    Uncertainty, barge-ins, shares and the agent's reports follow. ``waiting`` says how long the user has been
    waiting.
    """
    pieces: list[Piece] = [(f"turn {turn.number}" if turn.number else "greeting", "rows--heading")]
    if figure.ms is None:
        why = f": {one_line(turn.unmeasured, _MAX_TEXT)}" if turn.unmeasured else " yet"
        pieces.append((f"no response time{why}{f': waited {waiting}' if waiting else ''}", "rows--slow"))
    else:
        pieces.append((judged(figure), f"rows--{figure.grade or 'plain'}"))
    if why := why_of(turn):
        pieces.append((f"{why}.", "rows--plain"))
    pieces += [(line, "rows--slow") for line in notable_lines(turn, barge_ins)]
    if turn.keys:
        pieces.append((f"keys {one_line(turn.keys, _MAX_TEXT)}", "rows--plain"))
    pieces += [
        (f"{STAGE_GLYPHS[share.stage]} {share.stage} {numbers.milliseconds(share.ms)}", "rows--muted")
        for share in shown_shares(turn)
    ]
    pieces += [(line, "rows--muted") for line in further_lines(turn)]
    return pieces


def causes_of(turn: Turn) -> list[str]:
    """Returns the stages that took most of the response time, such as "unexplained 1.8 s", longest first."""
    longest = sorted(notable(shares_of(turn)), key=lambda share: -share.ms)
    return [f"{share.stage} {numbers.seconds(share.ms)}" for share in longest]


def judged(figure: Figure) -> str:
    """Returns a response time, followed by its grade as a glyph and a word."""
    return f"{figure} {figure.glyph} {figure.grade}" if figure.grade else str(figure)


def shown_shares(turn: Turn) -> list[Share]:
    """Returns the shares of a response that are long enough to be shown, longest first."""
    shown = [share for share in shares_of(turn) if abs(share.ms) >= LEAST_SHARE_MS]
    return sorted(shown, key=lambda share: -share.ms)


def notable_lines(turn: Turn, barge_ins: Sequence[BargeIn]) -> list[str]:
    """Returns lines on why a figure is uncertain, and on the barge-ins of the turn."""
    lines = [f"? uncertain: {one_line(turn.doubt, _MAX_TEXT)}"] if turn.doubt else []
    return [*lines, *counted(map(_barge_in, barge_ins))]


def counted(lines: Iterable[str]) -> list[str]:
    """Returns each different line once, in order. A repeated line is followed by its number of occurrences."""
    return [line if times == 1 else f"{line} ({times} times)" for line, times in Counter(lines).items()]


def further_lines(turn: Turn) -> list[str]:
    """Returns lines with the agent's reports and the remaining facts about the turn."""
    lines = []
    if turn.after_tools_ms is not None:
        lines.append(f"answer after tools {numbers.milliseconds(turn.after_tools_ms)}")
    if turn.reported_ms:
        figures = [
            f"{one_line(name, 40)} {numbers.milliseconds(ms)}" for name, ms in turn.reported_ms.items()
        ]
        lines.append(f"agent reports {', '.join(figures)}")
    if turn.tools:
        lines.append(f"tools {one_line(', '.join(turn.tools[:20]), _MAX_TEXT)}")
    if turn.method and turn.method != "keys":
        lines.append(_METHODS.get(turn.method, f"end of speech: {one_line(turn.method, 20)}"))
    return lines


def _barge_in(barge_in: BargeIn) -> str:
    figures = barge_in_figures(barge_in).items()
    parts = [f"{name} {figure}" for name, figure in figures if figure.ms is not None]
    parts += [f"unplayed {barge_in.unheard_ms / 1000:.1f} s"] if barge_in.unheard_ms else []
    parts += [f"uncertain: {one_line(barge_in.doubt, _MAX_TEXT)}"] if barge_in.doubt else []
    return f"barge-in {barge_in.kind}: {', '.join(parts) or 'nothing was measured'}"
