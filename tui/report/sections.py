"""Builds the parts of a report that need no script: figures, turns, transcript and problems."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from tui.models import events as e
from tui.models.log.describe import describe
from tui.models.transcript import Heard, ToolUse
from tui.models.turns.figures import (
    Figure,
    Thresholds,
    barge_in_figures,
    graded,
    response_of,
    timing_line,
    worst_of,
)
from tui.models.turns.turns import LEAST_TURNS, BargeIn, Turn
from tui.models.turns.why import Stage, shares_of, verdict, why_of
from tui.report.content import Content, Spoken
from tui.report.markup import Child, Markup, element, facts, picture, together
from tui.saving.record import Outcome
from tui.text import numbers
from tui.text.visible import one_line

_BAR_UNITS = 1000
_LEAST_SHOWN_MS = 0.05
_MOST_LISTED = 200
_BARGE_IN_FIGURES = ("agent's signal after", "from signal to silence", "silence after", "talk-over")


def header(content: Content) -> Markup:
    """Returns the target, time and outcome of the call."""
    record = content.record
    good = content.outcome == Outcome.ENDED
    known = [
        ("Called", str(record.target.get("url", "")) or "–"),
        ("Protocol", record.protocol or "–"),
        ("Began", _instant(record.started_utc)),
        ("Length", numbers.clock(content.seconds(content.ended_ns))),
        ("Microphone", record.devices.capture or "–"),
        ("Speaker", record.devices.playback or "–"),
        ("Format", " · ".join(filter(None, (record.formats.user, record.formats.agent))) or "–"),
        ("Saved by", record.program or "–"),
    ]
    return element(
        "header",
        element(
            "div",
            element("h1", one_line(record.title or "Session", 120)),
            element("span", content.outcome, class_="outcome good" if good else "outcome bad"),
            class_="title",
        ),
        element("p", record.reason, class_="reason") if record.reason else None,
        facts(known),
        *(element("p", f"! {problem}", class_="problem") for problem in content.problems),
    )


def failed_step(content: Content) -> Markup:
    """Returns the first failed step of a scenario and the line that defines it; empty if no step failed."""
    found = content.failed_step
    if found is None:
        return Markup()
    judged = found.judged
    what = f"Step {judged.step} failed: {one_line(judged.text)}. {one_line(judged.reason)}".rstrip()
    at = seek_s(content.seconds(found.began_ns))
    place = element("span", f" {one_line(judged.place)}", class_="reason") if judged.place else None
    return element("p", f"{what} ", at, place, id="failed-step", class_="verdict")


def verdict_line(content: Content, judge: Thresholds) -> Markup:
    """Returns a verdict on the response times, with the causes of slow responses; empty without turns."""
    said = verdict(content.metrics, judge)
    return element("p", said, id="verdict", class_="verdict") if said else Markup()


def figures(content: Content, judge: Thresholds) -> Markup:
    """Returns the figures of the whole session; a figure that was not measured is shown as a dash."""
    m = content.metrics
    of = m.percentiles()
    of_turns = f"of {of.count} turn" + ("" if of.count == 1 else "s")
    withheld = f"needs at least {LEAST_TURNS} turns" if of.p50_ms is None else of_turns
    answered = sum(turn.response_latency_ms is not None for turn in m.turns if turn.number)
    turns = sum(turn.number > 0 and not turn.empty for turn in m.turns)
    kinds = Counter(barge_in.kind.value for barge_in in m.barge_ins)
    faults = [
        e.Loss(name).in_words(amount) for name, amount in m.losses.items() if amount and e.Loss(name).is_fault
    ]
    tiles = [
        _graded_tile("Response p50", graded(of.p50_ms, judge, m.timing), withheld),
        _graded_tile("Response p95", graded(of.p95_ms, judge, m.timing), withheld),
        _graded_tile("Worst response", worst_of(m.turns, judge), of_turns),
        _tile("Greeting", numbers.milliseconds(m.greeting_latency_ms), "after the session became active"),
        _tile("Turns", str(turns), f"{answered} with a measured response"),
        _tile("Barge-ins", str(len(m.barge_ins)), ", ".join(f"{n} {kind}" for kind, n in kinds.items())),
        _tile("Errors", str(m.errors), f"findings {m.findings}, advice {m.advice}", warns=m.errors > 0),
        _tile("Loss", str(len(faults)) if faults else "none", ", ".join(faults), warns=m.lost),
        _tile("Talk", numbers.seconds(m.user_talk_ms), f"agent {numbers.seconds(m.agent_talk_ms)}"),
        _tile(
            "Talk-over",
            numbers.seconds(m.overlap_ms),
            f"{len(m.dead_air)} {'stretch' if len(m.dead_air) == 1 else 'stretches'} of dead air",
        ),
        _tile("Round trip", numbers.milliseconds(m.round_trip_ms), "for the last websocket ping"),
        _tile(
            "Messages",
            f"{m.messages_sent + m.messages_received:,}",
            f"{m.messages_sent:,} sent, {m.messages_received:,} received",
        ),
    ]
    bound = timing_line(m.timing)
    note = element("p", one_line(bound), class_="note") if bound else None
    return _section("figures", "Figures", element("div", *tiles, class_="tiles"), note)


def turns_table(content: Content, judge: Thresholds) -> Markup:
    """Returns a table of all turns that breaks down each response time."""
    m = content.metrics
    longest_ms = max((turn.response_ms or 0.0 for turn in m.turns), default=0.0)
    barge_ins: dict[int, list[BargeIn]] = {}
    for barge_in in m.barge_ins:
        barge_ins.setdefault(barge_in.turn, []).append(barge_in)
    rows = [
        _turn_row(content, turn, response_of(turn, judge), longest_ms, barge_ins.get(turn.number, []))
        for turn in m.turns
    ]
    stages = {share.stage for turn in m.turns for share in shares_of(turn)}
    legend = element("ul", *(_legend(stage) for stage in Stage if stage in stages), class_="legend")
    heads = ("Turn", "Words", "User", "Response", f"Breakdown (full width = {longest_ms:,.0f} ms)", "Played")
    if not rows:
        return _section("turns", "Turns", element("p", "No turns.", class_="none"))
    return _section("turns", "Turns", legend, _table("Turns", heads, rows, class_="turns"))


def marks_and_notes(content: Content) -> Markup:
    """Returns the user's marks and notes; empty if there are none."""
    rows = [
        (seek_s(each.seconds), "*" if each.marked else "", each.note, each.event) for each in content.marked
    ]
    return _listed("marks", "Marks and notes", ("At", "Mark", "Note", "Event"), rows)


