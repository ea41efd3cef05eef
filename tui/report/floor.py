"""The turn-taking section of a report: a picture of both parties' speech, the figures, and all events."""

from __future__ import annotations

from tui.models.turns.figures import Thresholds
from tui.models.turns.floor import Floor, Speech, judged_by
from tui.models.turns.floor_figures import FloorMoment, MomentKind, floor_figures, floor_lines, moments_of
from tui.report.content import Content
from tui.report.markup import Markup, element, facts, picture
from tui.report.sections import listed_section, seek_s

_UNITS = 1_000
"""Width of the picture in SVG units."""
_LANE_UNITS = 12
_MOST_LISTED = 500
_TELLING = (MomentKind.TALK_OVER, MomentKind.BACKCHANNEL)


def floor_section(content: Content, judge: Thresholds) -> Markup:
    """Returns the section, with picture, figures and turn-taking events; empty if there are no figures."""
    floor = judged_by(content.metrics.floor, judge)
    lines = list(floor_lines(floor_figures(floor, content.metrics.timing)))
    if not lines:
        return Markup()
    moments = moments_of(floor, content.metrics.timing)
    rows = [
        (seek_s(content.seconds(each.at_ns)), each.kind.value, each.words, str(each.figure))
        for each in moments[:_MOST_LISTED]
    ]
    heads = ("At", "Kind", "What", "Gap, overlap or length")
    before = [_Lanes(content).picture(floor, moments), facts(lines)]
    return listed_section("floor", "Floor", before, heads, rows, len(moments))


class _Lanes:
    """Draws a session as SVG in three lanes: the user, gaps and overlaps, and the agent."""

    def __init__(self, content: Content) -> None:
        self._began_ns, self._ended_ns = content.began_ns, content.ended_ns
        self._scale = _UNITS / max(content.ended_ns - content.began_ns, 1)

    def picture(self, floor: Floor, moments: list[FloorMoment]) -> Markup:
        """Returns the picture as one SVG element."""
        between = [
            self._rect(each.at_ns, each.until_ns, 1, f"floor-{each.kind.value}", each.words)
            for each in moments
            if each.kind in _TELLING
        ]
        overlaps = [
            self._rect(each.at_ns, each.at_ns - round(ms * 1e6), 1, look, each.words)
            for each in moments
            if each.kind is MomentKind.TURN and (ms := each.figure.ms) is not None
            for look in ["floor-overlap" if ms < 0 else "floor-gap"]
        ]
        words = f"{len(floor.user)} stretches of user speech, {len(floor.agent)} of agent speech"
        user, agent = self._lane(floor.user, 0, "floor-user"), self._lane(floor.agent, 2, "floor-agent")
        shapes = (*user, *overlaps, *between, *agent)
        return picture(words, *shapes, width=_UNITS, height=3 * _LANE_UNITS, class_="floor")

    def _lane(self, lane: list[Speech], row: int, look: str) -> list[Markup]:
        ends_ns = [self._ended_ns if each.ended_ns is None else each.ended_ns for each in lane]
        return [
            self._rect(each.began_ns, end_ns, row, look) for each, end_ns in zip(lane, ends_ns, strict=True)
        ]

    def _rect(self, since_ns: int, until_ns: int | None, row: int, look: str, words: str = "") -> Markup:
        first_ns, last_ns = sorted((since_ns, since_ns if until_ns is None else until_ns))
        return element(
            "rect",
            element("title", words) if words else None,
            x=f"{(first_ns - self._began_ns) * self._scale:.2f}",
            y=str(row * _LANE_UNITS),
            width=f"{max((last_ns - first_ns) * self._scale, 0.3):.2f}",
            height=str(_LANE_UNITS),
            class_=look,
        )
