"""Tests `opusagent-tui test` with simulated calls: its options, files and exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from junitparser import JUnitXml

from tests.report.sessions import save_call
from tui.cli.main import cli
from tui.models.target import Target
from tui.scenario.model import Scenario
from tui.scenario.results import planned_cases
from tui.scenario.verdict import Case, RunResult, StepVerdict

PASSED, FAILED = StepVerdict.PASSED, StepVerdict.FAILED
SCENARIO = '{head}[target]\nurl = "ws://127.0.0.1:9/audiocodes"\n[[step]]\nexpect = "agent speaks"\n'
Invoke = Callable[..., Result]


class Calls:
    """Simulates calls: each scenario fails, or is late, a given number of times and then passes."""

    def __init__(self) -> None:
        self.held: list[tuple[str, str]] = []
        """Scenario name and URL of each call."""
        self.fails: dict[str, int] = {}
        self.late: dict[str, int] = {}
        self.response_ms = 700.0
        self.folder = ""

    async def __call__(self, scenario: Scenario, target: Target, speech: object) -> RunResult:
        self.held.append((scenario.name, target.url))
        if self.late.get(scenario.name, 0) > 0:
            self.late[scenario.name] -= 1
            return RunResult(late="It was late.", protocol="audiocodes")
        failed = self.fails.get(scenario.name, 0) > 0
        self.fails[scenario.name] = self.fails.get(scenario.name, 0) - 1
        verdict, reason = (FAILED, "It did not happen.") if failed else (PASSED, "")
        cases = [
            Case(name=case.name, verdict=verdict, reason=reason, file=case.file, line=case.line)
            for case in planned_cases(scenario)
        ]
        return RunResult(
            cases=cases,
            response_ms=[self.response_ms] * 20,
            slowest_turn=1,
            folder=self.folder if failed else "",
            protocol="audiocodes",
        )


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    made = Calls()
    monkeypatch.setattr("tui.scenario.running.hold_here", made)
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE"):
        monkeypatch.delenv(name, raising=False)
    return made


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Returns a function that runs `test` in a folder with the given scenarios and their headers."""

    def invoke(*arguments: str, **scenarios: str) -> Result:
        for name, head in scenarios.items():
            (tmp_path / f"{name}.call.toml").write_text(SCENARIO.format(head=head))
        return CliRunner().invoke(cli, ["test", *(arguments or (".",))])

    monkeypatch.chdir(tmp_path)
    return invoke


def test_scenarios_are_run_as_often_as_they_ask_or_the_option(calls: Calls, run: Invoke) -> None:
    assert run(".", a="repeat = 2\n", b="").exit_code == 0
    assert [name for name, _ in calls.held] == ["a", "a", "b"]
    calls.held.clear()
    assert run(".", "--repeat", "3").exit_code == 0
    assert [name for name, _ in calls.held] == ["a"] * 3 + ["b"] * 3


def test_the_agent_of_the_command_line_overrides_that_of_the_file(calls: Calls, run: Invoke) -> None:
    run(".", "--url", "ws://127.0.0.1:9/twilio", a="")
    run(".")
    assert [url for _, url in calls.held] == ["ws://127.0.0.1:9/twilio", "ws://127.0.0.1:9/audiocodes"]


def test_tags_choose_scenarios(calls: Calls, run: Invoke) -> None:
    ran = run(".", "--tag", "smoke", a='tags = ["smoke", "slow"]\n', b="")
    assert (ran.exit_code, [name for name, _ in calls.held]) == (0, ["a"])
    ran = run(".", "--tag", "smokee")
    assert ran.exit_code == 2
    assert 'No scenario has the tag smokee; did you mean "smoke"?' in ran.output


@pytest.mark.parametrize(
    ("arguments", "held", "code"), [((), ["a", "a", "b"], 1), (("--fail-fast",), ["a"], 1)]
)
def test_fail_fast_ends_with_the_first_scenario_that_failed(
    calls: Calls, run: Invoke, arguments: Sequence[str], held: list[str], code: int
) -> None:
    calls.fails["a"] = 1
    ran = run(".", *arguments, a="repeat = 2\n", b="")
    assert (ran.exit_code, [name for name, _ in calls.held]) == (code, held)


