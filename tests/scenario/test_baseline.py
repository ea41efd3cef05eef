from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tui.scenario.baseline import Baseline, BaselineError, Change, fingerprint, save_baseline
from tui.scenario.model import CallLimits, Expect, Noise, Say, Scenario
from tui.scenario.reading import read_scenario
from tui.scenario.results import judged
from tui.scenario.values import Duration, Sign
from tui.scenario.verdict import Case, RunResult, StepVerdict

WORSE, BETTER, SAME, NOT_COMPARED = Change.WORSE, Change.BETTER, Change.SAME, Change.NOT_COMPARED


def scenario(folder: Path, say: str = "1") -> Scenario:
    return Scenario(name="books", steps=[Say(say=say)], path=folder / "a.call.toml")


def run(response_ms: list[float], *, passed: bool = True, protocol: str = "twilio") -> RunResult:
    verdict = StepVerdict.PASSED if passed else StepVerdict.FAILED
    return RunResult(cases=[Case(name="a", verdict=verdict)], response_ms=response_ms, protocol=protocol)


def saved(folder: Path, runs: list[RunResult]) -> Baseline:
    path = folder / "baseline.json"
    made = scenario(folder)
    path.write_bytes(save_baseline(path, [(made, judged(made, runs))]))
    return Baseline(path)


@pytest.mark.parametrize(
    ("before_ms", "now_ms", "p50", "p95"),
    [
        (1_000.0, 1_100.0, SAME, SAME),
        (1_000.0, 1_101.0, WORSE, SAME),
        (1_000.0, 1_201.0, WORSE, WORSE),
        (1_000.0, 899.0, BETTER, SAME),
        (100.0, 150.0, SAME, SAME),  # 50 % more, but within the absolute tolerance
        (100.0, 151.0, WORSE, SAME),
        (100.0, 201.0, WORSE, WORSE),
    ],
)
def test_a_response_is_worse_by_a_share_and_an_amount(
    tmp_path: Path, before_ms: float, now_ms: float, p50: Change, p95: Change
) -> None:
    baseline = saved(tmp_path, [run([before_ms] * 20)])
    made = scenario(tmp_path)
    compared = baseline.compare(made, judged(made, [run([now_ms] * 20)]))
    assert {each.figure: each.change for each in compared} == {
        "pass rate": SAME,
        "response p50": p50,
        "response p95": p95,
    }


def test_percentiles_are_compared_with_enough_turns_only(tmp_path: Path) -> None:
    made = scenario(tmp_path)
    compared = saved(tmp_path, [run([100.0] * 20)]).compare(made, judged(made, [run([9_000.0] * 19)]))
    assert [each.change for each in compared] == [SAME, NOT_COMPARED, NOT_COMPARED]
    assert compared[1].reason == (
        "At least 20 turns are needed; 19 were measured, and the baseline contains 20."
    )


@pytest.mark.parametrize(
    ("before", "now", "change"),
    [(20, 20, SAME), (20, 15, SAME), (20, 10, WORSE), (10, 20, BETTER)],
)
def test_a_pass_rate_is_worse_if_chance_does_not_explain_it(
    tmp_path: Path, before: int, now: int, change: Change
) -> None:
    def runs(passed: int) -> list[RunResult]:
        return [run([], passed=number < passed) for number in range(20)]

    made = scenario(tmp_path)
    compared = saved(tmp_path, runs(before)).compare(made, judged(made, runs(now)))
    assert compared[0].change is change


def test_results_that_cannot_be_compared_are_refused(tmp_path: Path) -> None:
    baseline = saved(tmp_path, [run([100.0])])
    made = scenario(tmp_path)
    baseline.check(made)
    with pytest.raises(BaselineError, match=r"The steps or the \[caller\] section of .* have changed"):
        baseline.check(scenario(tmp_path, say="2"))
    with pytest.raises(BaselineError, match="now uses the protocol pcm, but used twilio when"):
        baseline.compare(made, judged(made, [run([100.0], protocol="pcm")]))


def test_a_scenario_that_the_baseline_does_not_have_is_not_compared(tmp_path: Path) -> None:
    baseline = saved(tmp_path, [run([100.0])])
    other = msgspec.structs.replace(scenario(tmp_path), path=tmp_path / "b.call.toml")
    baseline.check(other)
    (only,) = baseline.compare(other, judged(other, [run([100.0])]))
    assert (only.change, only.reason) == (NOT_COMPARED, "The baseline does not contain this scenario.")


def test_limits_and_places_change_no_fingerprint_and_the_caller_does(tmp_path: Path) -> None:
    def one(**changed: object) -> Scenario:
        step = Expect(expect=Sign.read("agent stops"), within=Duration(400), line=1)
        return msgspec.structs.replace(Scenario(name="a", steps=[step]), **changed)

    moved = Expect(expect=Sign.read("agent stops"), within=Duration(900), line=7)
    same = [one(), one(name="b"), one(limits=CallLimits(errors=0)), one(steps=[moved]), one(repeat=9)]
    assert len({fingerprint(each) for each in same}) == 1
    noisy = msgspec.structs.replace(one().caller, noise=Noise("white"))
    other = Expect(expect=Sign.read("agent speaks"), within=Duration(400), line=1)
    assert len({fingerprint(each) for each in (one(), one(caller=noisy), one(steps=[other]))}) == 3


def test_every_kind_of_step_has_a_fingerprint(tmp_path: Path) -> None:
    path = tmp_path / "a.call.toml"
    path.write_text(
        '[[step]]\nexpect = "tool book"\nargs = {people = 2, at = {day = "today"}}\n'
        '[[step]]\nexpect = "message kind:start"\n[[step]]\nexpect = "transcript /four/"\n'
        '[[step]]\nsay = "1"\nwhen = "agent speaks + 600ms"\n[[step]]\nmute = "1s"\n[[step]]\nmute = true\n'
        "[[step]]\nhang_up = true\n"
    )
    assert len(fingerprint(read_scenario(path))) == 16


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "is not a baseline"),
        ("{}", "that this version can read"),
        ('{"opusagent_baseline": 1, "scenarios": 3}', "is not a baseline"),
    ],
)
def test_what_is_no_baseline_is_refused(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "baseline.json"
    path.write_text(content)
    with pytest.raises(BaselineError, match=says):
        Baseline(path)


def test_what_was_not_judged_is_no_baseline(tmp_path: Path) -> None:
    with pytest.raises(BaselineError, match='No baseline was saved: "books" was not judged'):
        saved(tmp_path, [RunResult(late="It was late.")])
