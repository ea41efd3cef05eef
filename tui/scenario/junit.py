"""Writes results of scenarios as JUnit XML: one suite per scenario, one case per step and limit."""

from __future__ import annotations

from collections.abc import Sequence

from junitparser import Attr, Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from tui.scenario.model import Scenario
from tui.scenario.results import summarize
from tui.scenario.verdict import UNREACHABLE, Case, ScenarioResult, StepVerdict
from tui.text.visible import one_line

_MS_PER_S = 1_000


class PlacedCase(TestCase):  # type: ignore[misc, unused-ignore]  # the library has no types in some versions
    """A test case with its file and line, in the attributes that pytest uses."""

    file = Attr()
    line = Attr()


def in_junit(results: Sequence[tuple[Scenario, ScenarioResult]]) -> bytes:
    """Returns the results as JUnit XML, in UTF-8.

    The time of a case is the longest time measured for it, in seconds. A case counts as failed only if its
    scenario failed. Failures that the pass rate allows appear in the case's output.
    """
    document = JUnitXml("opusagent-tui")
    for scenario, result in results:
        suite = TestSuite(one_line(result.name))
        suite.add_property("file", result.file)
        if result.protocol:
            suite.add_property("protocol", result.protocol)
        suite.add_property("pass rate", str(result.rate))
        for number, case in enumerate(summarize(scenario, result)):
            suite.add_testcase(_case(number, case, result))
        document.add_testsuite(suite)
    document.update_statistics()
    content: bytes = document.tostring()
    return b'<?xml version="1.0" encoding="utf-8"?>\n' + content


def _case(number: int, summary: Case, result: ScenarioResult) -> TestCase:
    case = PlacedCase(f"{number}. {one_line(summary.name)}", classname=one_line(result.name))
    case.time = (summary.measured_ms or 0.0) / _MS_PER_S
    if summary.file:
        case.file, case.line = summary.file, str(summary.line)
    reason = one_line(summary.reason)
    match summary.verdict:
        case StepVerdict.FAILED if summary.code == UNREACHABLE:
            case.result = [Error(reason, "unreachable")]
        case StepVerdict.FAILED:
            case.result = [Failure(reason, "failed")]
        case StepVerdict.NOT_MEASURED:
            case.result = [Skipped(reason, "not measured")]
        case _ if reason:
            case.system_out = reason
    return case