def transcript(content: Content) -> Markup:
    """Returns the transcript, including the tool calls."""
    entries = [_entry(spoken) for spoken in content.transcript]
    if not entries:
        return _section("transcript", "Transcript", element("p", "No transcript.", class_="none"))
    return _section("transcript", "Transcript", element("ol", *entries, class_="transcript"))


def troubles(content: Content) -> Markup:
    """Returns the tables of errors, findings, advice, barge-ins, losses, audio problems and dead air."""
    m = content.metrics
    barge_ins = [
        (
            _at(content, barge_in.at_ns),
            barge_in.kind.value,
            *(str(figures[name]) for name in _BARGE_IN_FIGURES),
            numbers.seconds(barge_in.unheard_ms),
        )
        for barge_in in m.barge_ins
        for figures in [barge_in_figures(barge_in)]
    ]
    losses = [(_at(content, loss.at_ns), describe(loss).summary) for loss in content.losses[:_MOST_LISTED]]
    conditions = [
        (_at(content, each.at_ns), each.path, describe(each).summary, each.hint)
        for each in content.conditions[:_MOST_LISTED]
    ]
    condition_heads = ("At", "Path", "What", "What to do")
    dead_air = [(_at(content, each.at_ns), numbers.seconds(each.length_ms)) for each in m.dead_air]
    heads = (name.removeprefix("from ").capitalize() for name in _BARGE_IN_FIGURES)
    barge_in_heads = ("At", "Kind", *heads, "Unplayed")
    wrong = [
        (_at(content, each.at_ns), describe(each).kind, describe(each).summary, getattr(each, "hint", ""))
        for each in content.wrong[:_MOST_LISTED]
    ]
    advice = [(_at(content, each.at_ns), describe(each).summary) for each in content.advice[:_MOST_LISTED]]
    return together(
        _listed(
            "wrong", "Errors and findings", ("At", "Kind", "What", "What to do"), wrong, len(content.wrong)
        ),
        _listed("advice", "Advice", ("At", "What"), advice, len(content.advice)),
        _listed("barge-ins", "Barge-ins", barge_in_heads, barge_ins),
        _listed("losses", "Losses", ("At", "What"), losses, len(content.losses)),
        _listed("conditions", "Audio problems", condition_heads, conditions, len(content.conditions)),
        _listed("dead-air", "Dead air", ("At", "Length"), dead_air),
    )


