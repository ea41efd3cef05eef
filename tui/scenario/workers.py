"""Workers: processes that make calls, because one event loop is too slow for many calls.

A worker reads one `CallOrder` as JSON per line from standard input, and writes one `CallOutcome` per line to
standard output. A worker reads the scenario files itself. At the end of its input, a worker hangs up and
exits.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import msgspec

from tui.callbacks import spawn
from tui.child import child_command
from tui.models.target import Target
from tui.scenario.model import Scenario
from tui.scenario.reading import ScenarioError
from tui.scenario.verdict import RunResult

MOST_BYTES = 1 << 24
"""Longest line between a worker and its parent, in bytes."""
_START_S = 60.0
_GOODBYE_S = 5.0
"""Time limit in seconds for a worker to hang up its calls."""
_ENDED = "The process that made this call ended."


class CallOrder(msgspec.Struct, frozen=True):
    """An order to a worker to make a call.

    Without a target, the worker only prepares for the calls of a scenario.
    """

    number: int
    path: str
    target: Target | None = None


class CallOutcome(msgspec.Struct, frozen=True):
    """The answer of a worker to a `CallOrder`."""

    number: int
    run: RunResult | None = None
    refused: str = ""
    """Reason why the scenario cannot be played at all; empty if it can."""


class _Worker:
    """A worker process, which its parent controls through this object."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._answers: dict[int, asyncio.Future[CallOutcome]] = {}
        self._number = 0
        self._reading = spawn(self._read(), "scenario worker")

    @classmethod
    async def start(cls, synthesizer: str, model: str) -> Self:
        return cls(
            await asyncio.create_subprocess_exec(
                *child_command("tui.scenario.worker", synthesizer, model),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                # With a new session, Ctrl+C reaches only the parent, which lets the calls end on the wire.
                start_new_session=True,
                limit=MOST_BYTES,
            )
        )

    @property
    def calls(self) -> int:
        """Number of calls in progress."""
        return len(self._answers)

    async def ask(self, path: str, target: Target | None = None) -> CallOutcome:
        """Sends an order and returns the answer. Raises `ScenarioError` if the scenario cannot be played.

        The answer contains no run if the process has ended.
        """
        self._number += 1
        number = self._number
        if self._reading.done():
            return CallOutcome(number)
        answer: asyncio.Future[CallOutcome] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(msgspec.json.encode(CallOrder(number, path, target)) + b"\n")
            outcome = await answer
        finally:
            del self._answers[number]
        if outcome.refused:
            raise ScenarioError(outcome.refused)
        return outcome

    async def _read(self) -> None:
        assert self._process.stdout is not None
        try:
            async for line in self._process.stdout:
                outcome = msgspec.json.decode(line, type=CallOutcome)
                answer = self._answers.get(outcome.number)
                if answer is not None and not answer.done():
                    answer.set_result(outcome)
        finally:
            for number, answer in self._answers.items():
                if not answer.done():
                    answer.set_result(CallOutcome(number))

    async def stop(self) -> None:
        """Closes the input of the process, which then hangs up and exits; kills it if it does not."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(_GOODBYE_S):
                await self._process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        await self._reading


class Workers:
    """Processes that make calls. ``async with`` starts and stops them.

    ``synthesizer`` and ``model`` have the same meaning as in `SpeechProcess`. Entering the block raises
    `ScenarioError` if a scenario cannot be played.
    """

    def __init__(
        self, count: int, scenarios: Sequence[Scenario], *, synthesizer: str = "", model: str = ""
    ) -> None:
        self._speech = (synthesizer, model)
        self._count = count
        self._paths = [str(scenario.path) for scenario in scenarios]
        self._workers: list[_Worker] = []

    async def __aenter__(self) -> Self:
        try:
            self._workers = [await _Worker.start(*self._speech) for _ in range(self._count)]
            # Slow preparations happen before the calls, because a process that is busy with them cannot pace the
            # audio of a call.
            async with asyncio.timeout(_START_S):
                await asyncio.gather(
                    *(worker.ask(path) for worker in self._workers for path in dict.fromkeys(self._paths))
                )
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    async def _stop(self) -> None:
        await asyncio.gather(*(worker.stop() for worker in self._workers))

    async def hold(self, scenario: Scenario, target: Target) -> RunResult:
        """Makes a call in the worker that has the fewest calls in progress. Raises `ScenarioError`."""
        worker = min(self._workers, key=lambda each: each.calls)
        outcome = await worker.ask(str(scenario.path), target)
        return outcome.run or RunResult(late=_ENDED)
