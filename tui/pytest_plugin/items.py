"""Scenario files as tests: each step and each limit is a test. The first test makes the calls."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from tui.config.reading import read_settings
from tui.config.targets import make_target
from tui.models.target import Target, TargetError
from tui.pytest_plugin import DIST
from tui.scenario.model import Scenario
from tui.scenario.reading import ScenarioError, read_scenario
from tui.scenario.results import judged, planned_cases, planned_limits, rate_title, summarize
from tui.scenario.running import Batch, Planned, hold_here
from tui.scenario.verdict import THE_CALL, Case, ScenarioResult, StepVerdict
from tui.text.strict import SettingsError
from tui.text.visible import one_line

_WHOLE_FILES = ("no", "loadgroup", "loadfile", "loadscope", "each")
"""Distribution modes of pytest-xdist that keep all tests of a file on one worker."""
_SLACK_S = 60.0
"""Time in seconds that a call may take in addition to its steps."""


class CaseFailed(Exception):
    """Raised if a step or a limit failed. The message is the failure report."""


def target_for(config: pytest.Config, agent: str, settings: dict[str, Any]) -> Target:
    """Returns the agent to call: ``agent``, unless the command line names another agent.

    Raises `pytest.UsageError`.
    """
    chosen = {name: config.getoption(f"call_{name}") for name in ("url", "profile", "protocol")}
    ini = {name: str(config.getini(f"call_{name}")) for name in chosen}
    name = chosen["url"] or chosen["profile"] or agent or ini["url"] or ini["profile"]
    if not name:
        raise pytest.UsageError(
            "no agent to call. Specify one with --call-url or --call-profile, or with call_url or call_profile in "
            "pytest's settings, or as [target] in the scenario file."
        )
    protocol = chosen["protocol"] or settings.get("protocol") or ini["protocol"]
    flags = {**settings, **({"protocol": protocol} if protocol else {})}
    try:
        return make_target(name, read_settings(), flags)
    except (SettingsError, TargetError) as error:
        raise pytest.UsageError(one_line(str(error))) from error


class ScenarioFile(pytest.File):
    """A scenario file. The calls are made once, when the first result is requested."""

    def collect(self) -> Iterator[pytest.Item]:
        """Yields a test per step and limit, or a single test if pytest-xdist might distribute the file's tests."""
        try:
            scenario = self.scenario
        except ScenarioError as error:
            raise self.CollectError(one_line(str(error), 500)) from error
        has = self.config.pluginmanager.hasplugin
        if has("xdist"):
            self.add_marker(pytest.mark.xdist_group(self.nodeid))
        if has("timeout"):
            self.add_marker(pytest.mark.timeout(scenario.repeat * (scenario.timeout / 1_000 + _SLACK_S)))
        if getattr(self.config, "workerinput", {}).get(DIST, "no") not in _WHOLE_FILES:
            yield CaseItem.from_parent(self, name=THE_CALL, line=1, indices=None)
            return
        cases = [(case.name, case.line) for case in (*planned_cases(scenario), *planned_limits(scenario))]
        if scenario.repeat > 1:
            cases.append((rate_title(scenario.pass_rate), 1))
        for index, (name, line) in enumerate(cases):
            # The name is in brackets, because pytest does not treat a dot within brackets as a separator.
            title = f"{index}[{name}]".replace("::", ":")
            yield CaseItem.from_parent(self, name=title, line=line, indices=[index])

    @cached_property
    def scenario(self) -> Scenario:
        """The parsed file. Raises `ScenarioError`."""
        return read_scenario(self.path)

    @cached_property
    def result(self) -> ScenarioResult | str:
        """The result of all calls, or a sentence that explains why there is none.

        The first access makes the calls.
        """
        aim = self.scenario.target
        try:
            settings = {"protocol": aim.protocol} if aim.protocol else {}
            target = target_for(self.config, aim.url or aim.profile, settings)
            batch = Batch([Planned(self.scenario, target, self.scenario.repeat)])
            asyncio.run(batch.play(hold_here))
        except (ValueError, pytest.UsageError) as error:
            return one_line(str(error), 500)
        return next((result for _, result in batch.results), judged(self.scenario, []))

    @cached_property
    def summaries(self) -> list[Case]:
        """The steps and limits with their results over all calls, in the order of the tests.

        Raises `CaseFailed` if the agent could not be called.
        """
        if isinstance(self.result, str):
            raise CaseFailed(self.result)
        return summarize(self.scenario, self.result)

    @property
    def folders(self) -> list[str]:
        """Folders of the sessions that were kept."""
        return [] if isinstance(self.result, str) else [run.folder for run in self.result.runs if run.folder]


class CaseItem(pytest.Item):
    """The test for a step, for a limit, or for all steps and limits of a file."""

    parent: ScenarioFile

    def __init__(self, *, line: int, indices: Sequence[int] | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._line = line
        self._indices = indices
        # Allows -k to match the tags of a scenario.
        self.extra_keyword_matches.update(self.parent.scenario.tags)

    def runtest(self) -> None:
        """Checks the result of the step or limit.

        Raises `CaseFailed`; skips the test if the result was not measured.
        """
        summaries = self.parent.summaries
        own = summaries if self._indices is None else [summaries[index] for index in self._indices]
        failed = [case for case in own if case.verdict is StepVerdict.FAILED]
        unmeasured = [case for case in own if case.verdict is StepVerdict.NOT_MEASURED]
        if failed:
            sessions = [f"session: {folder}" for folder in self.parent.folders[:3]]
            raise CaseFailed("\n".join([*map(_described, failed), *sessions]))
        if unmeasured:
            pytest.skip(f"not measured: {one_line(unmeasured[0].reason)}")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Returns a description of the failure without this program's traceback."""
        if isinstance(excinfo.value, CaseFailed):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Returns the location of the step in its file."""
        return self.path, max(self._line - 1, 0), self.name


def _described(case: Case) -> str:
    place = f"{case.file}:{case.line}: " if case.file else ""
    return one_line(f"{place}{case.name}: {case.reason}")
