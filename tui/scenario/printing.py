"""Prints scenarios to a terminal or a CI log: the progress, each run, and a table of all scenarios."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

from tui.models.turns.turns import percentiles_of
from tui.scenario.baseline import Change, FigureChange
from tui.scenario.running import Planned
from tui.scenario.verdict import Case, RunResult, ScenarioResult, StepVerdict
from tui.text.numbers import clock, counted, milliseconds
from tui.text.visible import one_line

_STYLES = {StepVerdict.PASSED: "green", StepVerdict.FAILED: "bold red", StepVerdict.NOT_MEASURED: "yellow"}
_MOST_CHARS = 400
_WIDTH = max(map(len, StepVerdict))


def placed(case: Case) -> str:
    """Returns a one-line description of a case: file, line number, name, and the reason for the verdict."""
    place = f"{Path(case.file).name}:{case.line}  " if case.file else ""
    reason = f": {case.reason}" if case.reason else ""
    return one_line(f"{place}{case.name}{reason}", _MOST_CHARS)


def worst_turn(result: ScenarioResult) -> str:
    """Returns the longest response time and the number of its turn; a dash if none was measured."""
    slowest = result.slowest
    if slowest is None:
        return "–"
    run = f"run {slowest.number}, " if len(result.runs) > 1 else ""
    return f"{milliseconds(max(slowest.response_ms))} ({run}turn {slowest.slowest_turn})"


class RunPrinter:
    """Prints to a console. Text from the agent and from files is never interpreted as markup."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress: Progress | None = None
        self._failed = 0
        self._total = 0
        self._began_s = time.monotonic()

    @contextmanager
    def progress(self, total: int, jobs: int) -> Iterator[None]:
        """Shows the progress of ``total`` runs, if the output is a terminal."""
        self._total = total
        calls = f", {jobs} at a time" if jobs > 1 else ""
        with Progress(
            SpinnerColumn(),
            MofNCompleteColumn(),
            TextColumn(f"runs{calls}"),
            BarColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[failed]}", style="red"),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        ) as self._progress:
            self._progress.add_task("", total=total, failed="")
            yield

    def show(self, plan: Planned, run: RunResult) -> None:
        """Prints a completed run: one line, and the cases that did not pass.

        If the plan has only one run, prints every step.
        """
        number = f" ({run.number}/{plan.repeat})" if plan.repeat > 1 else ""
        self._line(run.verdict, one_line(f"{plan.scenario.name}{number}"))
        if trouble := run.unreachable or run.late or run.not_applicable:
            self._plain(f"  {one_line(trouble, _MOST_CHARS)}")
        for case in run.cases:
            if self._total == 1 or case.verdict in (StepVerdict.FAILED, StepVerdict.NOT_MEASURED):
                self._line(case.verdict, placed(case), indent=2)
        self._failed += run.verdict is StepVerdict.FAILED
        if self._progress is not None:
            failed = f"{self._failed} failed" if self._failed else ""
            self._progress.update(self._progress.task_ids[0], advance=1, failed=failed)

    def table(self, results: Sequence[ScenarioResult]) -> None:
        """Prints a table of all scenarios, then each scenario's first failure and session folder."""
        if not results:
            self._plain("No run has finished.")
            return
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        table.add_column("scenario", overflow="fold", ratio=1)
        table.add_column("pass rate", overflow="fold")
        for heading in ("p50", "p95"):
            table.add_column(heading, justify="right", no_wrap=True)
        table.add_column("worst turn", overflow="fold")
        for result in results:
            found = percentiles_of(result.response_ms)
            table.add_row(
                Text(one_line(result.name), style=_STYLES[result.verdict]),
                str(result.rate),
                milliseconds(found.p50_ms),
                milliseconds(found.p95_ms),
                worst_turn(result),
            )
        self._console.print()
        self._console.print(table)
        for result in results:
            self._trouble(result)
        self._summary(results)

    def _trouble(self, result: ScenarioResult) -> None:
        found = result.failed_first
        if found is None:
            return
        run = result.failed_run
        number = f" (run {run.number})" if run and len(result.runs) > 1 else ""
        self._console.print()
        self._plain(f"{one_line(result.name)}{number}")
        self._line(found.verdict, placed(found), indent=2)
        if run and run.folder:
            self._plain(f"  {'session':{_WIDTH}}  {run.folder}")
        if run and run.report:
            self._plain(f"  {'report':{_WIDTH}}  {run.report}")

    def _summary(self, results: Sequence[ScenarioResult]) -> None:
        verdicts = [result.verdict for result in results]
        counts = ", ".join(f"{count:,} {each}" for each in StepVerdict if (count := verdicts.count(each)))
        all_runs = [run for result in results for run in result.runs]
        runs = counted(len(all_runs), "run")
        if unjudged := sum(run.verdict is StepVerdict.NOT_MEASURED for run in all_runs):
            runs += f", of which {unjudged:,} could not be judged,"
        took = clock(time.monotonic() - self._began_s)
        self._console.print()
        self._plain(f"{counted(len(results), 'scenario')}: {counts}; {runs} in {took}")

    def comparisons(self, compared: Sequence[FigureChange]) -> None:
        """Prints each figure with its baseline, grouped by scenario."""
        styles = {Change.WORSE: "bold red", Change.BETTER: "green"}
        width = max(map(len, Change))
        scenario = ""
        for each in compared:
            if each.scenario != scenario:
                scenario = each.scenario
                self._console.print()
                self._plain(one_line(f"{scenario}, compared with the baseline"))
            label = Text(f"  {each.change:{width}}", style=styles.get(each.change, "dim"))
            text = one_line(f"  {each.figure}: {each.reason}", _MOST_CHARS)
            self._console.print(label.append(text, style="default"), soft_wrap=True, highlight=False)

    def command(self, line: str) -> None:
        """Prints a command for the CI system without wrapping or markup."""
        self._plain(line)

    def _line(self, verdict: StepVerdict, text: str, *, indent: int = 0) -> None:
        label = Text(f"{'':{indent}}{verdict:{_WIDTH}}", style=_STYLES.get(verdict, "dim"))
        self._console.print(label.append(f"  {text}", style="default"), soft_wrap=True, highlight=False)

    def _plain(self, text: str) -> None:
        # Never wrapped: a CI system reads commands at the beginning of a line.
        self._console.print(Text(text), soft_wrap=True, highlight=False)
