"""Calls controlled by code. Each kind of step is a method, which uses the same player as scenario files."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NoReturn

from tui.handlers.tools.file import Tool
from tui.models.target import Target
from tui.models.turns.metrics import SessionMetrics
from tui.saving.deleting import delete_sessions
from tui.scenario.holding import HeadlessCall, dial
from tui.scenario.lines import SpokenLine, lines_of
from tui.scenario.model import Say, Scenario, Step
from tui.scenario.player import Aids
from tui.scenario.reading import make_step
from tui.scenario.running import usual_speech
from tui.scenario.verdict import Case, StepVerdict
from tui.session.dialling import DiallingError, ProtocolNotDetected
from tui.text.visible import one_line


class StepFailed(AssertionError):
    """Raised when a step failed or the agent could not be called; the message is one sentence."""


class NotMeasured(Exception):
    """Raised when a step could not be judged; the message is one sentence."""


def _raise(reason: str) -> NoReturn:
    raise NotMeasured(reason)


class CallInCode:
    """A call that code controls step by step. Use it only on the event loop on which the call began.

    A step that fails raises `StepFailed`. A step that cannot be judged calls ``not_measured``, which must
    raise an exception. Durations are written as in scenario files: "600ms", "2s".
    """

    def __init__(
        self,
        call: HeadlessCall,
        steps: list[Step],
        lines: dict[str, SpokenLine],
        not_measured: Callable[[str], NoReturn],
    ) -> None:
        self._call = call
        self._steps = steps
        self._lines = lines
        self._not_measured = not_measured

    @property
    def metrics(self) -> SessionMetrics:
        """Figures of the call so far."""
        return self._call.session.state.metrics

    async def say(self, words: str, *, when: str = "") -> None:
        """Speaks a recorded line (by name or number), a WAV file or a sentence. Returns after the last word."""
        await self._act("say", words, when)

    async def press(self, keys: str, *, when: str = "") -> None:
        """Presses telephone keys."""
        await self._act("press", keys, when)

    async def type(self, text: str, *, when: str = "") -> None:
        """Sends text as a typed turn."""
        await self._act("type", text, when)

    async def mute(self, muted: bool | str, *, when: str = "") -> None:
        """Mutes (True) or unmutes (False) the caller. A string such as "2s" mutes the caller for that duration."""
        await self._act("mute", muted, when)

    async def hang_up(self, *, when: str = "") -> None:
        """Hangs up."""
        await self._act("hang_up", True, when)

    async def fault(self, kind: str, *, lasts: str, when: str = "", **strength: str | int) -> None:
        """Degrades the connection for the duration ``lasts``.

        ``kind`` is "drop", "stall", "delay" (with ``by``) or "reorder" (with ``share``).
        """
        table: dict[str, Any] = {"fault": kind, "for": lasts, **strength}
        await self._carry_out("fault", table | ({"when": when} if when else {}))

    async def silence(self, lasts: str) -> None:
        """Waits for the duration ``lasts``. The caller is silent in the meantime."""
        await self._carry_out("silence", {"silence": lasts})

    async def expects(
        self, sign: str, *, within: str = "10s", args: Mapping[str, Any] | None = None
    ) -> float | None:
        """Waits until the agent gives a sign, such as "agent speaks" or "tool book_table".

        Returns the waiting time in ms.
        """
        table: dict[str, Any] = {"expect": sign, "within": within}
        case = await self._carry_out("expect", table | ({"args": dict(args)} if args else {}))
        return case.measured_ms

    async def keeps(self, sign: str, *, lasts: str) -> None:
        """Checks that the agent keeps speaking or keeps silent for the duration ``lasts``.

        ``sign`` is "agent keeps speaking" or "agent keeps silent".
        """
        await self._carry_out("expect", {"expect": sign, "for": lasts})

    async def hears(self, words: str, *, wer: float = 0.2) -> None:
        """Checks the agent's words since the caller's last turn, as recognized from the agent's audio."""
        await self._carry_out("hear", {"hear": words, "wer": wer})

    async def _act(self, kind: str, value: object, when: str) -> None:
        await self._carry_out(kind, {kind: value} | ({"when": when} if when else {}))

    async def _carry_out(self, kind: str, table: dict[str, Any]) -> Case:
        file, line = _written_at()
        step = make_step(kind, table, file=file, line=line)
        if isinstance(step, Say):
            spoken = Scenario(name=step.say, steps=[step])
            self._lines.update(await asyncio.to_thread(lines_of, spoken, usual_speech().speak))
            self._call.session.pending.lines_left += 1
        self._steps.append(step)
        performance = self._call.performance
        await performance.carry_out()
        case = performance.cases[-1]
        sentence = one_line(f"{case.name}: {case.reason}")
        if late := performance.player.late:
            self._not_measured(late)
        if case.verdict is StepVerdict.NOT_MEASURED:
            self._not_measured(sentence)
        if case.verdict is StepVerdict.FAILED:
            raise StepFailed(f"{sentence} Session: {self._call.folder}" if self._call.folder else sentence)
        return case


def _written_at() -> tuple[str, int]:
    """Returns the file and line outside this module from which the step was requested."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    return (frame.f_code.co_filename, frame.f_lineno) if frame else ("", 0)


@asynccontextmanager
async def call_in_code(
    target: Target,
    *,
    tools: Sequence[Tool] = (),
    not_measured: Callable[[str], NoReturn] = _raise,
) -> AsyncIterator[CallInCode]:
    """Calls an agent for the duration of an ``async with`` block, then hangs up.

    A saved session is kept only if the block raised an exception.

    Raises `StepFailed` if the agent cannot be called or does not accept the call.
    """
    try:
        dialled = await dial(target)
    except (DiallingError, ProtocolNotDetected) as error:
        raise StepFailed(one_line(str(error))) from error
    steps: list[Step] = []
    lines: dict[str, SpokenLine] = {}
    scenario = Scenario(name="a call in code", steps=steps)
    call = HeadlessCall(scenario, dialled, aids=Aids(lines=lines, hear=usual_speech().hear))
    await call.prepare(tools)
    async with call.held() as active:
        if not active:
            fatal = call.session.state.fatal_error
            raise StepFailed(one_line(fatal.message) if fatal else "The agent did not accept the session.")
        await call.performance.begin()
        yield CallInCode(call, steps, lines, not_measured)
    if call.folder:
        await asyncio.to_thread(delete_sessions, [Path(call.folder)])