def _turn_row(
    content: Content, turn: Turn, figure: Figure, longest_ms: float, barge_ins: Sequence[BargeIn]
) -> Markup:
    began_ns = turn.began_ns if turn.began_ns is not None else turn.agent_began_ns
    after_tools = turn.after_tools_ms
    notes = [
        "greeting" if turn.number == 0 else "",
        "typed" if turn.typed else "",
        f"keys {one_line(turn.keys, 60)}" if turn.keys else "",
        "cut off" if turn.interrupted else "",
        *(f"barge-in {barge_in.kind}" for barge_in in barge_ins),
        *(f"tool {one_line(name, 60)}" for name in turn.tools),
        "" if after_tools is None else f"answer after tools {numbers.milliseconds(after_tools)}",
    ]
    shown = [element("span", note, class_="note") for note in notes if note]
    words = [
        *(
            element("p", element("span", who, class_=f"who {who}"), said)
            for who, said in (("user", turn.user_text), ("agent", turn.agent_text))
            if said
        ),
        element("p", *shown) if shown else None,
        element("p", f"? uncertain: {turn.doubt}", class_="doubt") if turn.doubt else None,
    ]
    return element(
        "tr",
        element("th", _seek(content, began_ns, str(turn.number)), scope="row"),
        element("td", *words, class_="words"),
        element("td", numbers.seconds(turn.user_speech_ms), class_="figure"),
        element("td", _in_figures(figure), class_=f"figure strong {_look(figure)}".rstrip()),
        element("td", _bar(turn, longest_ms), class_="bar"),
        element("td", numbers.seconds(turn.agent_speech_ms), class_="figure"),
    )


def _bar(turn: Turn, longest_ms: float) -> Markup:
    if turn.response_latency_ms is None:
        return element("span", turn.unmeasured or "not measured", class_="none")
    shares = [share for share in shares_of(turn) if share.ms >= _LEAST_SHOWN_MS]
    words = ", ".join(f"{share.stage} {numbers.milliseconds(share.ms)}" for share in shares)
    scale = _BAR_UNITS / max(longest_ms, 1.0)
    rects, at_ms = [], 0.0
    for share in shares:
        x, width = f"{at_ms * scale:.1f}", f"{share.ms * scale:.1f}"
        rects.append(element("rect", x=x, y="0", width=width, height="10", class_=_part_class(share.stage)))
        at_ms += share.ms
    reported = ", ".join(
        f"{one_line(name, 60)} {numbers.milliseconds(ms)}" for name, ms in turn.reported_ms.items()
    )
    return together(
        picture(words, *rects, width=_BAR_UNITS, height=10),
        element("span", why_of(turn), class_="why"),
        element("span", words.replace(", ", " · "), class_="parts"),
        element("span", f"agent reports: {reported}", class_="parts") if reported else None,
    )


def _entry(spoken: Spoken) -> Markup:
    entry = spoken.entry
    if isinstance(entry, ToolUse):
        who, event = "tool", entry.event
        call = element("code", one_line(f"{event.name}({event.arguments})", 400))
        outcome = element("span", _tool_outcome(event), class_="doubt" if event.error else "muted")
        words = element("p", call, " ", outcome)
    else:
        who = entry.speaker.value
        fate = (
            None if entry.heard is Heard.HEARD else element("span", f" ({entry.heard.value})", class_="muted")
        )
        words = element("p", entry.text, fate)
    speaker = element("span", who, class_=f"who {who}")
    return element("li", seek_s(spoken.seconds), speaker, words, data_at=f"{spoken.seconds:.3f}")


