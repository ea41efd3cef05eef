"""A turn and its barge-ins in words, with every figure known."""

from __future__ import annotations

from collections.abc import Sequence

from tui.models.turns.turns import BargeIn, LatencyParts, Turn
from tui.text import numbers
from tui.text.visible import one_line
from tui.widgets.lines import Piece

PART_GLYPHS = {
    "capture": "·",
    "sending": "·",
    "agent": "█",
    "transport": "░",
    "prebuffer": "▒",
    "device": "▓",
    "leading silence": "_",
}
"""Distinguishable without color."""
LEGEND = "· capture  █ agent  ░ transport  ▒ buffer  ▓ device  _ silence"
_PART_NAMES = {"prebuffer": "buffer"}
"""Words of the screen, where a field has another name."""
_METHODS = {
    "silero": "end of speech: Silero VAD",
    "energy": "end of speech: energy VAD",
    "typed": "typed turn",
}
_MAX_TEXT = 200
_LEAST_REST_MS = 1.0


def bar_of(parts: LatencyParts, latency_ms: float, full_ms: float, cells: int) -> str:
    """Returns the parts as cells of their glyphs; ``full_ms`` fills all cells. Without known parts, all is agent."""
    known = parts.known() or [("agent", latency_ms)]
    scale = cells / max(full_ms, 1.0)
    bar, reached_ms = "", 0.0
    for name, length_ms in known:
        reached_ms += length_ms
        bar += PART_GLYPHS[name] * (round(reached_ms * scale) - len(bar))
    return (bar[: cells - 1] + "›" if len(bar) > cells else bar).ljust(cells)


def turn_in_full(turn: Turn, barge_ins: Sequence[BargeIn], judged: Piece, waiting: str = "") -> list[Piece]:
    """Returns response time, its parts, what the agent reported, uncertainty and barge-ins.

    ``judged``: the verdict; ``waiting``: how long the user has been waiting.
    """
    pieces: list[Piece] = [(f"turn {turn.number}" if turn.number else "greeting", "rows--heading")]
    if turn.keys:
        pieces.append((f"keys {one_line(turn.keys, _MAX_TEXT)}", "rows--plain"))
    if turn.response_latency_ms is None:
        why = f": {one_line(turn.unmeasured, _MAX_TEXT)}" if turn.unmeasured else " yet"
        pieces.append((f"no latency{why}{f': waited {waiting}' if waiting else ''}", "rows--slow"))
    else:
        pieces += [(f"response {numbers.milliseconds(turn.response_latency_ms)}", "rows--plain"), judged]
        pieces += _parts(turn.parts, turn.response_latency_ms)
    if turn.after_tools_ms is not None:
        pieces.append((f"answer after tools {numbers.milliseconds(turn.after_tools_ms)}", "rows--plain"))
    pieces += _reported(turn)
    pieces += [(line, "rows--slow") for line in map(_barge_in, barge_ins)]
    if turn.doubt:
        pieces.append((f"? uncertain: {one_line(turn.doubt, _MAX_TEXT)}", "rows--slow"))
    if turn.method and turn.method != "keys":
        pieces.append(
            (_METHODS.get(turn.method, f"end of speech: {one_line(turn.method, 20)}"), "rows--muted")
        )
    if turn.tools:
        pieces.append((f"tools {one_line(', '.join(turn.tools[:20]), _MAX_TEXT)}", "rows--muted"))
    return pieces


def _parts(parts: LatencyParts, latency_ms: float) -> list[Piece]:
    known = parts.known()
    if not known:
        return [("parts not measured", "rows--muted")]
    pieces = [
        (f"{PART_GLYPHS[name]} {_PART_NAMES.get(name, name)} {numbers.milliseconds(part_ms)}", "rows--plain")
        for name, part_ms in known
    ]
    rest_ms = latency_ms - sum(part_ms for _, part_ms in known)
    if abs(rest_ms) >= _LEAST_REST_MS:
        pieces.append((f"not measured {numbers.milliseconds(rest_ms)}", "rows--muted"))
    return pieces


def _reported(turn: Turn) -> list[Piece]:
    if not turn.reported_ms:
        return []
    figures = [f"{one_line(name, 40)} {numbers.milliseconds(ms)}" for name, ms in turn.reported_ms.items()]
    pieces = [(figure, "rows--plain") for figure in (f"agent reports {figures[0]}", *figures[1:])]
    if turn.unexplained_ms is not None:
        pieces.append((f"unexplained {numbers.milliseconds(turn.unexplained_ms)}", "rows--plain"))
    return pieces


def _barge_in(barge_in: BargeIn) -> str:
    figures = (
        ("agent's signal after", barge_in.signal_ms),
        ("silence after", barge_in.silence_ms),
        ("from signal to silence", barge_in.stop_ms),
        ("talk-over", barge_in.talk_over_ms),
    )
    parts = [f"{name} {numbers.milliseconds(ms)}" for name, ms in figures if ms is not None]
    parts += [f"unplayed {barge_in.unheard_ms / 1000:.1f} s"] if barge_in.unheard_ms else []
    return f"barge-in {barge_in.kind}: {', '.join(parts) or 'nothing was measured'}"
