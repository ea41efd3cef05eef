"""Tests that the screen shows in at most three keys which turn was slow, and where the time went."""

from __future__ import annotations

import re

import pytest

from tests.ui.conftest import Stage, sized
from tests.ui.fakes import Script, to_active
from tui.models import events as e
from tui.models.events import Party
from tui.models.turns.turns import BargeIn, BargeInKind
from tui.screens.chart import ChartScreen
from tui.widgets.turn_page import TurnPage

SIZES = [(80, 24), (120, 36), (160, 50)]
_PROMPT = {"noticed": 200, "agent": 300, "buffer": 100}
SESSIONS = {
    "late end of speech": (
        {"noticed": 1400, "agent": 300, "buffer": 100},
        "1.4 s until the agent noticed the end of speech",
        "end of speech",
    ),
    "slow agent": (
        {"noticed": 200, "agent": 1900, "buffer": 100},
        "1.9 s from the agent's last report to its answer",
        "unexplained",
    ),
    "large buffer": (
        {"noticed": 200, "agent": 300, "buffer": 1600},
        "1.6 s in the user's playback buffer",
        "buffer",
    ),
}


def turn(script: Script, number: int, *, noticed: int, agent: int, buffer: int) -> None:
    """Adds a turn: the user speaks for a second.

    The agent reports the end, answers, and is heard after the buffer.
    """
    end_ns = script.after(3000).edge(Party.USER, True).after(1000).now_ns
    script.edge(Party.USER, False, captured_ns=end_ns, sent_ns=end_ns)
    script.after(noticed).add(e.UserSpeech, phase=e.SpeechPhase.STOPPED)
    arrived_ns = script.after(agent).now_ns
    script.add(e.ReplyStarted, reply=f"r{number}", format="pcm16 16000").after(buffer)
    script.add(e.PlaybackStarted, reply=f"r{number}", arrived_ns=arrived_ns, handed_ns=script.now_ns)
    script.edge(Party.AGENT, True).after(1000).edge(Party.AGENT, False)
    script.add(e.PlaybackEnded, reply=f"r{number}", heard_ms=1000)


def session(script: Script, slow: dict[str, int]) -> Script:
    """Adds three turns, of which the second is slow."""
    to_active(script)
    for number, times in enumerate((_PROMPT, slow, _PROMPT), 1):
        turn(script, number, **times)
    return script


def read(s: Stage, selector: str) -> str:
    """Returns the widget's text as one line, without its border and scrollbar."""
    lines = [line.strip("│╭╮╰╯─ ").rstrip("▁▂▃▄▅▆▇ ") for line in s.text(selector).splitlines()]
    return " ".join(" ".join(lines).split())


@sized(*SIZES[:2])
async def test_the_sentence_that_says_why_is_never_cut(
    script: Script, size: tuple[int, int], s: Stage
) -> None:
    """Tested with a verdict of several lines, a barge-in, and a cause of three parts."""
    times = {"noticed": 1400, "agent": 1900, "buffer": 1600}
    why = (
        "1.4 s until the agent noticed the end of speech, 1.9 s from the agent's last report to its answer, "
        "1.6 s in the user's playback buffer."
    )
    await s.play(session(script, times).take())
    s.bridge.state.metrics.barge_ins.append(
        BargeIn(kind=BargeInKind.MISSED, turn=2, silence_ms=400.0, talk_over_ms=1800.0, unheard_ms=2500.0)
    )
    await s.press("u", "up")
    foot = read(s, "TurnsPane").partition("turn 2 4900 ms")[2]
    assert why in foot
    assert "barge-in missed" not in foot.partition(why)[0]


@sized(*SIZES)
async def test_words_of_the_list_are_whole(script: Script, s: Stage) -> None:
    await s.play(session(script, {"noticed": 1400, "agent": 1900, "buffer": 1600}).take())
    await s.press("u", "up")
    row = next(line for line in s.text("TurnsPane").splitlines() if " 2  4900 ms ✗" in line)
    assert "unexplained 1.9 s" in row, "the longest part is always there"
    assert "…" not in row


@sized(*SIZES)
@pytest.mark.parametrize("name", SESSIONS)
async def test_which_turn_was_slow_and_why_takes_one_key_and_the_turn_three(
    script: Script, name: str, size: tuple[int, int], s: Stage
) -> None:
    times, why, stage_name = SESSIONS[name]
    total_ms = sum(times.values())
    await s.play(session(script, times).take())
    await s.press("u")
    pane = read(s, "TurnsPane")
    assert f"1 of 3 turns was slow (turn 2: {total_ms / 1000:.1f} s)" in pane
    assert why in pane
    await s.press("up", "enter")
    page = s.app.screen.query_one(TurnPage)
    assert page.border_title == "Turn 2 of 3"
    text = read(s, "TurnPage")
    assert f"Response time {total_ms} ms ✗ bad" in text
    assert why in text
    longest = max(times.values())
    assert f"longest first {longest} ms {longest / total_ms:.0%} {stage_name}" in text