def _tool_outcome(event: e.ToolChanged) -> str:
    if not event.finished:
        return "no result"
    took = "" if event.duration_ms is None else f" in {numbers.milliseconds(event.duration_ms)}"
    return one_line(f"✗ {event.error}{took}" if event.error else f"→ {event.result}{took}", 400)


def _listed(
    name: str, title: str, heads: Sequence[str], rows: Sequence[Sequence[Child]], count: int = 0
) -> Markup:
    return listed_section(name, title, (), heads, rows, count) if rows else Markup()


def listed_section(
    name: str,
    title: str,
    before: Sequence[Child],
    heads: Sequence[str],
    rows: Sequence[Sequence[Child]],
    count: int = 0,
) -> Markup:
    """Returns a section that contains ``before`` and a table of rows.

    ``count`` is the number of all rows; a line below the table states how many are left out.
    """
    more = element("p", f"{count - len(rows):,} more in the event list.") if count > len(rows) else None
    cells = [element("tr", *(element("td", cell) for cell in row)) for row in rows]
    return _section(name, title, *before, _table(title, heads, cells), more)


def _section(name: str, title: str, *children: Child) -> Markup:
    return element("section", element("h2", title), *children, id=name, aria_label=title)


def _table(title: str, heads: Iterable[str], rows: Iterable[Markup], class_: str | None = None) -> Markup:
    head = element("thead", element("tr", *(element("th", name, scope="col") for name in heads)))
    table = element("table", head, element("tbody", *rows), class_=class_)
    # The table scrolls, so it must be reachable by keyboard.
    return element("div", table, class_="scroll", tabindex="0", role="region", aria_label=title)


def _tile(name: str, value: str, note: str, *, warns: bool = False, look: str = "") -> Markup:
    return element(
        "div",
        element("span", name, class_="name"),
        element("strong", ("! " if warns else "") + value, class_=look or None),
        element("span", note, class_="note"),
        class_="tile warns" if warns else "tile",
    )


def _graded_tile(name: str, figure: Figure, note: str) -> Markup:
    return _tile(name, _in_figures(figure), note, look=_look(figure))


def _in_figures(figure: Figure) -> str:
    return f"{figure} {figure.glyph}".rstrip()


def _look(figure: Figure) -> str:
    return f"grade-{figure.grade}" if figure.grade else ""


def _instant(utc: str) -> Markup:
    if not utc:
        return Markup("–")
    return element("time", local_time(utc), datetime=utc)


def local_time(utc: str) -> str:
    """Returns a timestamp from ``session.json`` in local time, with its zone; unchanged if it cannot be read."""
    try:
        instant = datetime.fromisoformat(utc)
        local = (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).astimezone()
    except (ValueError, OverflowError):
        return one_line(utc, 60)
    offset = local.strftime("%z")
    return f"{local:%Y-%m-%d %H:%M:%S} (UTC{f'{offset[:3]}:{offset[3:5]}' if local.utcoffset() else ''})"


def _legend(stage: Stage) -> Markup:
    swatch = element(
        "svg",
        element("rect", x="0", y="0", width="10", height="10", class_=_part_class(stage)),
        viewBox="0 0 10 10",
        aria_hidden="true",
    )
    return element("li", swatch, stage)


def _part_class(stage: Stage) -> str:
    return f"part-{stage.replace(' ', '-')}"


def _at(content: Content, at_ns: int | None) -> Markup:
    return Markup("–") if at_ns is None else seek_s(content.seconds(at_ns))


def _seek(content: Content, at_ns: int | None, label: str) -> Markup:
    if at_ns is None:
        return element("span", label)
    at_s = content.seconds(at_ns)
    return element("button", label, type="button", data_seek=f"{at_s:.3f}", title=f"go to {at_s:.3f} s")


def seek_s(at_s: float) -> Markup:
    """Returns a button that jumps to a time in the session."""
    return element("button", f"{at_s:.1f} s", type="button", data_seek=f"{at_s:.3f}", class_="at")
