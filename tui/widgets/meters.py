"""Level meters in dBFS with peak hold, drawn in eighths of a cell.

The screen polls the meters, because levels do not cause events.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cache
from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.strip import Strip

from tui.models.telemetry import Telemetry
from tui.widgets.drawn import Drawn
from tui.widgets.lines import Piece, components_in, line_of

FLOOR_DBFS = -60.0
"""Level at which a bar is empty; at 0 dBFS, it is full."""

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_ZONE_ENDS = ((0.7, "meter--low"), (0.9, "meter--mid"), (1.0, "meter--high"))
"""Color zones, which end at -18, -6 and 0 dBFS."""
_LABEL_CELLS, _VALUE_CELLS = 6, 8


class TrackMeter(Drawn):
    """The meter of one track: a name, a bar with the held peak, and the level in figures."""

    DEFAULT_CSS = """
    TrackMeter {
        height: 1;
        width: 1fr;
        .meter--label { color: $foreground-muted; }
        .meter--value { color: $foreground; }
        .meter--low { color: $success; background: $surface; }
        .meter--mid { color: $warning; background: $surface; }
        .meter--high { color: $error; background: $surface; }
        .meter--peak { color: $foreground; background: $surface; }
        .meter--empty { color: $foreground-muted; background: $surface; }
        .meter--clip { color: $text-error; text-style: bold; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = components_in(DEFAULT_CSS)

    def __init__(self, label: str, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._label = label
        self._level: float | None = None
        self._peak: float | None = None
        self._clipped = False
        self._shown: tuple[object, ...] = ()

    def update_level(self, level: float | None, peak: float | None, *, clipped: bool = False) -> None:
        """Shows a level and a held peak, in dBFS. Redraws the meter only if the picture changes."""
        self._level = None if level is None else max(level, -200.0)
        self._peak = peak
        self._clipped = clipped
        cells = self._bar_cells()
        looks = (_eighths(self._level, cells), _eighths(self._peak, cells) // 8, self._value(), clipped)
        if looks != self._shown:
            self._shown = looks
            self.repaint()

    def render_line(self, y: int) -> Strip:
        """Draws the only line of the meter."""
        value_look = "meter--clip" if self._clipped else "meter--value"
        pieces: list[Piece] = [
            (self._label.ljust(_LABEL_CELLS), "meter--label"),
            *self._bar(),
            (self._value().rjust(_VALUE_CELLS), value_look),
        ]
        return line_of(*((text, self.component(look)) for text, look in pieces))

    def _bar(self) -> Iterator[Piece]:
        """Yields the bar in as few pieces as possible.

        Each piece costs twenty bytes of output, twenty times a second.
        """
        cells = self._bar_cells()
        whole, eighths = divmod(_eighths(self._level, cells), 8)
        filled, empty = "█" * whole + _EIGHTHS[eighths].strip(), _scale(cells)
        peak = -1
        if self._peak is not None and self._peak > FLOOR_DBFS:
            peak = min(_eighths(self._peak, cells) // 8, cells - 1)
        if peak >= whole:
            filled = filled[:peak]
        for start, end, zone in _zones(cells):
            yield filled[start:end], zone
        if peak >= whole:
            yield empty[len(filled) : peak], "meter--empty"
            yield "│", "meter--peak"
        yield empty[max(len(filled), peak + 1) :], "meter--empty"

    def _bar_cells(self) -> int:
        return max(self.size.width - _LABEL_CELLS - _VALUE_CELLS, 1)

    def _value(self) -> str:
        if self._clipped:
            return "CLIP"
        if self._level is None:
            return "– dB"
        return "-∞ dB" if self._level < -99 else f"{self._level:.0f} dB"


@cache
def _scale(cells: int) -> str:
    """Returns an empty bar, with a dot in every tenth cell."""
    return "".join("·" if cell % 10 == 9 else " " for cell in range(cells))


@cache
def _zones(cells: int) -> Sequence[tuple[int, int, str]]:
    """Returns the first cell, the end and the style of each color zone of a bar."""
    ends = [sum((cell + 0.5) / cells < share for cell in range(cells)) for share, _ in _ZONE_ENDS]
    return [(start, end, look) for start, end, (_, look) in zip([0, *ends], ends, _ZONE_ENDS, strict=False)]


def _eighths(dbfs: float | None, cells: int) -> int:
    """Returns how many eighths of a cell a level fills."""
    if dbfs is None or math.isnan(dbfs):
        return 0
    share = 1 - max(min(dbfs, 0.0), FLOOR_DBFS) / FLOOR_DBFS
    return round(share * cells * 8)


class Meters(Horizontal):
    """The meters of user and agent, side by side."""

    DEFAULT_CSS = """
    Meters { height: 1; padding: 0 1; TrackMeter { margin: 0 2 0 0; } }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.user = TrackMeter("user")
        self.agent = TrackMeter("agent")

    def compose(self) -> ComposeResult:
        """Yields the two meters."""
        yield self.user
        yield self.agent

    def poll(self, telemetry: Telemetry) -> None:
        """Shows the latest levels."""
        t = telemetry
        self.user.update_level(t.user_dbfs, t.user_peak_dbfs, clipped=t.user_clipped)
        self.agent.update_level(t.agent_dbfs, t.agent_peak_dbfs)
