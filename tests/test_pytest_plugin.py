"""Tests the pytest plugin in separate runs of pytest with simulated calls."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import tui.pytest_plugin
from tui.models.target import Target
from tui.pytest_plugin import items
from tui.scenario.model import Scenario
from tui.scenario.results import planned_cases
from tui.scenario.verdict import Case, RunResult, StepVerdict

pytest_plugins = ["pytester"]

DISTRIBUTED = """
def pytest_configure(config):
    config.workerinput = {{"opusagent_dist": {dist!r}}}

def pytest_collection_modifyitems(items):
    for item in items:
        print("collected", item.name, "for", *item.get_closest_marker("xdist_group").args)
"""
SCENARIO = """
name = "books"
tags = ["smoke"]
[limits]
errors = 0
[[step]]
expect = "agent speaks"
[[step]]
expect = "tool book"
"""
# pytest-rerunfailures mistakes every run with a `workerinput` for one of its own workers.
OPTIONS = (
    *("-p", "no:cacheprovider", "-p", "no:rerunfailures"),
    *("-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function"),
)
URL = "ws://127.0.0.1:9/pcm"


async def hold(scenario: Scenario, target: Target) -> RunResult:
    """Simulates a call; writes its URL into a file in the current folder."""
    with Path("held").open("a", encoding="utf-8") as file:  # noqa: ASYNC230 - nothing else runs in its loop
        print(target.url, file=file)
    verdicts = [StepVerdict.PASSED, StepVerdict.FAILED, StepVerdict.NOT_MEASURED, StepVerdict.PASSED]
    cases = [
        Case(name=case.name, verdict=verdict, reason="Because.", file=case.file, line=case.line)
        for case, verdict in zip(planned_cases(scenario), verdicts, strict=True)
    ]
    return RunResult(cases=cases, folder="/sessions/one")


@pytest.fixture
def other(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """Returns another project with one scenario. Its pytest finds the plugin by its entry point."""
    monkeypatch.setattr(items, "hold_here", hold)
    pytester.makefile(".call.toml", books=SCENARIO)
    return pytester


def test_each_step_and_limit_is_a_test_of_one_call(other: pytest.Pytester) -> None:
    ran = other.runpytest_inprocess(*OPTIONS, "-v", "-rs", "--call-url", URL, "-n", "0")
    ran.assert_outcomes(passed=2, failed=1, skipped=1)
    ran.stdout.fnmatch_lines(
        [
            "*books.call.toml::0?the call? PASSED*",
            "*books.call.toml::1?agent speaks within 10 s? FAILED*",
            "*books.call.toml::2?tool book within 10 s? SKIPPED*",
            "*books.call.toml::3?errors ≤ 0? PASSED*",
            "*books.call.toml:6: agent speaks within 10 s: Because.",
            "session: /sessions/one",
            "SKIPPED*not measured: Because.",
        ]
    )
    assert (other.path / "held").read_text() == f"{URL}\n"


def test_an_agent_that_nobody_named_fails_the_tests(other: pytest.Pytester) -> None:
    ran = other.runpytest_inprocess(*OPTIONS, "-n", "0")
    ran.assert_outcomes(failed=4)
    ran.stdout.fnmatch_lines(["*no agent to call. Specify one with --call-url*"])


def test_tags_and_names_choose_tests(other: pytest.Pytester) -> None:
    other.makeini(f"[pytest]\ncall_url = {URL}\n")
    ran = other.runpytest_inprocess(*OPTIONS, "-n", "0", "-k", "smoke and tool")
    ran.assert_outcomes(skipped=1, deselected=3)
    other.runpytest_inprocess(*OPTIONS, "-n", "0", "-k", "slow").assert_outcomes(deselected=4)


def test_a_wrong_file_is_an_error_of_collection(other: pytest.Pytester) -> None:
    (other.path / "books.call.toml").write_text('[[step]]\nsaay = "1"\n')
    ran = other.runpytest_inprocess(*OPTIONS, "-n", "0")
    ran.assert_outcomes(errors=1)
    ran.stdout.fnmatch_lines(['*line 1: this step has no action; "saay" is not one; did you mean "say"?*'])


@pytest.mark.parametrize(
    ("dist", "names"),
    [
        (
            "loadgroup",
            ["0[the call]", "1[agent speaks within 10 s]", "2[tool book within 10 s]", "3[errors ≤ 0]"],
        ),
        ("load", ["the call"]),
        ("worksteal", ["the call"]),
    ],
)
def test_the_tests_of_a_file_stay_on_one_worker(other: pytest.Pytester, dist: str, names: list[str]) -> None:
    other.makeconftest(DISTRIBUTED.format(dist=dist))
    ran = other.runpytest_inprocess(*OPTIONS, "-n", "0", "-s", "--call-url", URL)
    collected = [line for line in ran.outlines if line.startswith("collected ")]
    assert [line for line in collected if " for " in line] == [
        f"collected {name} for books.call.toml" for name in names
    ]
    assert (other.path / "held").read_text() == f"{URL}\n"


def test_a_worker_learns_how_tests_are_distributed(pytestconfig: pytest.Config) -> None:
    node = SimpleNamespace(workerinput={}, config=pytestconfig)
    tui.pytest_plugin.pytest_configure_node(node)
    assert node.workerinput == {tui.pytest_plugin.DIST: pytestconfig.getoption("dist")}


def test_the_fixture_calls_the_agent_that_a_test_names(other: pytest.Pytester) -> None:
    (other.path / "books.call.toml").unlink()
    other.makepyfile(
        """
        import pytest

        async def test_books(call):
            with pytest.raises(AssertionError, match="127.0.0.1"):
                async with call("ws://127.0.0.1:9/audiocodes", protocol="audiocodes") as c:
                    await c.say("1")

        async def test_without_an_agent(call):
            async with call() as c:
                pass
        """
    )
    ran = other.runpytest_inprocess(*OPTIONS, "-n", "0")
    ran.assert_outcomes(passed=1, failed=1)


def test_it_loads_nothing_of_ours_but_itself(tmp_path: Path) -> None:
    (tmp_path / "test_nothing.py").write_text("def test_nothing(): pass\n")
    code = (
        "import json, sys, pytest\n"
        f"assert pytest.main(['-q', '-p', 'tui.pytest_plugin', {str(tmp_path)!r}]) == 0\n"
        "print(json.dumps([name for name in sys.modules if name.partition('.')[0] == 'tui']))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
        cwd=tmp_path,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},  # other plugins take seconds
    )
    assert json.loads(ran.stdout.splitlines()[-1]) == ["tui", "tui.pytest_plugin"]
