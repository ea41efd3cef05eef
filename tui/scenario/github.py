"""Reports scenarios to GitHub Actions: a table on the run's page, and each failure at its line in the file.

Workflow commands and the summary follow GitHub's documentation, "Workflow commands for GitHub
Actions".
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tui.models.turns.turns import percentiles_of
from tui.scenario.model import Scenario
from tui.scenario.printing import placed, worst_turn
from tui.scenario.results import summarize
from tui.scenario.verdict import ScenarioResult, StepVerdict
from tui.text.numbers import milliseconds
from tui.text.visible import one_line

SUMMARY_VARIABLE = "GITHUB_STEP_SUMMARY"
_MOST_CHARS = 400
_MARKS = {StepVerdict.PASSED: "✅", StepVerdict.FAILED: "❌", StepVerdict.NOT_MEASURED: "⚠️"}
_HEADINGS = ("", "scenario", "pass rate", "p50", "p95", "worst turn", "failed first", "session")


def runs_here() -> bool:
    """Returns whether this process runs in a GitHub Actions job."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def error_commands(
    results: Sequence[tuple[Scenario, ScenarioResult]], environment: Mapping[str, str] = os.environ
) -> Iterator[str]:
    """Yields a workflow command for each failed case. GitHub shows the failure at the case's line in the file."""
    workspace = environment.get("GITHUB_WORKSPACE", "")
    for scenario, result in results:
        for case in summarize(scenario, result):
            if case.verdict is StepVerdict.FAILED:
                title = one_line(f"{result.name}: {case.name}", _MOST_CHARS)
                values = {
                    "file": _in_repository(case.file, workspace),
                    "line": str(case.line),
                    "title": title,
                }
                properties = ",".join(f"{name}={_escaped(value, ':,')}" for name, value in values.items())
                reason = one_line(case.reason or case.name, _MOST_CHARS)
                yield f"::error {properties}::{_escaped(reason)}"


def write_summary(results: Sequence[ScenarioResult], path: Path) -> None:
    """Appends the table of all scenarios to the job summary. Raises `OSError`."""
    with path.open("a", encoding="utf-8") as file:
        file.write(summary_table(results))


def summary_table(results: Sequence[ScenarioResult]) -> str:
    """Returns the table of all scenarios in Markdown."""
    rows = [_HEADINGS, ("---",) * len(_HEADINGS), *(tuple(map(_cell, _values(each))) for each in results)]
    lines = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"### Voice scenarios\n\n{lines}\n\n"


def _values(result: ScenarioResult) -> Iterator[str]:
    found, run, first = percentiles_of(result.response_ms), result.failed_run, result.failed_first
    yield _MARKS[result.verdict]
    yield result.name
    yield str(result.rate)
    yield milliseconds(found.p50_ms)
    yield milliseconds(found.p95_ms)
    yield worst_turn(result)
    yield placed(first) if first else ""
    yield Path(run.report or run.folder).name if run else ""


def _cell(value: str) -> str:
    """Returns a value as a table cell, escaped so that it contains no Markdown or HTML."""
    line = one_line(value, _MOST_CHARS)
    return "".join(f"&#{ord(char)};" if char in "&<>|`*_[]()!#~\\@:" else char for char in line)


def _escaped(text: str, more: str = "") -> str:
    return "".join(f"%{ord(char):02X}" if char in f"%\r\n{more}" else char for char in text)


def _in_repository(file: str, workspace: str) -> str:
    """Returns the path of a file relative to the repository's root, as GitHub requires."""
    path = Path(file).resolve()
    if workspace and path.is_relative_to(Path(workspace).resolve()):
        return path.relative_to(Path(workspace).resolve()).as_posix()
    return file
