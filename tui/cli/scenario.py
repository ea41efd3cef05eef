"""Commands for scenarios: play them against an agent, and check their files."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from tui.cli import completion
from tui.cli import options as opts
from tui.cli.help import GroupedCommand, write_example
from tui.cli.option import option, together
from tui.cli.program import Sentence
from tui.exit_code import ExitCode

if TYPE_CHECKING:
    from tui.config.reading import SettingsInForce
    from tui.engine.wire import PlayScenario
    from tui.models.turns.figures import Thresholds
    from tui.scenario.baseline import Baseline, FigureChange
    from tui.scenario.model import Scenario
    from tui.scenario.printing import RunPrinter
    from tui.scenario.running import Batch, Planned
    from tui.scenario.verdict import ScenarioResult

    Results = list[tuple[Scenario, ScenarioResult]]


class _Chosen(NamedTuple):
    """The options of `test` that are not call settings."""

    url: str | None
    profile: str | None
    repeat: int | None
    jobs: int
    tags: Sequence[str]
    fail_fast: bool
    json_file: str | None
    junit_file: str | None
    reports: Path | None
    baseline: Path | None
    save_baseline: Path | None


_files = click.argument(
    "files", metavar="FILE|DIR…", nargs=-1, required=True, type=click.Path(path_type=Path)
)


def scenario_to_play(path: Path, in_force: SettingsInForce) -> PlayScenario:
    """Returns the command that makes the engine play a scenario. Raises `Sentence`."""
    with opts.file_errors():
        from tui.engine.wire import PlayScenario
        from tui.scenario.reading import commands_of, read_scenario

        commands = commands_of(read_scenario(path))
    speech = in_force.settings.speech
    return PlayScenario(
        path=str(path.resolve()),
        commands=commands,
        synthesizer=speech.synthesizer or "",
        speech_model=speech.model or "",
    )


class ScenarioGroup(click.Group):
    """The group of commands for scenario files."""

    command_class = GroupedCommand

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes options, commands and an example."""
        super().format_options(ctx, formatter)
        write_example("opusagent-tui scenario check tests/calls", formatter)


@click.group(cls=ScenarioGroup)
def scenario() -> None:
    """Work with scenario files (*.call.toml)."""


@scenario.command()
@_files
def check(files: Sequence[Path]) -> None:
    """Check scenario files without calling an agent."""
    for found in _read(files):
        click.echo(f"{found.path}: {found.name}, {len(found.steps)} steps")


@scenario.command()
@click.argument("session", type=click.Path(path_type=Path), shell_complete=completion.sessions)
@option(
    "-o",
    "--output",
    metavar="FILE.call.toml",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Output file; WAV files of what was said are written next to it.",
)
@opts.config_option
def make(session: Path, output: Path) -> None:
    """Turn a saved session into a scenario, so that a bug report becomes a failing test.

    Everything that the caller said, typed and pressed becomes steps. The scenario expects the reactions of a
    healthy agent. SESSION is a folder, a name from the list or its beginning, a title, or `latest`.
    """
    from tui.cli.sessions import named_session, session_sentences
    from tui.scenario.making import make_scenario
    from tui.text.visible import one_line

    with opts.file_errors(), session_sentences():
        made = make_scenario(named_session(session), output, opts.effective_settings().thresholds.slow_ms)
    click.echo(f"{made.path}: {made.contents}")
    for each in made.left_out:
        click.echo(f"  not included: {one_line(each, 200)}", err=True)


@scenario.command("import")
@click.argument("file", metavar="FILE.yaml", type=click.Path(path_type=Path))
@option(
    "--output",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Default: the folder of FILE.",
)
def import_file(file: Path, output: Path | None) -> None:
    """Convert a scripted scenario written for streamdouble, voicebench or Pipecat into scenario files.

    Parts that cannot be converted are listed, and added to the file as comments. WAV files are not copied.
    Needs the `yaml` extra.
    """
    from tui.files import write_new
    from tui.scenario.importing import import_scenarios, refusal_of
    from tui.scenario.reading import SUFFIX, read_scenario
    from tui.text.visible import one_line

    with opts.file_errors():
        found = import_scenarios(file)
        folder = output or file.parent
        folder.mkdir(parents=True, exist_ok=True)
        for number, each in enumerate(found, 1):
            name = f"{file.stem}-{number}" if len(found) > 1 else file.stem
            path = folder / f"{name}{SUFFIX}"
            each.move(file.parent, folder)
            try:
                write_new(path, each.text().encode())
            except FileExistsError as error:
                raise Sentence(refusal_of(path)) from error
            steps = read_scenario(path).steps
            click.echo(f"{path}: {one_line(each.name)}, {len(steps)} steps ({each.source})")
            for missing in each.left_out:
                click.echo(f"  not converted: {one_line(missing, 200)}", err=True)