async def test_an_edge_that_a_second_detector_finds_elsewhere_is_listed_at_both_instants(
    script: Script, s: Stage
) -> None:
    await s.play(session(script, SESSIONS["slow agent"][0]).take())
    first_ns, edge = s.bridge.state.metrics.turns[2].user_ended_ns, e.CheckedEdge.USER_ENDED
    assert first_ns is not None
    second_ns = first_ns + 229_000_000
    script.add(e.EdgeDisputed, turn=2, edge=edge, first_ns=first_ns, second_ns=second_ns)
    await s.play(script.take())
    await s.press("u", "up", "enter")
    assert "? uncertain: a second detector finds the end of user speech 229 ms later" in read(s, "TurnPage")
    await s.press("end")
    text = read(s, "TurnPage")
    assert "0.0 ms heard the user's last sound" in text
    assert "229 ms second the end of user speech, according to a second detector" in text


async def test_a_turn_names_what_was_reported_beside_what_was_heard(script: Script, s: Stage) -> None:
    await s.play(session(script, SESSIONS["slow agent"][0]).take())
    await s.press("u", "up", "enter", "end")
    text = read(s, "TurnPage")
    order = ("0.0 ms heard the user's last sound", "200 ms reported speech stopped",
             "2100 ms received the first audio", "2200 ms heard the agent's first sound")  # fmt: skip
    assert [text.index(line) for line in order] == sorted(text.index(line) for line in order)
    assert "0.0 ms 0%" not in text, "what took no time is left out"


async def test_the_turn_shows_uncertainty_and_barge_ins_before_its_parts(script: Script, s: Stage) -> None:
    await s.play(session(script, _PROMPT).take())
    metrics = s.bridge.state.metrics
    metrics.turns[2].doubt, metrics.turns[2].error_ms = "sending was 30 ms late", 30.0
    metrics.barge_ins.append(BargeIn(kind=BargeInKind.YIELDED, turn=2, silence_ms=340))
    await s.press("u", "up", "enter")
    text = read(s, "TurnPage")
    assert "Response time 600 ± 30 ms ✓ good" in text
    parts = text.index("Where the time went")
    assert text.index("? uncertain: sending was 30 ms late") < parts
    assert text.index("barge-in yielded: silence after 340 ms") < parts


async def test_equal_barge_ins_are_one_line_with_their_number(script: Script, s: Stage) -> None:
    await s.play(session(script, _PROMPT).take())
    missed = BargeIn(kind=BargeInKind.MISSED, turn=2, talk_over_ms=1_000)
    s.bridge.state.metrics.barge_ins += [missed, BargeIn(kind=BargeInKind.YIELDED, turn=2, silence_ms=340)]
    s.bridge.state.metrics.barge_ins += [missed] * 10
    await s.press("u", "up", "enter")
    text = read(s, "TurnPage")
    assert "barge-in missed: talk-over 1000 ms (11 times)" in text
    assert "barge-in yielded: silence after 340 ms" in text


async def test_the_answer_is_received_after_the_wait_for_a_whole_message(script: Script, s: Stage) -> None:
    await s.play(session(script, _PROMPT).take())
    parts = s.bridge.state.metrics.turns[2].parts
    assert parts.agent_ms == 500
    parts.framing_ms, parts.agent_ms = 150.0, 350.0
    await s.press("u", "up", "enter")
    text = " ".join(read(s, "TurnPage").split())
    assert "500 ms received the first audio of the answer" in text


async def test_keys_go_through_the_turns_on_to_the_events_and_back(script: Script, s: Stage) -> None:
    await s.play(session(script, _PROMPT).take())
    await s.press("u", "home", "enter")
    page = s.app.screen.query_one(TurnPage)
    assert page.border_title == "Greeting"
    await s.press("n", "n", "right", "n")
    assert page.border_title == "Turn 3 of 3"
    await s.press("N")
    assert page.border_title == "Turn 2 of 3"
    await s.press("escape")
    assert s.session.turns.has_focus
    await s.press("end", "up", "enter", "enter")
    assert s.session.log_pane.has_focus
    assert s.number == s.bridge.state.metrics.turns[2].first_event


@sized((120, 36))
async def test_bars_are_scaled_to_the_worst_turn_shown(script: Script, s: Stage) -> None:
    to_active(script)
    for number, agent in enumerate((1600, 9600), 1):
        turn(script, number, noticed=0, agent=agent, buffer=0)
    await s.play(script.take())
    await s.press("u")
    bars = [row.count("█") for row in s.text("TurnsPane").splitlines() if "ms ✗ █" in row]
    assert bars == [2, 11]
    axis = next(row for row in s.text("TurnsPane").splitlines() if "turn response" in row)
    assert axis.split("800")[0].count("┬") == 3, "two thresholds, and their legend"


