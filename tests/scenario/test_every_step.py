"""Tests every judged step with its three verdicts (passed, failed, not measured), with a manual clock.

The tables are compared with the steps and signs that a file can contain, so a new step or sign without three
verdicts fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.builders import MS, active, message, status
from tui.models import events as e
from tui.models.session_state import SessionState
from tui.models.sound.lines import CallerLine
from tui.protocols.base import TelephonyEvent
from tui.protocols.base import TelephonyEventType as T
from tui.scenario.lines import SpokenLine
from tui.scenario.model import STEPS, Acting, Expect, Hear, Run, Say, Scenario, Silence, Step
from tui.scenario.player import Aids, Player, StepOutcome
from tui.scenario.seen import Seen
from tui.scenario.values import Duration, Sign, SignKind, When
from tui.scenario.verdict import StepVerdict
from tui.session.listening import Limits, Listening
from tui.session.pending import Pending

PASSED, FAILED, NOT_MEASURED = StepVerdict.PASSED, StepVerdict.FAILED, StepVerdict.NOT_MEASURED
BEGAN_MS = 10_000
"""When the step begins; its limit is one second."""


Happening = tuple[float, e.SessionEvent | TelephonyEvent]


def soon(*events: e.SessionEvent) -> list[Happening]:
    """Returns events that become known when they happen."""
    return [(event.at_ns / MS, event) for event in events]


def edge(after_ms: float, *, started: bool) -> e.SpeechEdge:
    """Returns an edge of the agent's speech, this long after the step began."""
    return e.SpeechEdge(
        at_ns=int((BEGAN_MS + after_ms) * MS), speaker=e.Party.AGENT, started=started, method="silero"
    )


def heard(reply: str, at_ms: float) -> e.PlaybackStarted:
    return e.PlaybackStarted(at_ns=int(at_ms * MS), reply=reply)


HALFWAY_NS = (BEGAN_MS + 500) * MS


def tool(people: int) -> list[Happening]:
    arguments = f'{{"people": {people}}}'
    return soon(e.ToolChanged(at_ns=HALFWAY_NS, call="1", name="book", arguments=arguments))


def words(text: str) -> list[Happening]:
    return soon(e.Transcribed(at_ns=HALFWAY_NS, speaker=e.Party.AGENT, text=text, final=True))


def arrives(kind: str) -> list[Happening]:
    return soon(message(kind, at_ms=BEGAN_MS + 500))


def signal(kind: T, text: str = "") -> list[Happening]:
    return [(BEGAN_MS + 500, TelephonyEvent(type=kind, text=text))]


LATE = e.LatenessSeen(
    at_ns=(BEGAN_MS + 900) * MS, what="the event loop", late_ms=500, since_ns=(BEGAN_MS + 400) * MS
)
SPOKE_BEFORE = edge(-1_000, started=True)
SPEAKS, SPEAKS_TOO_LATE = edge(900, started=True), edge(1_100, started=True)
STOPS, STOPS_TOO_LATE = edge(900, started=False), edge(1_100, started=False)
FLUSHED = e.Flushed(at_ns=HALFWAY_NS, reason="", unheard_ms=0)
ENDING = status(e.Status.ACTIVE, e.Status.ENDING, BEGAN_MS + 300)
UNSPOKEN = soon(
    e.ErrorRaised(at_ns=(BEGAN_MS + 100) * MS, source="audio", code="unreadable", message="It has no sound.")
)
"""The caller's first line fails."""
LINE = SpokenLine(CallerLine("yes", "Yes", "yes.wav"), onset_ns=0, end_ns=500 * MS, length_ns=500 * MS)
SIGNS: dict[SignKind, tuple[str, list[Happening], list[Happening], list[Happening]]] = {
    # The rest of the step, and the events with which it passes, fails, and is not measured.
    SignKind.SPEAKS: ("", soon(SPEAKS), soon(SPEAKS_TOO_LATE), soon(LATE)),
    SignKind.STOPS: (
        "",
        soon(SPOKE_BEFORE, STOPS),
        soon(SPOKE_BEFORE, STOPS_TOO_LATE),
        soon(SPOKE_BEFORE, LATE),
    ),
    SignKind.KEEPS_SPEAKING: ("", soon(SPOKE_BEFORE), soon(SPOKE_BEFORE, FLUSHED), []),
    SignKind.KEEPS_SILENT: ("", soon(SPEAKS_TOO_LATE), soon(SPEAKS), soon(SPEAKS, LATE)),
    SignKind.TOOL: ("book", tool(2), tool(3), soon(LATE)),
    SignKind.TRANSCRIPT: (
        "/nine to (five|six)/",
        words("We are open from nine to six."),
        words("We are closed."),
        soon(LATE),
    ),
    SignKind.MESSAGE: (
        "session.resumed",
        arrives("session.resumed"),
        arrives("session.accepted"),
        soon(LATE),
    ),
    SignKind.MARK: ("booked", signal(T.MARK, "booked"), signal(T.MARK, "greeted"), soon(LATE)),
    SignKind.TRANSFER: ("", signal(T.TRANSFER), signal(T.MARK), soon(LATE)),
    SignKind.HANG_UP: ("", soon(ENDING), [], soon(LATE)),
    # The limit is several seconds, which no lateness explains, so only a line that was not spoken makes it
    # unmeasured.
    SignKind.ANSWERS: ("", soon(SPEAKS), [], UNSPOKEN),
}