# fmt: off
_test_options = together(
    option("--url", metavar="URL", group="Agent", help="The agent's URL; overrides the scenario's target."),
    option("--profile", metavar="NAME", group="Agent",
           help="A profile from the settings file; overrides the scenario's target."),
    option("--repeat", type=click.IntRange(1, 10_000), metavar="N",
           help="Number of runs of each scenario; overrides the file."),
    option("--jobs", type=click.IntRange(1, 64), default=1, metavar="N", help="Number of simultaneous calls."),
    option("--tag", "tags", multiple=True, metavar="TAG", help="Run only scenarios with this tag. Repeatable."),
    option("--fail-fast", is_flag=True, help="Stop once a scenario can no longer pass."),
    option("--json", "json_file", metavar="FILE", group="Output",
           help="Write the results as JSON (- for standard output)."),
    option("--junit", "junit_file", metavar="FILE", group="Output",
           help="Write the results as JUnit XML (- for standard output)."),
    option("--baseline", metavar="FILE", group="Baseline", type=click.Path(path_type=Path),
           help="Compare with the results in this file; exit with 1 if any are worse."),
    option("--save-baseline", metavar="FILE", group="Baseline", type=click.Path(path_type=Path),
           help="Save the results in this file as a baseline for later runs."),
    option("--report", "reports", metavar="DIR", group="Output", type=click.Path(path_type=Path, file_okay=False),
           help="Write a report of each run that did not pass; it opens at the failed step."),
)
# fmt: on


@click.command(cls=GroupedCommand, example="opusagent-tui test tests/calls --profile staging --jobs 4")
@_files
@_test_options
@opts.target_options
@opts.save_options
@opts.config_option
def test(files: Sequence[Path], **options: Any) -> None:
    """Play scenarios against an agent, and check the results.

    Exit codes: 0 all passed, 1 something failed, 2 invalid file, 4 unreachable, 6 nothing failed but more than
    a fifth of the runs could not be judged.
    """
    import asyncio

    logging.getLogger().addHandler(logging.NullHandler())  # the printed verdicts show the same
    chosen = _Chosen(**{name: options.pop(name) for name in _Chosen._fields})
    if chosen.baseline and chosen.save_baseline:
        raise Sentence("Use either --baseline or --save-baseline, not both.")
    plans = _plans(_read(files), chosen, opts.typed_settings(options))
    printer = _printer(on_stderr="-" in (chosen.json_file, chosen.junit_file))
    with opts.file_errors():
        baseline = _baseline(chosen.baseline, [plan.scenario for plan in plans])
        pairs, received = asyncio.run(_play(plans, printer, chosen.jobs, fail_fast=chosen.fail_fast))
    if reports := chosen.reports:
        thresholds = opts.effective_settings().thresholds
        pairs = [(each, write_reports(result, reports, thresholds)) for each, result in pairs]
    printer.table([result for _, result in pairs])
    code = _hand_over(pairs, chosen, printer, baseline, received)
    opts.delete_old_sessions()
    sys.exit(code)


def _hand_over(
    pairs: Results, chosen: _Chosen, printer: RunPrinter, baseline: Baseline | None, received: int
) -> ExitCode:
    """Compares the results with the baseline and writes the requested files. Returns the exit code."""
    from tui.scenario import github
    from tui.scenario.as_json import in_json
    from tui.scenario.baseline import Change, save_baseline
    from tui.scenario.results import exit_code

    results = [result for _, result in pairs]
    refused = ""
    compared: list[FigureChange] = []
    try:
        compared = [each for pair in pairs for each in (baseline.compare(*pair) if baseline else ())]
        if chosen.save_baseline and not received:
            _write(str(chosen.save_baseline), save_baseline(chosen.save_baseline, pairs))
    except ValueError as error:
        # Raised at the end, so that the measurements are written in any case.
        refused = str(error)
    printer.comparisons(compared)
    worse = any(each.change is Change.WORSE for each in compared)
    code = ExitCode(128 + received) if received else exit_code(results, worse=worse)
    if chosen.json_file:
        _write(chosen.json_file, in_json(results, code, compared))
    if chosen.junit_file:
        from tui.scenario.junit import in_junit

        _write(chosen.junit_file, in_junit(pairs))
    if github.runs_here():
        for line in github.error_commands(pairs):
            printer.command(line)
        if summary := os.environ.get(github.SUMMARY_VARIABLE):
            github.write_summary(results, Path(summary))
    if refused and not received:
        raise Sentence(refused)
    return code


