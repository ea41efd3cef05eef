"""Draws plots as SVG, in the colors of the page that contains them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import msgspec

from tui.text.numbers import clock

_WIDTH = 940
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 56, 22, 40
_MIDDLE = (_LEFT + _WIDTH - _RIGHT) / 2


class Series(msgspec.Struct, frozen=True):
    """A line in a plot: its points, and its name, which is also its CSS class."""

    name: str
    points: Sequence[tuple[float, float]]
    dots: bool = False


def plot(
    series: Sequence[Series],
    *,
    x_title: str,
    y_title: str,
    x_time: bool = False,
    y_ms: bool = True,
    mark: tuple[float, str] | None = None,
    height: int = 280,
) -> str:
    """Returns lines over an x axis as SVG; "" if there are no points. ``mark`` is an x value and its label."""
    points = [point for each in series for point in each.points]
    if not points:
        return ""
    x_ticks = ticks(max(x for x, _ in points), TIME_STEPS if x_time else None)
    y_ticks = ticks(max(y for _, y in points), most_steps=max(height // 36, 2))
    x_end, y_end = max(x_ticks[-1], max(x for x, _ in points)), y_ticks[-1]

    def at(x: float, y: float) -> tuple[float, float]:
        return (
            round(_LEFT + x / x_end * (_WIDTH - _LEFT - _RIGHT), 1),
            round(height - _BOTTOM - y / y_end * (height - _TOP - _BOTTOM), 1),
        )

    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(y_title)}, {escape(x_title)}">'
    ]
    for y in y_ticks:
        left, line = at(0, y)
        parts.append(f'<line class="grid" x1="{left}" y1="{line}" x2="{_WIDTH - _RIGHT}" y2="{line}"/>')
        words = f"{y:g}" if not y_ms else f"{y:,.0f} ms" if y < 1_000 else f"{y / 1_000:g} s"
        parts.append(f'<text x="{left - 8}" y="{line + 4}" text-anchor="end">{words}</text>')
    for x in x_ticks:
        across, bottom = at(x, 0)
        parts.append(
            f'<text x="{across}" y="{bottom + 18}" text-anchor="middle">{clock(x) if x_time else f"{x:g}"}</text>'
        )
    parts.append(f'<text x="{_LEFT}" y="12">{escape(y_title)}</text>')
    parts.append(f'<text x="{_MIDDLE}" y="{height - 4}" text-anchor="middle">{escape(x_title)}</text>')
    if mark is not None:
        across, bottom = at(mark[0], 0)
        parts.append(f'<line class="knee" x1="{across}" y1="{_TOP - 8}" x2="{across}" y2="{bottom}"/>')
        parts.append(f'<text class="knee" x="{across + 6}" y="{_TOP - 2}">{escape(mark[1])}</text>')
    lines = [(each, [at(x, y) for x, y in each.points]) for each in series if each.points]
    parts += [_line(each, placed) for each, placed in lines]
    parts += _names(lines)
    return "".join([*parts, "</svg>"])


def _line(series: Series, placed: Sequence[tuple[float, float]]) -> str:
    path = " ".join(f"{x},{y}" for x, y in placed)
    dots = "".join(f'<circle class="{series.name}" cx="{x}" cy="{y}" r="3.5"/>' for x, y in placed)
    shown = dots if series.dots or len(placed) == 1 else ""
    return f'<polyline class="series {series.name}" points="{path}"/>{shown}'


def _names(lines: Sequence[tuple[Series, Sequence[tuple[float, float]]]]) -> list[str]:
    """Returns the names at the ends of the lines as SVG, moved apart where they would overlap."""
    names = []
    free_y = -math.inf
    for series, placed in sorted(lines, key=lambda line: line[1][-1][1]):
        x, y = placed[-1]
        free_y = max(y + 4, free_y + 14)
        names.append(
            f'<text class="name {series.name}" x="{x + 8}" y="{free_y:.1f}">{escape(series.name)}</text>'
        )
    return names


TIME_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 43_200, 86_400)


def ticks(most: float, steps: Sequence[float] | None = None, most_steps: int = 8) -> list[float]:
    """Returns round axis values from 0 up to the first round value at or above ``most``.

    ``steps`` are the allowed intervals.
    """
    if steps is not None:
        step = next((step for step in steps if most <= most_steps * step), steps[-1])
    else:
        power = 10.0 ** math.floor(math.log10(max(most, 1) / most_steps))
        step = next(
            times * power for times in (1, 2, 5, 10, 20) if max(most, 1) <= most_steps * times * power
        )
    return [step * number for number in range(math.ceil(max(most, 1e-9) / step) + 1)]
