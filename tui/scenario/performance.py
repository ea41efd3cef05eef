"""Performance: a scenario in one call, step after step, with its verdicts. It can be taken over by hand.

The same performance is held without a screen (`tui.scenario.holding`) and in the engine, beside the user.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from tui.models import events as e
from tui.scenario.model import Expect, Scenario
from tui.scenario.player import NO_AIDS, Aids, Player, StepOutcome
from tui.scenario.seen import Seen
from tui.scenario.values import SignKind
from tui.scenario.verdict import Case, StepVerdict
from tui.session.listening import Limits, Listening
from tui.session.live import LiveSession
from tui.units import NS_PER_MS


class Performance:
    """Plays a scenario in one session and judges it. On the session's loop; several may play in one loop.

    `take` has to receive every event of the session, which `follow` names before it begins. ``note`` receives a
    sentence when a limit, rather than the agent, ended the agent's turn.
    """

    def __init__(
        self,
        scenario: Scenario,
        limits: Limits,
        *,
        aids: Aids = NO_AIDS,
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.scenario = scenario
        self.listening = Listening(limits, note)
        self.cases: list[Case] = []
        self.cut_short = False
        """Whether the call was over before the last step was."""
        self._began_ns = 0
        """When the current step began."""
        self._seen = Seen(time.monotonic_ns, keeps_messages=_reads_messages(scenario))
        self._aids = aids
        self._session: LiveSession
        self.player: Player

    def take(self, event: e.SessionEvent) -> None:
        """Note an event of the session."""
        self.listening.take(event)
        self._seen.take(event)

    def follow(self, session: LiveSession) -> None:
        """Play in this session, which has not begun."""
        self._session = session
        self.listening.follow(session.state, session.pending)
        self._seen.follow(session)
        self.player = Player(
            self.scenario, session, seen=self._seen, listening=self.listening, aids=self._aids
        )

    async def play(self, *, open_line: bool = True) -> None:
        """Carry out the steps in the active call. Returns when all were, or the call is over.

        ``open_line``: silence flows to the agent from the start, and not only from the first line on.
        """
        await self.begin(open_line=open_line)
        stopped = ""
        try:
            async with asyncio.timeout(self.scenario.timeout / 1_000):
                await self.player.greeting()
                while not stopped and len(self.cases) < len(self.scenario.steps):
                    stopped = await self.carry_out()
        except TimeoutError:
            stopped = f"the scenario's timeout of {self.scenario.timeout} was reached"
            if len(self.cases) < len(self.scenario.steps):
                reason = f"{stopped[0].upper()}{stopped[1:]}."
                self._close_case(StepOutcome(StepVerdict.FAILED, self.player.now_ns(), reason))
        self.cut_short = self.listening.over
        for _ in self.scenario.steps[len(self.cases) :]:
            self._begin_case()
            reason = f"Not reached: {stopped}."
            self._close_case(StepOutcome(StepVerdict.NOT_MEASURED, self._began_ns, reason))

    async def begin(self, *, open_line: bool = True) -> None:
        """Begin in the active call, before the first step; `play` does."""
        self.player.begin()
        if open_line:
            await self._session.user.open_line()

    async def carry_out(self) -> str:
        """Carry out the next step; returns why no other can follow, empty if one can."""
        step = self.scenario.steps[len(self.cases)]
        self._begin_case()
        outcome = await self.player.carry_out(len(self.cases))
        self._close_case(outcome)
        failed = outcome.verdict is not StepVerdict.PASSED and getattr(step, "stop", False)
        return f"step {len(self.cases)} {outcome.verdict}, and it has stop = true" if failed else ""

    def _begin_case(self) -> None:
        """Emit that the next step begins."""
        self._began_ns, number = self.player.now_ns(), len(self.cases) + 1
        step = self.scenario.steps[number - 1]
        self._session.journal.emit(
            e.StepChanged(at_ns=self._began_ns, step=number, text=step.title, place=step.place)
        )

    def _close_case(self, outcome: StepOutcome) -> None:
        step, journal = self.scenario.steps[len(self.cases)], self._session.journal
        # Commands and agents may repeat the secrets of the call.
        reason = journal.redactor.text(outcome.reason)
        started_ns = self._session.state.metrics.started_ns
        self.cases.append(
            Case(
                name=step.title,
                verdict=outcome.verdict,
                reason=reason,
                file=step.file,
                line=step.line,
                measured_ms=outcome.measured_ms,
                began_ms=None if started_ns is None else (self._began_ns - started_ns) / NS_PER_MS,
            )
        )
        journal.emit(
            e.StepChanged(
                at_ns=self.player.now_ns(),
                step=len(self.cases),
                text=step.title,
                place=step.place,
                verdict=outcome.verdict,
                reason=reason,
            )
        )


def _reads_messages(scenario: Scenario) -> bool:
    if not scenario.steps:
        return True  # they come one by one, from code
    signs = [step.expect for step in scenario.steps if isinstance(step, Expect)]
    signs += [when.sign for step in scenario.steps if (when := getattr(step, "when", None)) and when.sign]
    return any(sign.kind is SignKind.MESSAGE for sign in signs)