async def test_the_verdict_is_not_remembered_for_another_call(script: Script, s: Stage) -> None:
    await s.play(session(script, SESSIONS["slow agent"][0]).take())
    await s.press("u")
    assert "1 of 3 turns was slow" in read(s, "TurnsPane")
    await s.play(session(script, _PROMPT).take())
    assert "3 of 3 turns were good (0.6 s)." in read(s, "TurnsPane")


async def test_the_chart_lists_the_slowest_turns_to_go_to(script: Script, s: Stage) -> None:
    await s.play(session(script, SESSIONS["slow agent"][0]).take())
    await s.press("u", "P")
    assert isinstance(s.top(), ChartScreen)
    text = s.text()
    assert "3 response times · worst 2200 ms ✗ · p50, p95 and the histogram need 20 turns" in text
    assert "Response time in ms, by turn" in text
    rows = text.splitlines()
    assert any("✓ 800├" in row for row in rows)
    assert any("~ 1500├" in row for row in rows)
    assert any(re.fullmatch(r" *1 +2 +3 *", row) for row in rows), "turns have whole numbers"
    assert "Turns by response time" not in text
    await s.press("enter")
    assert s.app.screen.query_one(TurnPage).border_title == "Turn 2 of 3"
    await s.press("escape")
    assert isinstance(s.top(), ChartScreen), "back where it was opened"
    await s.press("enter", "enter")
    assert s.top() is s.session
    assert s.session.turns.cursor == 2
    assert s.number == s.bridge.state.metrics.turns[2].first_event


@sized(*SIZES[:2])
async def test_from_20_turns_on_the_chart_has_percentiles_and_a_histogram(
    script: Script, size: tuple[int, int], s: Stage
) -> None:
    to_active(script)
    for number in range(1, 21):
        turn(script, number, noticed=200, agent=100 * number, buffer=0)
    await s.play(script.take())
    await s.press("u")
    title, *lines = s.text("TurnsPane").splitlines()
    assert "worst 2200 ms ✗" in title
    assert "…" not in title
    assert sum(" ms " in line for line in lines[1:]) >= 5, "several turns, whatever the verdict takes"
    await s.press("P")
    assert "20 response times · p50 1200 ms ~ · p95 2100 ms ✗ · worst 2200 ms ✗" in s.text()
    assert "Turns by response time in ms" in s.text()
    labels = s.text("#distribution").splitlines()
    counts = [line.split("┤")[0].strip() for line in labels if "┤" in line]
    assert [count for count in counts if count] == ["1", "0"], "turns are counted in whole numbers"
    assert labels[-1].split()[0] == "300"
    slowest = s.text("#outliers").splitlines()[1]
    assert "turn 20 " in slowest
    assert "unexplained 2.0 s" in slowest
    responses, distribution = (s.top().query_one(name).region for name in ("#responses", "#distribution"))
    assert (responses.y == distribution.y) == (size == (80, 24)), "beside each other if there are few rows"
    assert responses.height > 6


@sized((60, 20))
async def test_each_line_of_the_chart_has_its_own_label(script: Script, s: Stage) -> None:
    to_active(script)
    for number in range(1, 21):
        turn(script, number, noticed=200, agent=580, buffer=0)
    await s.play(script.take())
    await s.press("u", "P")
    head, rows = s.text("#head").splitlines(), s.text("#responses").splitlines()
    assert any("✓ ≤ 800 ms" in line for line in head)
    assert any("p50 780 ms" in line for line in head)
    lines = [row for row in rows if "─────" in row and "┌" not in row and "└" not in row and "┬" not in row]
    assert [row.split("├")[0].strip() for row in lines] == ["~ 1500", "✓ 800"]


@sized((120, 36))
async def test_the_chart_takes_the_colours_of_another_theme(script: Script, s: Stage) -> None:
    await s.play(session(script, SESSIONS["slow agent"][0]).take())
    await s.press("u", "P")
    s.app.theme = "opus-light"
    await s.settle()
    s.text()
    strips = s.app.screen._compositor.render_strips()
    colours = {style.color.name for strip in strips for _, style, _ in strip if style and style.color}
    light, dark = (s.app.get_theme(name) for name in ("opus-light", "opus-dark"))
    assert light is not None
    assert dark is not None
    assert light.success in colours
    assert dark.success not in colours


async def test_without_response_times_there_is_no_chart(call: Stage) -> None:
    await call.press("u", "P")
    assert call.top() is call.session
