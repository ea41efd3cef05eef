"""LineScreen: a screen that redraws only changed cells, with a `LineCompositor`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from rich.console import Console
from textual._compositor import ChopsUpdate, Compositor
from textual.geometry import Region
from textual.screen import Screen, ScreenResultType
from textual.strip import Strip

Span = tuple[int, int, int]
"""Number of a screen line, and the first cell and the end of the part that has changed."""
Chops = dict[int, Strip | None]
"""The parts of a line between the edges of widgets, by first cell, in order; None for a part to skip."""


class LineScreen(Screen[ScreenResultType]):
    """A screen for contents that change many times a second."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._compositor = LineCompositor()


class LineCompositor(Compositor):
    """Renders only the lines and widgets in which cells have changed.

    Textual's own compositor renders every widget that touches the rectangle around all changes, including the
    containers below other widgets. In a call, the level meters at the top and the end of the log at the
    bottom change together, sixteen times a second, and the rectangle around both is the whole screen.
    """

    def render_partial_update(self) -> ChopsUpdate | None:
        """Renders the regions that have changed since the last update; returns None if there are none."""
        regions, self._dirty_regions = self._dirty_regions, set()
        on_screen = self.size.region
        spans = list(self._regions_to_spans(filter(None, map(on_screen.intersection, regions))))
        if not spans:
            return None
        return LinesUpdate(self._drawn(spans), spans, [cuts[1:] for cuts in self.cuts])

    def _drawn(self, spans: Sequence[Span]) -> Sequence[Mapping[int, Strip | None]]:
        """Returns the parts of every line; a part outside the spans is None."""
        chops: list[Chops] = [{} for _ in self.cuts]
        missing: dict[int, set[int]] = {}
        for y, first, end in spans:
            cuts = self.cuts[y]
            chops[y] = chops[y] or dict.fromkeys(cuts[:-1])
            missing.setdefault(y, set()).update(x for x, right in pairwise(cuts) if x < end and first < right)
        for widget, (region, clip) in self.visible_widgets.items():  # the foremost widget comes first
            if not missing:
                break
            shown = region.intersection(clip)
            lines = _lines_in(missing, shown)
            if not lines:
                continue
            # One call for all lines, because the lines between them are in the widget's cache, and a call costs more.
            top = min(lines)
            crop = Region(shown.x - region.x, top - region.y, shown.width, max(lines) + 1 - top)
            strips = widget.render_lines(crop)
            for y in lines:
                self._place(strips[y - top], shown, chops[y], missing, y)
        return chops

    def _place(self, strip: Strip, shown: Region, chops: Chops, missing: dict[int, set[int]], y: int) -> None:
        """Copies a line of a widget into the missing parts that the widget covers."""
        cuts = [cut for cut in self.cuts[y] if shown.x <= cut <= shown.right]
        parts = strip.divide([cut - shown.x for cut in cuts[1:]]) if len(cuts) > 2 else [strip]
        for cut, part in zip(cuts, parts, strict=False):
            if cut in missing[y]:
                chops[cut] = part
                missing[y].remove(cut)
        if not missing[y]:
            del missing[y]


def _lines_in(missing: Mapping[int, set[int]], shown: Region) -> list[int]:
    """Returns the numbers of the lines in which the region ``shown`` covers a missing part."""
    x, top, width, height = shown
    right, bottom = x + width, top + height
    return [y for y, cuts in missing.items() if top <= y < bottom and any(x <= cut < right for cut in cuts)]


class LinesUpdate(ChopsUpdate):
    """Writes the same output as `ChopsUpdate`, but faster."""

    def render_segments(self, console: Console) -> str:
        """Returns the output for the terminal."""
        written: list[str] = []
        for y, first, end in self.spans:
            for right, (x, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=True):
                if strip is not None and x < end and first < right:
                    shown = strip if right <= end else strip.crop(0, end - x)
                    written.append(f"\x1b[{y + 1};{x + 1}H{shown.render(console)}")
        return "".join(written)
