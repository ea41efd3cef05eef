"""Tests what `test` prints and writes for simulated results."""

from __future__ import annotations

import io
import json
from pathlib import Path

import msgspec
import pytest
from junitparser import Error, Failure, JUnitXml, Skipped
from rich.console import Console

from tui.exit_code import ExitCode
from tui.models.target import Target
from tui.scenario.as_json import in_json
from tui.scenario.github import error_commands, summary_table
from tui.scenario.junit import in_junit
from tui.scenario.model import Bounds, CallLimits, Expect, Scenario
from tui.scenario.printing import RunPrinter
from tui.scenario.results import judged, planned_cases
from tui.scenario.running import Planned
from tui.scenario.values import Duration, Sign
from tui.scenario.verdict import RunResult, ScenarioResult, StepVerdict

PASSED, FAILED, NOT_MEASURED = StepVerdict.PASSED, StepVerdict.FAILED, StepVerdict.NOT_MEASURED
HOSTILE = "[bold]x[/] <b>|`y` \x1b[31m\n::error::z"
Results = list[tuple[Scenario, ScenarioResult]]


def scenario(name: str = "stops | in time", pass_rate: float = 1.0, repeat: int = 1) -> Scenario:
    step = Expect(expect=Sign.read("agent stops"), within=Duration(400), file="calls/a.call.toml", line=12)
    limits = CallLimits(response=Bounds(p95=Duration(1_200)), errors=0)
    return Scenario(
        name=name,
        steps=[step],
        limits=limits,
        limits_line=3,
        path=Path("calls/a.call.toml"),
        pass_rate=pass_rate,
        repeat=repeat,
    )


def run(
    step: StepVerdict = PASSED, reason: str = "", number: int = 1, response_ms: float = 700.0
) -> RunResult:
    call, expected, errors = planned_cases(scenario())
    cases = [
        msgspec.structs.replace(call, verdict=PASSED),
        msgspec.structs.replace(expected, verdict=step, reason=reason, measured_ms=812.0),
        msgspec.structs.replace(errors, verdict=PASSED),
    ]
    return RunResult(
        number=number,
        cases=cases,
        protocol="audiocodes",
        response_ms=[response_ms],
        slowest_turn=2,
        folder="" if step is PASSED else "/sessions/one",
        report="" if step is PASSED else "out/a-one.html",
    )


def results(*runs: RunResult, pass_rate: float = 1.0) -> Results:
    made = scenario(pass_rate=pass_rate, repeat=len(runs))
    return [(made, judged(made, runs))]


def printed(found: Results, *, shown: bool = False) -> str:
    stream = io.StringIO()
    printer = RunPrinter(Console(file=stream, width=80))
    if shown:
        with printer.progress(sum(len(result.runs) for _, result in found), 1):
            for made, result in found:
                for each in result.runs:
                    printer.show(Planned(made, Target(url="ws://a"), made.repeat), each)
    printer.table([result for _, result in found])
    return stream.getvalue()


FAILED_RUN = run(FAILED, "It happened after 812 ms (limit 400 ms).", 2, 1_412.0)


def test_the_table_shows_the_pass_rate_the_worst_turn_and_what_failed_first() -> None:
    text = printed(results(run(), FAILED_RUN))
    heading, row = text.splitlines()[1:3]
    assert heading.split() == ["scenario", "pass", "rate", "p50", "p95", "worst", "turn"]
    assert "50% (1/2, 9%–91%)" in row
    assert "1412 ms (run 2, turn 2)" in text.replace("\n", " ")
    assert "stops | in time (run 2)" in text
    assert (
        "failed        a.call.toml:12  agent stops within 400 ms: It happened after 812 ms (limit 400 ms)."
        in text
    )
    assert "session       /sessions/one" in text
    assert "report        out/a-one.html" in text
    assert text.splitlines()[-1].startswith("1 scenario: 1 failed; 2 runs in 0:0")


def test_a_scenario_that_passed_is_one_row() -> None:
    text = printed([(made, msgspec.structs.replace(result, limits=[])) for made, result in results(run())])
    assert len(text.splitlines()) == 5
    assert "100% (1/1, 21%–100%)" in text


