"""Player: carries out single steps of a scenario in a call, and judges their expectations.

Audible sound determines the times of steps. A caller step without a moment waits until the agent has finished
speaking. A moment is one of the agent's signs plus an offset; a line spoken at a moment is *audible* at that
time. The detector reports sound slightly after it occurs (`tui.models.turns.audible`). Each wait allows for
the delay of the detector, and each judgment uses the back-dated time of the sound.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import NamedTuple

from tui.models.turns.audible import KNOWN_AFTER_NS
from tui.models.turns.figures import shown_ms
from tui.scenario import model
from tui.scenario.lines import SpokenLine, limit_s
from tui.scenario.seen import Seen
from tui.scenario.values import FaultKind, SignKind, When
from tui.scenario.verdict import SILENT_AFTER_TOOL, StepVerdict
from tui.scenario.words import Recognizer
from tui.session.listening import UNANSWERED, Answered, Listening
from tui.session.live import LiveSession
from tui.text.visible import one_line
from tui.units import NS_PER_MS, NS_PER_S
from tui.websocket.link_faults import Heading

_LOOK_S = 0.01
"""Polling interval of waits, in seconds; short, because a line has to be handed over before it is due."""
_LATE_NS = 20_000_000
"""Longest allowed delay of a line after its moment, in ns; a line that is later does not follow the scenario."""
_SEEN_AFTER_NS = 100_000_000
"""Longest time from an event to the handling of its message, in ns."""
_NOTICED_S = 5.0
"""Longest time between the loss of a socket and its detection, in seconds."""
_LONGEST_GAP_MS = 1_000.0
"""Pauses up to this length, in ms, do not end the speech."""
_HEARD = (SignKind.SPEAKS, SignKind.STOPS)


class CallerTurn(NamedTuple):
    """The caller's last turn, and the times at which its audible part begins and ends."""

    step: model.Step | None
    began_ns: int
    ended_ns: int
    spoken: bool = True
    """False for a line that could not be spoken, so that the agent has nothing to answer."""


class StepOutcome(NamedTuple):
    """Result of a step."""

    verdict: StepVerdict
    ended_ns: int
    reason: str = ""
    measured_ms: float | None = None
    code: str = ""
    """Reason code of the failure, if one is defined for it."""


class Aids(NamedTuple):
    """Resources that steps need in addition to the call.

    A step that needs a missing resource is not measured.
    """

    lines: Mapping[str, SpokenLine] = {}
    """Lines of the `Say` steps, by their text."""
    may_run: Callable[[str], Awaitable[bool]] | None = None
    """Returns whether a shell command may be run; None rejects all commands."""
    environment: Mapping[str, str] = {}
    """Environment variables for shell commands."""
    hear: Recognizer | None = None
    """Recognizes the agent's words."""
    hears_meanwhile: bool = False
    """Whether words are judged as soon as they have been said; otherwise they are judged after the call, because
    recognition may disturb the call.
    """


NO_AIDS = Aids()


