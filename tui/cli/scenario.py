"""Commands for scenarios: play them against an agent, and check their files."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tui.cli.options import config_option, option, save_options, target_of, target_options, typed_settings
from tui.cli.program import Sentence
from tui.exit_code import ExitCode

if TYPE_CHECKING:
    from tui.models.target import Target
    from tui.scenario.model import Scenario
    from tui.scenario.verdict import Case, RunResult

_files = click.argument(
    "files", metavar="FILE|DIR…", nargs=-1, required=True, type=click.Path(path_type=Path)
)


@click.group()
def scenario() -> None:
    """Work with scenario files (*.call.toml)."""


@scenario.command()
@_files
def check(files: Sequence[Path]) -> None:
    """Check scenario files without calling anybody."""
    for found in _read(files):
        click.echo(f"{found.path}: {found.name}, {len(found.steps)} steps")


@click.command()
@_files
@option("--url", metavar="URL", help="The agent's URL; overrides the file's target.")
@option("--profile", metavar="NAME", help="A profile from the settings file; overrides the file's target.")
@target_options
@save_options
@config_option
def test(files: Sequence[Path], url: str | None, profile: str | None, **options: Any) -> None:
    """Play scenarios against an agent, and judge them.

    Exit codes: 0 all passed, 1 something failed, 2 wrong file, 4 unreachable, 6 nothing failed but more than a fifth
    of the runs could not be judged.
    """
    import asyncio

    logging.getLogger().addHandler(logging.NullHandler())  # the printed verdicts show the same
    scenarios = _read(files)
    flags = typed_settings(options)
    runs: list[RunResult] = []
    failed = False
    for each in scenarios:
        name = url or profile or each.target.url or each.target.profile
        if not name:
            raise Sentence(f"{each.path} has no [target]. Name the agent with --url or --profile.")
        if each.target.protocol and "protocol" not in flags:
            target = target_of(name, {**flags, "protocol": each.target.protocol})
        else:
            target = target_of(name, flags)
        of_each: list[RunResult] = []
        for _ in range(each.repeat):
            with _refusals():
                of_each.append(asyncio.run(_hold(each, target)))
            _print(each, of_each[-1])
            if of_each[-1].not_applicable:
                break
        failed |= _judge(each, of_each)
        runs += of_each
    sys.exit(_exit_code(runs, failed=failed))


async def _hold(scenario: Scenario, target: Target) -> RunResult:
    import asyncio

    from tui.handlers.tools.file import load_tools
    from tui.scenario.holding import hold
    from tui.scenario.lines import lines_of
    from tui.scenario.player import Aids

    async def may_run(command: str) -> bool:
        return True

    lines = await asyncio.to_thread(lines_of, scenario)
    tools = load_tools(target.tools) if target.tools else []
    return await hold(scenario, target, aids=Aids(lines=lines, may_run=may_run), tools=tools)


def _judge(scenario: Scenario, runs: Sequence[RunResult]) -> bool:
    """Print what all runs of a scenario show together; returns whether it failed."""
    from tui.scenario.limits import judge_runs
    from tui.scenario.verdict import ScenarioResult, StepVerdict

    result = ScenarioResult(
        name=scenario.name, file=str(scenario.path), least_rate=scenario.pass_rate, runs=runs
    )
    cases = judge_runs(scenario, result.response_ms)
    _print_cases(cases)
    click.echo(f"  pass rate {result.rate}")
    return StepVerdict.FAILED in (result.verdict, *(case.verdict for case in cases))


def _exit_code(runs: Sequence[RunResult], *, failed: bool) -> ExitCode:
    from tui.scenario.verdict import StepVerdict

    if any(run.unreachable for run in runs):
        return ExitCode.UNREACHABLE
    if failed:
        return ExitCode.LIMIT_EXCEEDED
    unjudged = sum(run.verdict is StepVerdict.NOT_MEASURED for run in runs)
    return ExitCode.NOT_JUDGED if unjudged * 5 > len(runs) else ExitCode.FINE


def _print(scenario: Scenario, run: RunResult) -> None:
    from tui.text.visible import one_line

    click.echo(one_line(f"{run.verdict}  {scenario.name}"))
    for text in filter(None, (run.unreachable, run.late, run.not_applicable)):
        click.echo(one_line(f"  {text}"))
    _print_cases(run.cases)


def _print_cases(cases: Sequence[Case]) -> None:
    from tui.text.visible import one_line

    for case in cases:
        reason = f": {case.reason}" if case.reason else ""
        click.echo(one_line(f"  {case.verdict:12}  {case.name}{reason}", 300))


def _read(files: Sequence[Path]) -> list[Scenario]:
    with _refusals():
        from tui.scenario.reading import find_scenarios, read_scenario

        return [read_scenario(path) for path in find_scenarios(files)]


@contextmanager
def _refusals() -> Iterator[None]:
    """Turn what is wrong with a file into a `Sentence`."""
    from tui.text.visible import one_line

    try:
        yield
    except ValueError as error:
        raise Sentence(one_line(str(error), 500)) from error
