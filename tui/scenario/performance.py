"""Performance: plays a scenario in one call, step by step, and collects verdicts. The user can take over the call.

Headless calls (`tui.scenario.holding`) and the engine use a `Performance`. A user is present only in the
engine.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass

import msgspec

from tui.callbacks import Registration, spawn
from tui.models import events as e
from tui.models.target import Target
from tui.models.turns.metrics import SessionMetrics
from tui.scenario.caller_sound import CallerSound
from tui.scenario.limits import judge_call
from tui.scenario.model import EndCall, Expect, Hear, Scenario
from tui.scenario.player import NO_AIDS, Aids, Player, StepOutcome
from tui.scenario.results import case_of
from tui.scenario.seen import Seen
from tui.scenario.values import SignKind
from tui.scenario.verdict import THE_CALL, Case, RunResult, StepVerdict
from tui.scenario.words import AgentWords
from tui.session.listening import Limits, Listening
from tui.session.live import LiveSession
from tui.text.visible import one_line
from tui.units import NS_PER_MS

_MOST_SENDING_MS = 200.0
"""Longest acceptable gap in the caller's audio; an agent may mistake a longer one for the end of a turn."""
_LOOK_S = 0.05
"""Interval in seconds at which a wait checks its condition."""


@dataclass(eq=False, repr=False)
class Performance:
    """Plays a scenario in one session and judges it. Runs on the session's loop, which can run several performances.

    After `follow` is called, pass every event of the session to `take`. ``note`` receives a sentence when a
    time limit, rather than the agent, ends the agent's turn.
    """

    scenario: Scenario
    limits: Limits
    _: KW_ONLY
    aids: Aids = NO_AIDS
    note: Callable[[str], None] = lambda _: None

    def __post_init__(self) -> None:
        self.listening = Listening(self.limits, self.note)
        self.cases: list[Case] = []
        self.cut_short = False
        """Whether the call ended before the last step was done."""
        self.by_hand = False
        """Whether the user has taken over the call."""
        self._began_ns = 0
        """Time at which the current step began."""
        self.words = AgentWords(self.aids.hear)
        """A sink for the agent's audio; needed if `judges_words`."""
        self._seen = Seen(time.monotonic_ns, keeps_messages=reads_messages(self.scenario))
        self._work: asyncio.Future[StepOutcome] | None = None
        """The step that is being carried out."""
        self._session: LiveSession
        self.player: Player

    def take(self, event: e.SessionEvent) -> None:
        """Passes an event of the session to the player's observers."""
        self.listening.take(event)
        self._seen.take(event)

    def follow(self, session: LiveSession) -> None:
        """Sets the session in which the scenario will be played."""
        self._session = session
        self.listening.follow(session.state, session.pending)
        self._seen.follow(session)
        if self.judges_words:
            session.audio.playback.add_track(self.words)
        self.player = Player(
            self.scenario, session, seen=self._seen, listening=self.listening, aids=self.aids
        )

    async def prepare_sound(self) -> Registration | None:
        """Adds the caller's noise and line effects to the session.

        Returns a handle that removes the effects; None if the caller has none. Creating the noise may take a
        third of a second. Raises `ScenarioError`.
        """
        caller, session = self.scenario.caller, self._session
        if not (caller.noise or caller.line):
            return None
        if caller.line:
            session.faults.jitter(caller.line.jitter.ns, caller.line.seed)
        capture = session.audio.capture
        sound = await asyncio.to_thread(CallerSound, self.scenario, lambda: capture.format.rate)
        return capture.chain.add_callback(sound)

    async def accepted(self, target: Target) -> bool:
        """Waits until the agent has accepted the call; returns False if it does not accept in time."""
        limit_s = target.connect_timeout_s + target.accept_timeout_s
        return await self.listening.until(lambda: self._session.state.status is e.Status.ACTIVE, limit_s)

    async def play(self, *, open_line: bool = True, since_ns: int | None = None) -> None:
        """Carries out the steps in the active call. Returns when all steps are done or the call is over.

        With ``open_line``, silence is sent to the agent from the start; otherwise nothing is sent before the
        first line. ``since_ns`` is the time at which the scenario begins; the default is the start of the
        call.
        """
        await self.begin(open_line=open_line, since_ns=since_ns)
        stopped = ""
        try:
            async with asyncio.timeout(self.scenario.timeout / 1_000) as limit:
                if since_ns is None:
                    await self.player.greeting()
                while not stopped and len(self.cases) < len(self.scenario.steps):
                    stopped = await self._until_given_back(limit) or await self.carry_out(words_later=True)
        except TimeoutError:
            stopped = f"the scenario's timeout of {self.scenario.timeout} was reached"
            if len(self.cases) < len(self.scenario.steps):
                reason = f"{stopped[0].upper()}{stopped[1:]}."
                self._close_case(StepOutcome(StepVerdict.FAILED, self.player.now_ns(), reason))
        self.cut_short = self.listening.over
        self._leave_out(stopped)

    async def judge_words(self) -> None:
        """Judges the agent's words that no step has judged yet. The call may already be over."""
        async with self.words.judging:
            while self.words.unjudged:
                index, (step, excerpt) = next(iter(self.words.unjudged.items()))
                outcome = await self.words.judge(step, excerpt)
                if self.words.unjudged.pop(index, None):  # not if the call was closed in the meantime
                    self._settle_case(index, *outcome)

    def judge(self) -> None:
        """Emits the verdicts on the limits and on the whole scenario. Call it when the call is over."""
        if self._session.state.metrics.started_ns is None or not self.scenario.steps:
            return
        self._leave_out("the call had ended")
        while self.words.unjudged:
            index, _ = self.words.unjudged.popitem()
            reason = "The call was closed before the agent's words were recognized."
            self._settle_case(index, StepVerdict.NOT_MEASURED, reason)
        run = self.result()
        limits = run.cases[1 + len(self.cases) :]
        for number, case in enumerate(limits, len(self.scenario.steps) + 1):
            place = f"{case.file}, line {case.line}" if case.file else ""
            self._emit_step(number, f"limit {case.name}", place, case.verdict, case.reason)
        first = run.failed_first
        reason = run.late or (f"{first.name}: {first.reason}" if first else "")
        self._emit(e.ScenarioPhase.OVER, verdict=run.verdict, reason=reason)

    def result(self, folder: str = "") -> RunResult:
        """Returns the run. Call it when the call is over; ``folder`` is where the session is saved."""
        metrics, fatal = self._session.state.metrics, self._session.state.fatal_error
        if metrics.started_ns is None:
            why = one_line(fatal.message) if fatal else "The agent did not accept the session."
            return RunResult(unreachable=why, folder=folder)
        call = Case(name=THE_CALL, verdict=StepVerdict.PASSED)
        if fatal is not None:
            call = Case(name=THE_CALL, verdict=StepVerdict.FAILED, reason=one_line(fatal.message))
        answered = [turn for turn in metrics.turns if turn.number and turn.response_latency_ms is not None]
        slowest = max(answered, key=lambda turn: turn.response_latency_ms or 0.0, default=None)
        limits = judge_call(self.scenario, metrics, self.player.silences)
        hung_up = any(
            isinstance(step, EndCall) and case.verdict is StepVerdict.DONE
            for step, case in zip(self.scenario.steps, self.cases, strict=False)
        )
        return RunResult(
            cases=[call, *self.cases, *limits],
            folder=folder,
            response_ms=metrics.response_latencies_ms,
            slowest_turn=slowest.number if slowest else 0,
            cut_short=self.cut_short
            and not hung_up
            and any(case.verdict is StepVerdict.NOT_MEASURED for case in self.cases),
            late=self.player.late or _sent_late(metrics),
        )

    # -- by hand --

    async def take_over(self) -> None:
        """Hands the call over to the user.

        The current step is not measured. No other step is carried out until `give_back`.
        """
        if self.by_hand or self.listening.over or len(self.cases) >= len(self.scenario.steps):
            return
        self.by_hand = True
        self._emit(e.ScenarioPhase.BY_HAND)
        self.player.pause()
        if self._work is not None:
            self._work.cancel()
        # The silence does not come from the microphone. It must stop, because the user may now open the microphone.
        await self._session.user.record(False)

    async def give_back(self) -> None:
        """Ends the user's control of the call, and continues with the next step."""
        if not self.by_hand or self.listening.over:
            return
        await self._session.user.record(False)
        await self._session.user.open_line()
        self.player.go_on(len(self.cases))
        self.by_hand = False
        self._emit(e.ScenarioPhase.PLAYING)

    async def _until_given_back(self, limit: asyncio.Timeout) -> str:
        """Waits while the user controls the call; the wait does not count towards the timeout.

        Returns the reason if the call ends in the meantime; otherwise "".
        """
        taken = self.by_hand
        if not taken:
            return ""
        clock, until_s = asyncio.get_running_loop().time, limit.when()
        left_s = None if until_s is None else until_s - clock()
        limit.reschedule(None)
        while self.by_hand and not self.listening.over:  # noqa: ASYNC110 - the call may end without an event
            await asyncio.sleep(_LOOK_S)
        limit.reschedule(None if left_s is None else clock() + left_s)
        return "the call was taken over by hand" if self.by_hand else ""

    # -- steps --

    async def begin(self, *, open_line: bool = True, since_ns: int | None = None) -> None:
        """Starts the performance before the first step. The call must be active. `play` calls this."""
        started_ns = self._session.state.metrics.started_ns or self.player.now_ns()
        self.player.begin(started_ns if since_ns is None else since_ns)
        self._emit(e.ScenarioPhase.PLAYING, steps=tuple(step.title for step in self.scenario.steps))
        if open_line:
            await self._session.user.open_line()

    @property
    def judges_words(self) -> bool:
        """Whether a step checks the agent's words.

        Always true if code adds the steps one by one.
        """
        return not self.scenario.steps or any(isinstance(step, Hear) for step in self.scenario.steps)

    async def carry_out(self, *, words_later: bool = False) -> str:
        """Carries out the next step; returns the reason why no further step can follow, or "".

        A `Hear` step is judged before this method returns or, with ``words_later``, no later than in
        `judge_words`.
        """
        step = self.scenario.steps[len(self.cases)]
        self._begin_case()
        self._work = asyncio.ensure_future(self.player.carry_out(len(self.cases)))
        try:
            outcome = await self._work
        except asyncio.CancelledError:
            if not self.by_hand:
                raise
            outcome = StepOutcome(StepVerdict.NOT_MEASURED, self.player.now_ns(), "Taken over by hand.")
        finally:
            self._work = None
        if isinstance(step, Hear) and not outcome.reason:
            excerpt = self.words.between(self.player.answer_since_ns, outcome.ended_ns)
            if words_later and not step.stop:
                self.words.unjudged[len(self.cases)] = (step, excerpt)
                self._add_case(outcome)
                if self.aids.hears_meanwhile:
                    spawn(self.judge_words(), "words of a scenario")
                return ""
            verdict, reason = await self.words.judge(step, excerpt)
            outcome = outcome._replace(verdict=verdict, reason=reason)
        self._close_case(outcome)
        if self.by_hand or outcome.verdict is StepVerdict.PASSED or not getattr(step, "stop", False):
            return ""
        return f"step {len(self.cases)} {outcome.verdict}, and the step has stop = true"

    def _leave_out(self, why: str) -> None:
        """Adds a "not reached" case for each remaining step."""
        for _ in self.scenario.steps[len(self.cases) :]:
            self._begin_case()
            reason = f"Not reached: {why}."
            self._close_case(StepOutcome(StepVerdict.NOT_MEASURED, self._began_ns, reason))

    def _emit(
        self, phase: e.ScenarioPhase, *, steps: tuple[str, ...] = (), verdict: str = "", reason: str = ""
    ) -> None:
        """Emits the progress of the scenario, if the scenario comes from a file."""
        scenario = self.scenario
        if scenario.path.name:
            self._session.journal.emit(
                e.ScenarioChanged(
                    at_ns=self.player.now_ns(),
                    phase=phase,
                    name=scenario.name,
                    file=str(scenario.path),
                    steps=steps,
                    verdict=verdict,
                    reason=self._session.journal.redactor.text(reason),
                )
            )

    def _begin_case(self) -> None:
        """Emits the start of the next step."""
        step = self.scenario.steps[len(self.cases)]
        self._began_ns = self._emit_step(len(self.cases) + 1, step.title, step.place)

    def _emit_step(self, number: int, text: str, place: str, verdict: str = "", reason: str = "") -> int:
        at_ns = self.player.now_ns()
        changed = e.StepChanged(
            at_ns=at_ns, step=number, text=text, place=place, verdict=verdict, reason=reason
        )
        self._session.journal.emit(changed)
        return at_ns

    def _close_case(self, outcome: StepOutcome) -> None:
        self._add_case(outcome)
        self._settle_case(len(self.cases) - 1, outcome.verdict, outcome.reason)

    def _add_case(self, outcome: StepOutcome) -> None:
        step = self.scenario.steps[len(self.cases)]
        started_ns = self._session.state.metrics.started_ns
        self.cases.append(
            msgspec.structs.replace(
                case_of(step),
                verdict=outcome.verdict,
                code=outcome.code,
                measured_ms=outcome.measured_ms,
                began_ms=None if started_ns is None else (self._began_ns - started_ns) / NS_PER_MS,
            )
        )

    def _settle_case(self, index: int, verdict: StepVerdict, reason: str) -> None:
        """Sets the verdict of a case, and emits it."""
        # The output of commands and agents may repeat the secrets of the call.
        step, reason = self.scenario.steps[index], self._session.journal.redactor.text(reason)
        self.cases[index] = msgspec.structs.replace(self.cases[index], verdict=verdict, reason=reason)
        self._emit_step(index + 1, step.title, step.place, verdict, reason)


def _sent_late(metrics: SessionMetrics) -> str:
    """Returns a sentence if the caller's audio was sent too late for a verdict; otherwise ""."""
    worst_ms = metrics.send_worst_ms or 0.0
    if worst_ms <= _MOST_SENDING_MS:
        return ""
    return f"The caller's audio was sent up to {worst_ms:,.0f} ms late: this computer was too busy."


def reads_messages(scenario: Scenario) -> bool:
    """Returns whether any step of a scenario checks single messages."""
    if not scenario.steps:
        return True  # steps from code, which may check messages
    signs = [step.expect for step in scenario.steps if isinstance(step, Expect)]
    signs += [when.sign for step in scenario.steps if (when := getattr(step, "when", None)) and when.sign]
    return any(sign.kind is SignKind.MESSAGE for sign in signs)
