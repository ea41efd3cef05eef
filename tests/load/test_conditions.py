"""Tests the conditions of --fail-if and --keep-if."""

from __future__ import annotations

import pytest

from tests.load.calls import call_record
from tui.load.conditions import OF_A_CALL, OF_A_RUN, Criterion, figures_of_call
from tui.load.records import CallEnding, CallRecord, TurnRecord
from tui.load.summary import summarise
from tui.text.strict import SettingsError


def call(*response_ms: float | None, outcome: CallEnding = CallEnding.COMPLETED) -> CallRecord:
    turns = [TurnRecord(1.0, each) for each in response_ms]
    return call_record(length_s=4.0, outcome=outcome, turns=turns)


@pytest.mark.parametrize(
    ("text", "record", "kept"),
    [
        ("failed or response > 2s", call(1_999.0), False),
        ("failed or response > 2s", call(1_999.0, 2_001.0), True),
        ("failed or response > 2s", call(outcome=CallEnding.FAILED), True),
        ("response > 2s", call(None), False),
        ("response > 1s and length >= 4s", call(1_500.0), True),
        ("response > 1s and length > 4s", call(1_500.0), False),
        ("response > 1s and length > 4s or findings < 1", call(1_500.0), True),
        ("RESPONSE  >  1500ms", call(1_500.1), True),
    ],
)
def test_a_call_is_kept_if_its_condition_holds(text: str, record: CallRecord, kept: bool) -> None:
    assert Criterion(text, OF_A_CALL).holds(figures_of_call(record)) is kept


def test_the_figures_have_the_names_that_conditions_may_use() -> None:
    assert tuple(figures_of_call(call(1.0))) == OF_A_CALL
    assert tuple(summarise([]).figures) == OF_A_RUN


def test_a_share_is_written_in_percent() -> None:
    condition = Criterion("failed > 1%", OF_A_RUN)
    assert condition.holds({"failed": 0.011})
    assert not condition.holds({"failed": 0.01})


def test_what_was_not_measured_cannot_be_judged() -> None:
    condition = Criterion("p95 > 2s or failed > 1%", OF_A_RUN)
    assert condition.unmeasured({"p95": None, "failed": 0.0})
    assert not condition.unmeasured({"p95": None, "failed": 0.5})
    assert not condition.unmeasured({"p95": 3_000.0, "failed": 0.0})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("latency > 2s", 'Unknown figure "latency". Choose from p50, p95,'),
        ("p95 is slow", '"p95 is slow" is not a condition. Write it like "p95 > 2s" or "failed".'),
        ("", '"" is not a condition.'),
        ("p95 > 2s or", '"p95 > 2s or" is not a condition.'),
    ],
)
def test_a_wrong_condition_is_refused_with_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(SettingsError) as raised:
        Criterion(text, OF_A_RUN)
    assert str(raised.value).startswith(sentence)