def test_one_run_is_printed_with_every_step_and_many_with_those_that_failed() -> None:
    one = printed(results(run()), shown=True)
    assert "passed        a.call.toml:12  agent stops within 400 ms" in one
    many = printed(results(run(), FAILED_RUN), shown=True)
    assert many.splitlines()[:3] == [
        "passed        stops | in time (1/2)",
        "failed        stops | in time (2/2)",
        "  failed        a.call.toml:12  agent stops within 400 ms: It happened after 812 ms (limit 400 ms).",
    ]


def test_what_the_agent_said_is_neither_markup_nor_a_command_to_anybody() -> None:
    found = results(run(FAILED, HOSTILE))
    text = printed(found, shown=True)
    assert "[bold]x[/]" in text
    assert "\x1b" not in text
    assert not any(line.lstrip().startswith("::") for line in text.splitlines())
    (line,) = error_commands(found, {})
    assert "\n" not in line
    row = summary_table([result for _, result in found]).splitlines()[4]
    assert row.count("|") == 9
    assert "<b>" not in row
    assert b"\x1b" not in in_junit(found)


def test_github_gets_each_failure_at_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (line,) = error_commands(results(FAILED_RUN), {"GITHUB_WORKSPACE": str(tmp_path.parent)})
    assert line == (
        f"::error file={tmp_path.name}/calls/a.call.toml,line=12,"
        "title=stops | in time%3A agent stops within 400 ms::"
        "It happened after 812 ms (limit 400 ms)."
    )
    assert list(error_commands(results(run()), {})) == []


def test_junit_has_a_case_for_each_step_and_limit() -> None:
    document = JUnitXml.fromstring(in_junit(results(run(), FAILED_RUN)))
    (suite,) = document
    assert (suite.name, suite.tests, suite.failures, suite.skipped, suite.errors) == (
        "stops | in time",
        5,
        2,
        1,
        0,
    )
    assert [case.name for case in suite] == [
        "0. the call",
        "1. agent stops within 400 ms",
        "2. errors ≤ 0",
        "3. response p95 ≤ 1.2 s",
        "4. pass rate ≥ 100%",
    ]
    call, step, errors, percentile, rate = suite
    assert [case.result for case in (call, errors)] == [[], []]
    (failure,) = step.result
    assert isinstance(failure, Failure)
    assert failure.message == "It failed in 1 of 2 runs. It happened after 812 ms (limit 400 ms)."
    assert (step.time, step.classname) == (0.812, "stops | in time")
    element = step._elem
    assert (element.get("file"), element.get("line")) == ("calls/a.call.toml", "12")
    (skipped,) = percentile.result
    assert isinstance(skipped, Skipped)
    assert skipped.message == "At least 20 turns are needed; 2 were measured."
    assert isinstance(rate.result[0], Failure)
    found = suite.properties()
    assert {each.name: each.value for each in found} == {
        "file": "calls/a.call.toml",
        "protocol": "audiocodes",
        "pass rate": "50% (1/2, 9%–91%)",
    }


def test_in_junit_what_the_pass_rate_allows_did_not_fail() -> None:
    document = JUnitXml.fromstring(in_junit(results(run(), FAILED_RUN, pass_rate=0.5)))
    (suite,) = document
    assert suite.failures == 0
    assert list(suite)[1].system_out.startswith("It failed in 1 of 2 runs.")


def test_in_junit_an_unreachable_agent_is_an_error_and_the_rest_is_skipped() -> None:
    document = JUnitXml.fromstring(in_junit(results(RunResult(unreachable="Nobody listens."))))
    (suite,) = document
    assert (suite.errors, suite.failures, suite.skipped) == (1, 0, 3)
    (error,) = next(iter(suite)).result
    assert isinstance(error, Error)
    assert error.message == "Nobody listens."


def test_json_has_every_run_with_its_cases() -> None:
    found = json.loads(in_json([result for _, result in results(run(), FAILED_RUN)], ExitCode.LIMIT_EXCEEDED))
    assert (found["exit_code"], found["reason"]) == (1, "limit_exceeded")
    (made,) = found["scenarios"]
    assert (made["verdict"], made["protocol"], made["pass_rate"]["runs"]) == ("failed", "audiocodes", 2)
    assert made["response"] == {
        "count": 2,
        "p50_ms": None,
        "p95_ms": None,
        "worst_ms": 1412.0,
        "worst_run": 2,
        "worst_turn": 2,
    }
    assert [each["verdict"] for each in made["runs"]] == ["passed", "failed"]
    assert made["runs"][1]["session"] == "/sessions/one"
    assert made["runs"][1]["cases"][1]["line"] == 12