class Stage:
    """A player whose time passes only while it waits. ``happens`` contains the events in that time."""

    def __init__(self, step: Step, happens: Sequence[Happening], aids: Aids = Aids()) -> None:  # noqa: B008
        steps = [Say(say="yes", when=When(None, Duration(0))), step] if happens is UNSPOKEN else [step]
        self.now_ns = BEGAN_MS * MS
        self._happens = sorted(happens, key=lambda each: each[0])
        self.state = SessionState()
        self.state.apply(active(0))
        reads = isinstance(step, Expect) and step.expect.kind is SignKind.MESSAGE
        self._seen = Seen(lambda: self.now_ns, keeps_messages=reads)
        self._signalled: list[Any] = []
        self._listening = Listening(
            Limits(), lambda _: None, clock_ns=lambda: self.now_ns, wait=lambda _: self.sleep(0.05)
        )
        messages = SimpleNamespace(
            add_audio_handler=self._signalled.append, add_session_handler=lambda handler: None
        )
        session: Any = SimpleNamespace(
            journal=SimpleNamespace(clock_ns=lambda: self.now_ns),
            state=self.state,
            pending=Pending(replies_are_ended=True),
            dropped=False,
            messages=messages,
            user=SimpleNamespace(speak=self._speak),
        )
        self._seen.follow(session)
        self._listening.follow(self.state, session.pending)
        self._steps = steps
        self.player = Player(
            Scenario(name="staged", steps=steps),
            session,
            seen=self._seen,
            listening=self._listening,
            aids=aids._replace(lines={"yes": LINE}),
        )
        self.player.begin(self.now_ns)
        self._happen()

    async def verdict(self) -> StepOutcome:
        """Runs all steps; returns the outcome of the last step."""
        return [await self.player.carry_out(index) for index in range(len(self._steps))][-1]

    async def _speak(self, line: CallerLine, begins_ns: int) -> None:
        pass

    async def sleep(self, time_s: float) -> None:
        self.now_ns += round(time_s * 1e9)
        self._happen()

    def _happen(self) -> None:
        while self._happens and self._happens[0][0] * MS <= self.now_ns:
            _, event = self._happens.pop(0)
            if isinstance(event, TelephonyEvent):
                self._signalled[0](event)
            else:
                self.state.apply(event)
                self._seen.take(event)
                self._listening.take(event)


def expected(kind: SignKind) -> Expect:
    """Returns a step that expects this sign from the table."""
    second = Duration(1_000)
    times: dict[str, Any] = {"for_": second} if kind.lasts else {"within": second}
    args = {"people": 2} if kind is SignKind.TOOL else {}
    return Expect(expect=Sign(kind, SIGNS[kind][0]), args=args, **times)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[Stage]:
    """Returns a list for the stage whose clock `asyncio.sleep` advances."""
    stages: list[Stage] = []

    async def sleep(time_s: float) -> None:
        await stages[0].sleep(time_s)

    monkeypatch.setattr("tui.scenario.player.asyncio.sleep", sleep)
    return stages


def test_every_step_is_judged_here_or_by_nobody() -> None:
    judged = {kind for kind in STEPS.values() if not issubclass(kind, (Acting, Silence))}
    assert judged == {Expect, Hear, Run}
    assert set(SIGNS) == set(SignKind)


@pytest.mark.parametrize("kind", SIGNS)
async def test_each_sign_passes_fails_and_is_not_measured(kind: SignKind, clock: list[Stage]) -> None:
    _, *happenings = SIGNS[kind]
    step = expected(kind)
    found = []
    for happens in happenings:
        clock[:] = [Stage(step, happens)]
        outcome = await clock[0].verdict()
        found.append(outcome.verdict)
        assert bool(outcome.reason) is (outcome.verdict is not PASSED)
    assert found == [PASSED, FAILED, NOT_MEASURED]


@pytest.mark.parametrize(
    ("ended_after_ms", "next_after_ms", "since_ms"),
    [
        # The caller's turn cuts a reply short, and the rest of it is not an answer.
        (300, 310, BEGAN_MS + 310),
        # The same reply answers, or continues long after the turn.
        (300, None, BEGAN_MS),
        (1_500, 1_600, BEGAN_MS),
        # The reply had ended before the turn did.
        (-100, 310, BEGAN_MS),
    ],
)
async def test_the_rest_of_an_interrupted_reply_is_not_among_the_words(
    ended_after_ms: int, next_after_ms: int | None, since_ms: int, clock: list[Stage]
) -> None:
    ended = e.PlaybackEnded(at_ns=(BEGAN_MS + ended_after_ms) * MS, reply="greeting", heard_ms=1_000)
    happens = soon(heard("greeting", BEGAN_MS - 1_000), ended)
    if next_after_ms is not None:
        happens += soon(heard("answer", BEGAN_MS + next_after_ms))
    clock[:] = [Stage(Hear(hear="yes"), happens)]
    await clock[0].sleep(2)
    assert clock[0].player.answer_since_ns == since_ms * MS


@pytest.mark.parametrize("step", [Hear(hear="yes"), *map(expected, SignKind)], ids=lambda step: step.title)
async def test_nothing_is_judged_after_a_line_that_could_not_be_spoken(
    step: Expect | Hear, clock: list[Stage]
) -> None:
    clock[:] = [Stage(step, UNSPOKEN)]
    outcome = await clock[0].verdict()
    assert (outcome.verdict, outcome.reason) == (
        NOT_MEASURED,
        "The caller's previous line could not be spoken.",
    )


@pytest.mark.parametrize(
    ("command", "verdict"), [("true", PASSED), ("false", FAILED), ("/nowhere/at-all", NOT_MEASURED)]
)
async def test_commands_pass_fail_and_are_not_measured(command: str, verdict: StepVerdict) -> None:
    async def may_run(text: str) -> bool:
        return True

    stage = Stage(Run(run=command, file=str(Path("a.call.toml"))), [], Aids(may_run=may_run))
    assert (await stage.player.carry_out(0)).verdict is verdict
