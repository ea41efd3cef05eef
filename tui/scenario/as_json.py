"""Writes the results of scenarios as one JSON object, for other programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tui import __version__
from tui.exit_code import ExitCode
from tui.models.turns.turns import percentiles_of
from tui.scenario.verdict import Case, RunResult, ScenarioResult
from tui.text.json_text import json_of


def in_json(results: Sequence[ScenarioResult], code: ExitCode, compared: Sequence[Any] = ()) -> bytes:
    """Returns the results as JSON. ``compared`` contains the comparisons of figures with a baseline."""
    return json_of(
        {
            "program": f"opusagent-tui {__version__}",
            "exit_code": int(code),
            "reason": code.reason,
            "scenarios": [_scenario(result) for result in results],
            "baseline": msgspec.to_builtins(compared),
        }
    )


def _scenario(result: ScenarioResult) -> dict[str, Any]:
    rate, found, slowest = result.rate, percentiles_of(result.response_ms), result.slowest
    low, high = rate.interval
    return {
        "name": result.name,
        "file": result.file,
        "protocol": result.protocol,
        "verdict": result.verdict,
        "pass_rate": {
            "passed": rate.passed,
            "judged": rate.judged,
            "runs": len(result.runs),
            "share": rate.share,
            "low": low,
            "high": high,
            "least": result.least_rate,
        },
        "response": {
            "count": found.count,
            "p50_ms": found.p50_ms,
            "p95_ms": found.p95_ms,
            "worst_ms": found.worst_ms,
            "worst_run": slowest.number if slowest else None,
            "worst_turn": slowest.slowest_turn if slowest else None,
        },
        "limits": [_case(case) for case in result.limits],
        "runs": [_run(run) for run in result.runs],
    }


def _run(run: RunResult) -> dict[str, Any]:
    return {
        "number": run.number,
        "verdict": run.verdict,
        "unreachable": run.unreachable,
        "late": run.late,
        "not_applicable": run.not_applicable,
        "session": run.folder,
        "report": run.report,
        "response_ms": run.response_ms,
        "cases": [_case(case) for case in run.cases],
    }


def _case(case: Case) -> dict[str, Any]:
    return dict(msgspec.structs.asdict(case))
