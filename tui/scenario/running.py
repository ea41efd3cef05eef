"""Runs scenarios, each as many times as requested, and several at the same time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cache

import msgspec

from tui.handlers.tools.file import load_tools
from tui.models.target import Target
from tui.scenario.holding import hold
from tui.scenario.lines import lines_of
from tui.scenario.model import Scenario
from tui.scenario.player import Aids
from tui.scenario.results import judged
from tui.scenario.verdict import RunResult, ScenarioResult
from tui.speech.process import SpeechProcess

Hold = Callable[[Scenario, Target], Awaitable[RunResult]]
"""Makes one call. Raises `ValueError` if the scenario cannot be played at all."""

_APART_S = 0.25
"""Seconds between the starts of the first calls, because setting up or ending a call blocks all others for 20 ms."""


class Planned(msgspec.Struct, frozen=True):
    """A scenario, the agent that it calls, and the number of its runs."""

    scenario: Scenario
    target: Target
    repeat: int = 1


@cache
def usual_speech() -> SpeechProcess:
    """Returns the default voice and recognizer of this process."""
    return SpeechProcess()


async def hold_here(scenario: Scenario, target: Target, speech: SpeechProcess | None = None) -> RunResult:
    """Makes a call in this process, with the spoken lines, tools and recognizer that its steps need.

    Raises `ValueError`.
    """
    speech = speech or usual_speech()

    async def may_run(command: str) -> bool:
        return True

    lines = await asyncio.to_thread(lines_of, scenario, speech.speak)
    tools = load_tools(target.tools) if target.tools else []
    aids = Aids(lines=lines, may_run=may_run, hear=speech.hear)
    return await hold(scenario, target, aids=aids, tools=tools)


class _FailedForSure(Exception):
    """A scenario has failed, and its remaining runs cannot change that."""


@dataclass(eq=False, repr=False)
class Batch:
    """All runs of several scenarios. Runs on one event loop. ``show`` receives each completed run.

    With ``fail_fast``, all runs end as soon as one scenario can no longer pass.
    """

    plans: Sequence[Planned]
    _: KW_ONLY
    fail_fast: bool = False
    show: Callable[[Planned, RunResult], object] = lambda plan, run: None

    def __post_init__(self) -> None:
        self._runs: list[list[RunResult]] = [[] for _ in self.plans]
        self._waiting = deque(
            (index, number) for index, plan in enumerate(self.plans) for number in range(1, plan.repeat + 1)
        )

    async def play(self, hold: Hold = hold_here, jobs: int = 1) -> None:
        """Makes all calls, ``jobs`` of them at a time. Hangs up the calls in progress if the task is cancelled.

        Raises `ValueError` for a scenario that cannot be played at all.
        """
        calls = [
            asyncio.ensure_future(self._hold_waiting(hold, after_s=_APART_S * job)) for job in range(jobs)
        ]
        try:
            await asyncio.gather(*calls)
        except _FailedForSure:
            pass
        finally:
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)

    async def _hold_waiting(self, hold: Hold, *, after_s: float) -> None:
        await asyncio.sleep(after_s)
        while self._waiting:
            index, number = self._waiting.popleft()
            plan, runs = self.plans[index], self._runs[index]
            run = msgspec.structs.replace(await hold(plan.scenario, plan.target), number=number)
            runs.append(run)
            self.show(plan, run)
            if run.not_applicable:
                # The protocol is the same in every run, so none of the other runs would make a call either.
                self._waiting = deque(each for each in self._waiting if each[0] != index)
            if self.fail_fast and _cannot_pass(plan, runs):
                raise _FailedForSure

    @property
    def results(self) -> list[tuple[Scenario, ScenarioResult]]:
        """The results so far of all scenarios that have a completed run."""
        return [
            (plan.scenario, judged(plan.scenario, sorted(runs, key=lambda run: run.number)))
            for plan, runs in zip(self.plans, self._runs, strict=True)
            if runs
        ]


def _cannot_pass(plan: Planned, runs: Sequence[RunResult]) -> bool:
    """Returns whether the scenario misses its pass rate even if all remaining runs pass."""
    rate, left = judged(plan.scenario, runs).rate, plan.repeat - len(runs)
    return rate.passed + left < plan.scenario.pass_rate * (rate.judged + left)
