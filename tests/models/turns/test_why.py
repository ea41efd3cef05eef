from __future__ import annotations

import msgspec
import pytest

from tests.models.turns.slow_turns import late_notice
from tui.models.turns.figures import Figure, Thresholds, graded, response_of
from tui.models.turns.metrics import SessionMetrics
from tui.models.turns.output import in_json, turn_lines
from tui.models.turns.turns import NOT_ANSWERED, LatencyParts, Turn
from tui.models.turns.why import Stage, shares_of, verdict, why_of

JUDGE = Thresholds()


def of(*turns: Turn) -> str:
    return verdict(SessionMetrics(turns=list(turns)), JUDGE)


def slow(number: int, latency_ms: float, parts: LatencyParts) -> Turn:
    return Turn(number=number, response_latency_ms=latency_ms, parts=parts)


def test_the_verdict_names_how_many_were_slow_and_where_the_time_went() -> None:
    assert of(*late_notice()) == (
        "2 of 2 turns were slow (2.2 s): 0.6 s until the agent noticed the end of speech, "
        "1.5 s from the agent's last report to its answer."
    )


def test_the_verdict_names_the_slow_turns_among_others() -> None:
    quick = slow(1, 400, LatencyParts(agent_ms=400))
    buffered = slow(2, 1600, LatencyParts(agent_ms=300, prebuffer_ms=1200, device_ms=100))
    assert of(quick, buffered) == (
        "1 of 2 turns was slow (turn 2: 1.6 s): 0.3 s until the agent answered, without reporting why, "
        "1.2 s in the user's playback buffer."
    )
    assert of(quick, buffered, slow(3, 2600, LatencyParts(agent_ms=300, prebuffer_ms=2300))) == (
        "2 of 3 turns were slow (turns 2, 3: 1.6–2.6 s): on average 0.3 s until the agent answered, "
        "without reporting why, 1.8 s in the user's playback buffer."
    )


def test_the_verdict_of_good_turns_gives_no_causes() -> None:
    greeting = slow(0, 5000, LatencyParts())
    assert of(greeting, slow(1, 400, LatencyParts()), slow(2, 800.4, LatencyParts())) == (
        "2 of 2 turns were good (0.4–0.8 s)."
    )
    assert of(greeting) == of() == ""


def test_the_verdict_counts_what_was_not_answered_and_what_is_uncertain() -> None:
    uncertain = Turn(number=1, response_latency_ms=500, doubt="sending was 30 ms late", error_ms=30)
    never = Turn(number=2, unmeasured=NOT_ANSWERED)
    assert of(uncertain, never) == (
        "1 of 1 turn was good (0.5 s). 1 turn was not answered. 1 response time is uncertain."
    )
    assert of(Turn(number=1)) == "No response time was measured."


def test_the_shares_of_a_response_add_up_to_it() -> None:
    (turn, _) = late_notice()
    shares = shares_of(turn)
    assert sum(share.ms for share in shares) == pytest.approx(2175.2)
    assert {share.stage: round(share.ms, 1) for share in shares} == {
        Stage.CAPTURE: 0,
        Stage.SENDING: 0.8,
        Stage.TRANSPORT: 5,
        Stage.NOTICING: 626.2,
        Stage.STEPS: 5.8,
        Stage.UNEXPLAINED: 1493.2,
        Stage.BUFFER: 44.2,
    }
    assert shares_of(Turn(number=1)) == []
    assert why_of(Turn(number=1)) == ""


def test_tools_have_a_share_of_their_own() -> None:
    turn = Turn(
        number=1,
        response_latency_ms=3000,
        parts=LatencyParts(agent_ms=3000),
        unexplained_ms=500,
        tools_ms=1700,
        reported_ms={"speech stopped": 300},
    )
    assert why_of(turn) == (
        "0.5 s until the agent's last report, 1.7 s while tools ran, 0.5 s from the agent's last report to its answer"
    )


def test_what_no_stage_accounts_for_is_not_measured() -> None:
    assert why_of(slow(1, 1000, LatencyParts(agent_ms=400))) == (
        "0.4 s until the agent answered, without reporting why, 0.6 s not measured"
    )


@pytest.mark.parametrize(
    ("ms", "grade"), [(0.04, "good"), (800.4, "good"), (800.6, "slow"), (1500.4, "slow"), (1500.6, "bad")]
)
def test_a_grade_never_contradicts_the_number_beside_it(ms: float, grade: str) -> None:
    figure = response_of(Turn(number=1, response_latency_ms=ms), JUDGE)
    assert figure.grade == graded(ms, JUDGE).grade == grade


def test_a_figure_in_words() -> None:
    turn = Turn(number=1, response_latency_ms=640.2, doubt="sending was 15 ms late", error_ms=15.3)
    figure = response_of(turn, JUDGE)
    assert (str(figure), figure.short, figure.glyph) == ("640 ± 15 ms", "640±15?", "✓")
    assert (str(Figure()), Figure().short, Figure().glyph) == ("–", "–", " ")
    greeting = response_of(Turn(number=0, response_latency_ms=4.25), JUDGE)
    assert (str(greeting), greeting.grade) == ("4.2 ms", None)


def test_the_same_figures_are_printed_for_people_and_for_programs() -> None:
    metrics = SessionMetrics(turns=[*late_notice(), Turn(number=3, unmeasured=NOT_ANSWERED)])
    verdict_line, first, _, third = turn_lines(metrics, JUDGE)
    assert first == (
        "turn 1      2175 ms  ✗ bad  0.6 s until the agent noticed the end of speech, "
        "1.5 s from the agent's last report to its answer"
    )
    assert third == "turn 3            –  the agent did not answer"
    values = in_json(metrics, JUDGE)
    assert values["verdict"] == verdict_line
    assert values["turns"][0]["response"] == {"ms": 2175.0, "grade": "bad"}
    assert values["turns"][0]["response_latency_ms"] == 2175.2
    assert values["turns"][2]["response"] == {"unmeasured": "the agent did not answer"}
    assert msgspec.convert(values, SessionMetrics).turns == metrics.turns