def _baseline(path: Path | None, scenarios: Sequence[Scenario]) -> Baseline | None:
    """Reads a baseline and checks that all scenarios can be compared with it. Raises `ValueError`, `OSError`."""
    from tui.scenario.baseline import Baseline

    if path is None:
        return None
    baseline = Baseline(path)
    for each in scenarios:
        baseline.check(each)
    return baseline


def _printer(*, on_stderr: bool) -> RunPrinter:
    from rich.console import Console

    from tui.scenario.printing import RunPrinter

    stream = sys.stderr if on_stderr else sys.stdout
    return RunPrinter(Console(file=stream, highlight=False, markup=False, emoji=False))


def _plans(scenarios: Sequence[Scenario], chosen: _Chosen, flags: dict[str, Any]) -> list[Planned]:
    """Returns the calls to make: the scenarios that have a chosen tag, each with its agent. Raises `Sentence`."""
    from tui.scenario.running import Planned

    tags = set(chosen.tags)
    tagged = [each for each in scenarios if not tags or tags & set(each.tags)]
    if not tagged:
        from tui.text.strict import did_you_mean

        known = sorted({tag for each in scenarios for tag in each.tags})
        raise Sentence(f"No scenario has the tag {chosen.tags[0]}{did_you_mean(chosen.tags[0], known)}")
    plans = []
    for each in tagged:
        target = opts.scenario_target(each, chosen.url, chosen.profile, flags)
        if chosen.reports and not target.save:
            raise Sentence("--report needs saved sessions: leave out --no-save.")
        plans.append(Planned(each, target, chosen.repeat or each.repeat))
    return plans


async def _play(
    plans: Sequence[Planned], printer: RunPrinter, jobs: int, *, fail_fast: bool
) -> tuple[Results, int]:
    """Makes all calls. Returns the results, and the signal that stopped the calls (0 for none)."""
    import asyncio

    from tui.scenario.running import Batch
    from tui.session.ending_signals import on_ending_signals

    total = sum(plan.repeat for plan in plans)
    jobs = min(jobs, total)
    batch = Batch(plans, fail_fast=fail_fast, show=printer.show)
    playing = asyncio.ensure_future(_hold_all(batch, [plan.scenario for plan in plans], jobs))
    with on_ending_signals(playing.cancel) as received, printer.progress(total, jobs):
        try:
            await playing
        except asyncio.CancelledError:
            if not received:
                raise
    return batch.results, received[0] if received else 0


async def _hold_all(batch: Batch, scenarios: Sequence[Scenario], jobs: int) -> None:
    import asyncio

    from tui.scenario.lines import lines_of
    from tui.scenario.running import hold_here
    from tui.scenario.workers import Workers
    from tui.speech.process import SpeechProcess

    chosen = opts.effective_settings().settings.speech
    choice = {"synthesizer": chosen.synthesizer or "", "model": chosen.model or ""}
    speech = click.get_current_context().with_resource(SpeechProcess(**choice))
    for each in scenarios:
        # Anything missing is reported before any call is made.
        await asyncio.to_thread(lines_of, each, speech.speak)
    if jobs == 1:
        await batch.play(partial(hold_here, speech=speech))
        return
    async with Workers(min(jobs, os.cpu_count() or 1), scenarios, **choice) as workers:
        await batch.play(workers.hold, jobs)


def write_reports(result: ScenarioResult, folder: Path, thresholds: Thresholds) -> ScenarioResult:
    """Writes a report for each saved session; returns the result with the reports' paths. Raises `Sentence`."""
    import msgspec

    from tui.files import write_to
    from tui.report.page import render
    from tui.saving.reading import open_session
    from tui.saving.record import SavedSessionError
    from tui.scenario.reading import SUFFIX

    runs = []
    for run in result.runs:
        if run.folder:
            path = folder / f"{Path(result.file).name.removesuffix(SUFFIX)}-{Path(run.folder).name}.html"
            try:
                folder.mkdir(parents=True, exist_ok=True)
                with open_session(Path(run.folder)) as saved:
                    write_to(path, render(saved, thresholds))
            except (OSError, SavedSessionError) as error:
                raise Sentence(f"Cannot write {path}: {error}.") from error
            runs.append(msgspec.structs.replace(run, report=str(path)))
        else:
            runs.append(run)
    return msgspec.structs.replace(result, runs=runs)


def _write(file: str, content: bytes) -> None:
    """Writes a result file. Raises `Sentence`."""
    from tui.files import path_of, write_to

    if file == "-":
        click.echo(content)
        return
    path = path_of(file)
    try:
        write_to(path, content)
    except OSError as error:
        raise Sentence(f"Cannot write to {path}: {error.strerror or error}.") from error


def _read(files: Sequence[Path]) -> list[Scenario]:
    with opts.file_errors():
        from tui.scenario.reading import find_scenarios, read_scenario

        return [read_scenario(path) for path in find_scenarios(files)]