@dataclass(eq=False, repr=False)
class Player:
    """Carries out the steps of a scenario in one session, one at a time. Runs on the session's loop.

    ``seen`` and ``listening`` must receive the session's events.
    """

    scenario: model.Scenario
    session: LiveSession
    _: KW_ONLY
    seen: Seen
    listening: Listening
    aids: Aids = NO_AIDS

    def __post_init__(self) -> None:
        # Set before the first line, because an agent that hangs up before any line is spoken has also left early.
        self.session.pending.lines_left = sum(isinstance(step, model.Say) for step in self.scenario.steps)
        self._index = 0
        """Index of the current step."""
        self._turn = CallerTurn(None, 0, 0)
        self._ended_ns = 0
        """Time at which the previous step ended."""
        self._found_ns: dict[str, int] = {}
        """Time at which each sign was last found, so that the same occurrence is not found twice."""
        self._heard_out = False
        """Whether the player has already waited for the end of the agent's turn; the time limit applies only once."""
        self.silences: list[tuple[int, int]] = []
        """Periods in which the caller is intentionally silent."""
        self.late = ""
        """Sentence that explains how this program's lateness prevents a verdict; empty if it was not late."""

    def begin(self, since_ns: int) -> None:
        """Starts the player; events before ``since_ns`` are ignored."""
        self._ended_ns = since_ns
        self._turn = CallerTurn(None, since_ns, since_ns)

    async def greeting(self) -> None:
        """Waits for the end of a greeting. Does nothing unless the first step is a caller turn without a moment."""
        first = self.scenario.steps[0] if self.scenario.steps else None
        if first is None or (
            isinstance(first, model.Acting) and isinstance(first, model.TURNS) and first.when is None
        ):
            await self.listening.greeting()
            self._ended_ns, self._heard_out = self.now_ns(), True

    @property
    def answer_since_ns(self) -> int:
        """Time after which the agent's words count as its answer to the caller's last turn.

        The time is the end of the caller's turn or, before the first turn, the start of the call. If the turn
        interrupted a reply, the time is the start of the next reply, because the interrupted reply is still
        heard until the agent reacts.
        """
        ended_ns = self._turn.ended_ns
        return self.seen.next_reply(ended_ns) or ended_ns

    async def carry_out(self, index: int) -> StepOutcome:
        """Carries out the step at ``index`` and judges it, except for the agent's words."""
        step, self._index = self.scenario.steps[index], index
        await self.listening.resumed()
        follows = ("run", "hear") if self.session.dropped else ("expect", "run", "hear")
        if self.listening.over and step.KIND not in follows:
            reason = f"Not reached: {self._over()}."
            return StepOutcome(StepVerdict.NOT_MEASURED, self._ended_ns, reason)
        if not self._turn.spoken and isinstance(step, (model.Expect, model.Hear)):
            reason = "The caller's previous line could not be spoken."
            return StepOutcome(StepVerdict.NOT_MEASURED, self._ended_ns, reason)
        outcome = await self._outcome(step)
        self._ended_ns = outcome.ended_ns
        return outcome

    def pause(self) -> None:
        """Ends the script's connection faults, and stops expecting the rest of the script.

        Called when the user takes over.
        """
        pending = self.session.pending
        pending.lines_left, pending.answer_due = 0, ""
        self.session.faults.lift()

    def go_on(self, index: int) -> None:
        """Continues with the step at ``index``; ignores earlier events."""
        self.begin(self.now_ns())
        lines = sum(isinstance(step, model.Say) for step in self.scenario.steps[index:])
        self.session.pending.lines_left = lines

    # -- one step --

    async def _outcome(self, step: model.Step) -> StepOutcome:
        match step:
            case model.Expect() if step.expect.kind is SignKind.ANSWERS:
                return await self._expect_answer(step)
            case model.Expect(for_=None):
                return await self._expect(step)
            case model.Expect():
                return await self._expect_lasting(step)
            case model.Silence():
                began_ns = self._ended_ns
                await self._until(began_ns + step.silence.ns)
                self.silences.append((began_ns, self.now_ns()))
                return StepOutcome(StepVerdict.DONE, began_ns + step.silence.ns)
            case model.Hear():
                await self._spoken_out(step)
                return self._ends_now(StepVerdict.NOT_MEASURED)
            case model.Run():
                return await self._run(step)
            case model.Acting():
                at_ns = await self._moment(step)
                if isinstance(at_ns, str):
                    return self._ends_now(StepVerdict.NOT_MEASURED, at_ns)
                return await self._act(step, at_ns)
            case _:
                raise AssertionError(step)

    # -- the caller --

    async def _moment(self, step: model.Acting) -> int | str:
        """Returns the time for a caller step, or a sentence on why its moment did not come."""
        when = step.when
        if when is None:
            if isinstance(step, model.TURNS) and not self._heard_out:
                await self.listening.turn_end()
            return self.now_ns() if not self.listening.over else f"Not reached: {self._over()}."
        if when.sign is None:
            return self._ended_ns + when.offset.ns
        return await self._sign_of(when)

    async def _sign_of(self, when: When) -> int | str:
        sign = when.sign
        assert sign is not None
        since_ns, limit_ns = self._turn.began_ns, self._ended_ns + 60 * NS_PER_S
        while True:
            at_ns = self.seen.find(sign, since_ns, self.now_ns())
            if at_ns is not None:
                return at_ns + when.offset.ns
            if self.listening.over or self.now_ns() > limit_ns:
                why = self._over() if self.listening.over else "it did not happen within 60 s"
                return f"Not reached: waiting for {sign}, but {why}."
            await asyncio.sleep(_LOOK_S)

    async def _act(self, step: model.Acting, at_ns: int) -> StepOutcome:
        user = self.session.user
        self._heard_out = False
        if isinstance(step, model.Say):
            return await self._say(step, at_ns)
        await self._until(at_ns)
        now_ns = self.now_ns()
        match step:
            case model.Press():
                user.send_dtmf(step.press)
            case model.Type():
                await user.send_text(step.type)
            case model.EndCall():
                self.session.hang_up()
            case model.LineFault():
                await self._worsen(step, now_ns)
            case model.Mute(mute=bool() as muted):
                user.set_muted(muted)
            case model.Mute(mute=float() as lasts_ms):
                user.set_muted(True)
                await self._until(now_ns + round(lasts_ms * NS_PER_MS))
                user.set_muted(False)
            case _:
                raise AssertionError(step)
        if isinstance(step, model.TURNS):
            self._turn = CallerTurn(step, now_ns, self.now_ns())
        return self._ends_now(StepVerdict.DONE)

    async def _worsen(self, step: model.LineFault, now_ns: int) -> None:
        """Begins a connection fault.

        For a dropped socket, returns only after the session has noticed the loss.
        """
        assert step.for_ is not None
        faults, for_ns, heading = self.session.faults, step.for_.ns, Heading(step.direction)
        if step.fault == FaultKind.DROP:
            faults.drop(for_ns)
            pending = self.session.pending
            await self.listening.until(lambda: pending.resuming, _NOTICED_S)
        elif step.fault == FaultKind.STALL:
            faults.stall(for_ns, heading)
        elif step.by is not None:
            faults.delay(step.by.ns, for_ns, heading)
        elif step.share is not None:
            faults.reorder(step.share, for_ns, step.seed)
        # During these faults nobody can be heard.
        if step.fault in (FaultKind.DROP, FaultKind.STALL):
            self.silences.append((now_ns, now_ns + for_ns))

    async def _say(self, step: model.Say, at_ns: int) -> StepOutcome:
        spoken = self.aids.lines[step.say]
        handed_ns = self.now_ns()
        # A line without a moment begins as soon as possible.
        begins_ns = max(at_ns, handed_ns) if step.when is None else at_ns - spoken.onset_ns
        pending = self.session.pending
        pending.lines_left -= 1
        if self._answer_expected:
            pending.answer_due = spoken.line.name
        begun_before = self.seen.lines_begun
        await self.session.user.speak(spoken.line, begins_ns)
        began_ns = await self._line_begun(spoken, handed_ns, begun_before)
        if began_ns is None:
            self._turn = CallerTurn(step, handed_ns, self.now_ns(), spoken=self.listening.over)
            return self._ends_now(StepVerdict.NOT_MEASURED, "The line could not be spoken.")
        onset_ns, end_ns = began_ns + spoken.onset_ns, began_ns + spoken.end_ns
        self._turn = CallerTurn(step, onset_ns, end_ns)
        await self._until(end_ns)
        late_ns = onset_ns - at_ns
        if step.when is not None and late_ns > _LATE_NS:
            reason = f"It began {late_ns / NS_PER_MS:,.0f} ms late, because its cue was detected too late."
            self.late = self.late or f"Step {self._index + 1} began late: {reason}"
            return StepOutcome(StepVerdict.NOT_MEASURED, end_ns, reason)
        return StepOutcome(StepVerdict.DONE, end_ns)

    async def _line_begun(self, spoken: SpokenLine, since_ns: int, begun_before: int) -> int | None:
        """Waits for the first sample of a line; returns the time at which the sample was captured.

        Returns None if the line cannot be spoken.
        """
        limit_ns = since_ns + round(limit_s(spoken) * NS_PER_S)
        while (began_ns := self.seen.line_began(spoken.line.name, begun_before)) is None:
            if self.listening.over or self.now_ns() > limit_ns or self.seen.audio_failed(since_ns):
                return None
            await asyncio.sleep(_LOOK_S)
        return began_ns

    # -- the agent --

    async def _spoken_out(self, step: model.Hear) -> None:
        """Waits until the agent has answered the last turn and finished speaking, or for at most ``step.within``."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(step.within / 1_000):
                since_ns = self._turn.ended_ns
                await self.listening.until(
                    lambda: self.seen.heard(since_ns, self.now_ns()), step.within / 1_000
                )
                await self.listening.turn_end()

    async def _expect(self, step: model.Expect) -> StepOutcome:
        sign = step.expect
        after_say = (
            sign.kind is SignKind.STOPS and isinstance(self._turn.step, model.Say) and self._is_last_action()
        )
        from_ns = self._turn.began_ns if after_say else self._ended_ns
        if after_say and not await self._was_speaking(from_ns):
            return self._ends_now(
                StepVerdict.NOT_MEASURED, "The agent was not speaking when the caller began."
            )
        since_ns = from_ns
        if sign.kind is not SignKind.STOPS:
            since_ns = max(self._turn.began_ns, self._found_ns.get(str(sign), -1) + 1)
        known_ns = KNOWN_AFTER_NS if sign.kind in _HEARD else _SEEN_AFTER_NS
        deadline_ns = from_ns + step.within.ns
        if sign.kind is SignKind.STOPS:
            known_ns += NS_PER_S  # a pause counts as an end only after a second
        found_ns = await self._find(step, since_ns, deadline_ns + known_ns)
        if found_ns is not None:
            self._found_ns[str(sign)] = found_ns
        if found_ns is not None and shown_ms((found_ns - from_ns) / NS_PER_MS) <= step.within:
            measured_ms = (found_ns - from_ns) / NS_PER_MS
            return StepOutcome(StepVerdict.PASSED, max(found_ns, self._ended_ns), measured_ms=measured_ms)
        return self._missed(step, from_ns, since_ns, found_ns)

    async def _find(self, step: model.Expect, since_ns: int, limit_ns: int) -> int | None:
        while True:
            found_ns = self.seen.find(step.expect, since_ns, self.now_ns(), step.args)
            ended = self.listening.over and step.expect.kind is not SignKind.HANG_UP
            if found_ns is not None or self.now_ns() > limit_ns or self.session.state.fatal_error:
                return found_ns
            if ended and self.now_ns() > (self.seen.left_ns or 0) + _SEEN_AFTER_NS:
                return None
            await asyncio.sleep(_LOOK_S)

    @property
    def _answer_expected(self) -> bool:
        """Returns whether the next step expects an answer."""
        step = self.scenario.steps[self._index + 1] if self._index + 1 < len(self.scenario.steps) else None
        return isinstance(step, model.Expect) and step.expect.kind is SignKind.ANSWERS

    async def _expect_answer(self, step: model.Expect) -> StepOutcome:
        """Waits until the agent's turn is over; judges whether the agent answered the caller's turn."""
        turn, listening = self._turn, self.listening
        line = self.aids.lines[turn.step.say] if isinstance(turn.step, model.Say) else None
        if line is not None:
            await listening.line_end(turn.began_ns, limit_s(line))
        what = line.line.name if line else turn.step.title if turn.step else "the caller"
        within_s = step.within / 1_000
        answer = await listening.answer(turn.began_ns, within_s)
        reason = (
            f"The agent answered {what} only in text, without audio." if answer is Answered.IN_TEXT else ""
        )
        answered = answer not in UNANSWERED
        if answered:
            self.session.pending.answer_due = ""
            answer, within_s = await listening.turn_end(), listening.limits.answer_s
            self._heard_out = True
        if answer not in UNANSWERED or (answered and listening.over):
            return self._ends_now(StepVerdict.PASSED, reason)
        if listening.over:
            reason = f"The agent did not answer {what}: {self._over()}."
        elif answer is Answered.SILENT_AFTER_TOOL:
            tool = one_line(listening.silent_tool, 60)
            reason = (
                f"The agent fell silent after the result of its tool {tool}:"
                f" it did not answer {what} within {within_s:g} s."
            )
            return self._ends_now(StepVerdict.FAILED, reason, code=SILENT_AFTER_TOOL)
        else:
            within = f" within {within_s:g} s" if answer is Answered.NONE else ""
            reason = f"The agent did not answer {what}{within}."
        return self._ends_now(StepVerdict.FAILED, reason)

    def _missed(self, step: model.Expect, from_ns: int, since_ns: int, found_ns: int | None) -> StepOutcome:
        now_ns = self.now_ns()
        measured_ms = None if found_ns is None else (found_ns - from_ns) / NS_PER_MS
        late_ms = self.seen.late_ms(from_ns, now_ns)
        if late_ms and (measured_ms is None or measured_ms - late_ms <= step.within):
            reason = _behind(late_ms)
            return StepOutcome(StepVerdict.NOT_MEASURED, now_ns, reason, measured_ms)
        if measured_ms is not None:
            reason = f"It happened after {measured_ms:,.0f} ms (limit {step.within})."
        elif self.listening.over and step.expect.kind not in (SignKind.HANG_UP, SignKind.TRANSFER):
            reason = f"It did not happen: {self._over()}."
        else:
            reason = f"It did not happen within {step.within}."
        called = [tool for tool in self.seen.tools if tool.at_ns >= since_ns]
        if step.expect.kind is SignKind.TOOL and called:
            calls = ", ".join(f"{tool.name}({tool.arguments})" for tool in called[-2:])
            reason += f" Called instead: {calls}."
        return StepOutcome(
            StepVerdict.FAILED, max(from_ns + step.within.ns, self._ended_ns), reason, measured_ms
        )

    async def _expect_lasting(self, step: model.Expect) -> StepOutcome:
        """Judges whether the agent keeps speaking or keeps silent.

        After a line, the period to judge begins with the line's onset.
        """
        assert step.for_ is not None
        after_say = isinstance(self._turn.step, model.Say) and self._is_last_action()
        from_ns = self._turn.began_ns if after_say else self._ended_ns
        until_ns = self._ended_ns + step.for_.ns
        speaks = step.expect.kind is SignKind.KEEPS_SPEAKING
        if speaks and not await self._was_speaking(from_ns):
            return StepOutcome(
                StepVerdict.NOT_MEASURED, until_ns, "The agent was not speaking when this step began."
            )
        while self.now_ns() < until_ns + KNOWN_AFTER_NS and not self.listening.over:
            if speaks and self.seen.flushed(from_ns) is not None:
                break
            await asyncio.sleep(_LOOK_S)
        broken = self._broken(from_ns, until_ns, speaks=speaks)
        late_ms = self.seen.late_ms(from_ns, until_ns)
        if broken and late_ms:
            reason = _behind(late_ms)
            return StepOutcome(StepVerdict.NOT_MEASURED, until_ns, reason)
        return StepOutcome(StepVerdict.FAILED if broken else StepVerdict.PASSED, until_ns, broken)

    def _broken(self, from_ns: int, until_ns: int, *, speaks: bool) -> str:
        """Returns a sentence on why the agent did not keep speaking, or silent; empty if it did."""
        if not speaks:
            began_ns = self.seen.first_heard(from_ns, until_ns)
            after = (began_ns - from_ns) / NS_PER_MS if began_ns is not None else 0
            return "" if began_ns is None else f"The agent spoke after {after:,.0f} ms."
        flushed_ns = self.seen.flushed(from_ns)
        if flushed_ns is not None and flushed_ns <= until_ns:
            return f"The agent stopped after {(flushed_ns - from_ns) / NS_PER_MS:,.0f} ms."
        gap_ms = self.seen.longest_gap_ms(from_ns, until_ns)
        return f"The agent was silent for {gap_ms:,.0f} ms." if gap_ms > _LONGEST_GAP_MS else ""

    async def _was_speaking(self, at_ns: int) -> bool:
        """Waits until it is known whether the agent was heard at ``at_ns``; returns whether it was."""
        while not self.seen.heard(at_ns, at_ns):
            if self.now_ns() > at_ns + KNOWN_AFTER_NS or self.listening.over:
                return False
            await asyncio.sleep(_LOOK_S)
        return True

    def _is_last_action(self) -> bool:
        """Returns whether the caller's last turn is also the caller's last step."""
        acted = (
            step
            for step in reversed(self.scenario.steps[: self._index])
            if not isinstance(step, model.Expect)
        )
        return next(acted, None) is self._turn.step

    # -- outside the call --

    async def _run(self, step: model.Run) -> StepOutcome:
        may_run = self.aids.may_run
        if may_run is None or not await may_run(step.run):
            return self._ends_now(StepVerdict.NOT_MEASURED, "Running commands is not allowed in this call.")
        process = await asyncio.create_subprocess_shell(
            step.run,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, **self.aids.environment},
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(step.within / 1_000):
                output, _ = await process.communicate()
        except TimeoutError:
            reason = f"The command did not end within {step.within}."
            return self._ends_now(StepVerdict.NOT_MEASURED, reason)
        finally:
            # Needed also when the scenario's timeout cancels this step. Kills the whole group, because processes that
            # the shell started keep the output open.
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        if process.returncode == 0:
            return self._ends_now(StepVerdict.PASSED)
        lines = output.decode(errors="replace").strip().splitlines()
        last = f": {one_line(lines[-1], 200)}" if lines else ""
        if process.returncode in (126, 127):
            return self._ends_now(StepVerdict.NOT_MEASURED, f"The command cannot be run{last}.")
        return self._ends_now(StepVerdict.FAILED, f"The command ended with code {process.returncode}{last}.")

    # -- time --

    def _ends_now(self, verdict: StepVerdict, reason: str = "", *, code: str = "") -> StepOutcome:
        """Returns the outcome of a step that ends now."""
        return StepOutcome(verdict, self.now_ns(), reason, code=code)

    def now_ns(self) -> int:
        """Returns the time on the session's clock."""
        return self.session.journal.clock_ns()

    async def _until(self, at_ns: int) -> None:
        """Waits until the given time or the end of the call."""
        while (left_ns := at_ns - self.now_ns()) > 0 and not self.listening.over:  # noqa: ASYNC110 - no event to wait for
            await asyncio.sleep(min(left_ns / NS_PER_S, 0.1))

    def _over(self) -> str:
        reason = self.session.state.reason
        return f"the call had ended ({reason})" if reason else "the call had ended"


def _behind(late_ms: float) -> str:
    return f"opusagent-tui fell {late_ms:,.0f} ms behind in the meantime."
