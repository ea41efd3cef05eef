"""The turn-taking section of a report: both lanes of speech as a picture, the figures, and all events."""

from __future__ import annotations

from tui.models.turns.figures import Judge
from tui.models.turns.floor import Floor, Speech, judged_by
from tui.models.turns.floor_figures import FloorMoment, MomentKind, floor_figures, floor_lines, moments_of
from tui.report.content import Content
from tui.report.markup import Markup, element
from tui.report.sections import listed_section, seek_s

_UNITS = 1_000
"""Width of the picture in SVG units."""
_LANE_UNITS = 12
_MOST_LISTED = 500
_TELLING = (MomentKind.TALK_OVER, MomentKind.BACKCHANNEL)


def floor_section(content: Content, judge: Judge) -> Markup:
    """Returns the lanes, figures and turn-taking events; empty if the floor never changed hands."""
    floor = judged_by(content.metrics.floor, judge)
    lines = list(floor_lines(floor_figures(floor, content.metrics.timing)))
    if not lines:
        return Markup()
    moments = moments_of(floor, content.metrics.timing)
    rows = [
        (seek_s(content.seconds(each.at_ns)), each.kind.value, each.words, str(each.figure))
        for each in moments[:_MOST_LISTED]
    ]
    figures = element(
        "dl",
        *(element("div", element("dt", name), element("dd", words)) for name, words in lines),
        class_="facts",
    )
    heads = ("At", "Kind", "What", "Gap, overlap or length")
    before = [_picture(content, floor, moments), figures]
    return listed_section("floor", "Floor", before, heads, rows, len(moments))


def _picture(content: Content, floor: Floor, moments: list[FloorMoment]) -> Markup:
    """Returns the lanes of the whole session as SVG.

    The user is on top, with talk-over and backchannels between the lanes.
    """
    began_ns = content.began_ns
    scale = _UNITS / max(content.ended_ns - began_ns, 1)
    between = [
        _rect(each.at_ns, each.until_ns, began_ns, scale, 1, f"floor-{each.kind.value}", each.words)
        for each in moments
        if each.kind in _TELLING
    ]
    overlaps = [
        _rect(
            each.at_ns, each.at_ns - round((each.figure.ms or 0) * 1e6), began_ns, scale, 1, look, each.words
        )
        for each in moments
        if each.kind is MomentKind.TURN and each.figure.ms is not None
        for look in ["floor-overlap" if each.figure.ms < 0 else "floor-gap"]
    ]
    words = f"{len(floor.user)} stretches of user speech, {len(floor.agent)} of agent speech"
    return element(
        "svg",
        element("title", words),
        *_lane(floor.user, content.ended_ns, began_ns, scale, 0, "floor-user"),
        *overlaps,
        *between,
        *_lane(floor.agent, content.ended_ns, began_ns, scale, 2, "floor-agent"),
        viewBox=f"0 0 {_UNITS} {3 * _LANE_UNITS}",
        preserveAspectRatio="none",
        role="img",
        aria_label=words,
        class_="floor",
    )


def _lane(
    lane: list[Speech], ended_ns: int, began_ns: int, scale: float, row: int, look: str
) -> list[Markup]:
    return [
        _rect(
            each.began_ns,
            ended_ns if each.ended_ns is None else each.ended_ns,
            began_ns,
            scale,
            row,
            look,
            "",
        )
        for each in lane
    ]


def _rect(
    since_ns: int, until_ns: int | None, began_ns: int, scale: float, row: int, look: str, words: str
) -> Markup:
    first_ns, last_ns = sorted((since_ns, since_ns if until_ns is None else until_ns))
    return element(
        "rect",
        element("title", words) if words else None,
        x=f"{(first_ns - began_ns) * scale:.2f}",
        y=str(row * _LANE_UNITS),
        width=f"{max((last_ns - first_ns) * scale, 0.3):.2f}",
        height=str(_LANE_UNITS),
        class_=look,
    )