@pytest.mark.parametrize(("late", "code"), [(1, 0), (2, 6)])
def test_more_than_a_fifth_that_could_not_be_judged_is_an_exit_code(
    calls: Calls, run: Invoke, late: int, code: int
) -> None:
    calls.late["a"] = late
    ran = run(".", a="repeat = 5\n")
    assert ran.exit_code == code
    assert ran.output.count("It was late.") >= late
    assert f"5 runs, of which {late} could not be judged, in 0:0" in ran.output
    assert f"100% ({5 - late}/{5 - late}, " in ran.output


def test_results_are_written_as_json_and_junit(calls: Calls, run: Invoke, tmp_path: Path) -> None:
    calls.fails["a"] = 1
    assert run(".", "--json", "out.json", "--junit", "out.xml", a="", b="").exit_code == 1
    found = json.loads((tmp_path / "out.json").read_bytes())
    assert [(each["name"], each["verdict"]) for each in found["scenarios"]] == [
        ("a", "failed"),
        ("b", "passed"),
    ]
    suites = list(JUnitXml.fromfile(str(tmp_path / "out.xml")))
    assert [(suite.name, suite.failures) for suite in suites] == [("a", 2), ("b", 0)]


def test_json_on_standard_output_is_all_of_it(calls: Calls, run: Invoke) -> None:
    ran = run(".", "--json", "-", a="")
    assert json.loads(ran.stdout)["exit_code"] == 0
    assert "100% (1/1, " in ran.stderr
    # The option names a file, so nothing on standard output is JSON, and errors are printed as text.
    ran = run("missing.call.toml", "--json", "out.json")
    assert (ran.exit_code, ran.stdout) == (2, "")


def test_github_gets_annotations_and_a_summary(
    calls: Calls, run: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = tmp_path / "summary.md"
    calls.fails["a"] = 1
    run(".", a="", b="")
    assert not summary.exists()
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    calls.fails["a"] = 1
    ran = run(".")
    errors = [line for line in ran.output.splitlines() if line.startswith("::error ")]
    assert errors[1] == (
        "::error file=a.call.toml,line=4,title=a%3A agent speaks within 10 s::It did not happen."
    )
    assert [line.split(" | ")[1] for line in summary.read_text().splitlines()[4:6]] == ["a", "b"]


def test_a_failed_run_gets_a_report(calls: Calls, run: Invoke, tmp_path: Path) -> None:
    calls.folder = str(save_call(tmp_path / "sessions"))
    calls.fails["a"] = 1
    ran = run(".", "--report", "out", a="", b="")
    (page,) = (tmp_path / "out").iterdir()
    assert page.name == f"a-{Path(calls.folder).name}.html"
    assert page.read_bytes().startswith(b"<!doctype html>")
    assert f"report        out/{page.name}" in ran.output
    ran = run(".", "--report", "out", "--no-save")
    assert (ran.exit_code, "needs saved sessions" in ran.output) == (2, True)


def test_a_baseline_is_saved_and_compared(calls: Calls, run: Invoke, tmp_path: Path) -> None:
    assert run(".", "--save-baseline", "base.json", a="").exit_code == 0
    ran = run(".", "--baseline", "base.json")
    assert (ran.exit_code, "the same      response p50: It is 700 ms" in ran.output) == (0, True)
    calls.response_ms = 900.0
    ran = run(".", "--baseline", "base.json", "--json", "out.json")
    assert (ran.exit_code, "worse         response p95: It is 900 ms" in ran.output) == (1, True)
    changes = [each["change"] for each in json.loads((tmp_path / "out.json").read_bytes())["baseline"]]
    assert changes == ["the same", "worse", "worse"]
    held = len(calls.held)
    (tmp_path / "a.call.toml").write_text(SCENARIO.format(head="") + '[[step]]\nsay = "1"\n')
    ran = run(".", "--baseline", "base.json")
    assert (ran.exit_code, "cannot be compared" in ran.output) == (2, True)
    # No call was made for that.
    assert len(calls.held) == held
    assert run(".", "--baseline", "base.json", "--save-baseline", "base.json").exit_code == 2
