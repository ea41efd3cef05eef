"""Compares the program's response and barge-in latencies with the two recorded tracks."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from statistics import median
from typing import NamedTuple

import numpy as np

from benchmarks.call_parts.agent import Agent, Call
from benchmarks.call_parts.devices import RATE, Recorder, Samples, Tracks, speak
from benchmarks.call_parts.program import Held, call
from benchmarks.call_parts.result import judged
from benchmarks.call_parts.truth import audible, ended_sharply, find, silent_from
from benchmarks.measuring import Measured
from tui.assets import caller_lines, prompts
from tui.audio.wav import read_wav
from tui.models.turns.metrics import SessionMetrics
from tui.models.turns.turns import BargeIn, BargeInKind, Turn

TURNS_A_CALL = 25
ONE_BLOCK_MS = 20.0
AGREE_TO_MS = 2.0
_QUIET_MS, _LOUD = 150, 300
_PAUSE_S, _PLAYBACK_S = 0.8, 0.25
_PROBE_FRAMES = RATE * 3 // 10
_SAME_NS = 400_000_000
_WORDS = (
    ("yes", 0, 434),
    ("goodbye", 0, 680),
    ("goodbye", 680, 1250),
    ("goodbye", 1250, 1880),
    ("hours", 0, 540),
)


class Step(NamedTuple):
    """One turn: the user's words, and the agent's reaction."""

    words: Samples
    reply: Samples
    delay_ms: float
    """The agent's delay from the last loud block received to the reply."""
    pace: float
    barges_in: bool
    """Whether the words are spoken during the previous reply."""
    reaction_ms: float
    """The agent's delay from the first loud block received to the interrupt."""


def plan(turns: int, dice: random.Random) -> list[Step]:
    """Returns the turns of a call. Every fourth turn is a barge-in on a sufficiently long reply."""
    lines = {line.name: _samples(line.path) for line in caller_lines()}
    words = [
        ended_sharply(lines[name][first * RATE // 1000 : last * RATE // 1000]) for name, first, last in _WORDS
    ]
    replies = [_samples(prompt.path) for name, prompt in prompts().items() if name.startswith("dtmf-")]
    long_reply = _samples(prompts()["workshop"].path)[: 5 * RATE]
    steps: list[Step] = []
    for number in range(turns):
        before_barge_in = number % 4 == 2 and number + 1 < turns
        reply = long_reply if before_barge_in else replies[number % len(replies)]
        silence = np.zeros(dice.choice([0, 60, 140]) * RATE // 1000, np.int16)
        steps.append(
            Step(
                words[number % len(words)],
                _never_zero(np.concatenate([silence, reply]), number),
                dice.uniform(200, 1200),
                dice.choice([1.0, 3.0, 20.0]),
                number % 4 == 3,
                dice.uniform(0, 150),
            )
        )
    return steps


def _samples(path: object) -> Samples:
    return np.frombuffer(read_wav(str(path), RATE), "<i2")


def _never_zero(samples: Samples, seed: int) -> Samples:
    """Returns the samples with inaudible noise of one or two steps, so that they differ from digital silence."""
    hiss = np.random.default_rng(seed).choice(np.array([-2, -1, 1, 2], np.int16), len(samples))
    return np.where(np.abs(samples) <= 2, hiss, samples).astype(np.int16)


def spoken(steps: Sequence[Step]) -> tuple[Samples, list[int]]:
    """Returns the user's track of a call, and where each step's words begin in it."""
    parts, starts, length = [np.zeros(RATE // 2, np.int16)], [], RATE // 2
    for number, step in enumerate(steps):
        starts.append(length)
        follows = steps[number + 1] if number + 1 < len(steps) else None
        if follows and follows.barges_in:
            wait_s = step.delay_ms / 1000 + _PLAYBACK_S + 1.0
        else:
            wait_s = step.delay_ms / 1000 + len(step.reply) / RATE + _PLAYBACK_S + _PAUSE_S
        parts += [step.words, np.zeros(int(wait_s * RATE), np.int16)]
        length += len(step.words) + int(wait_s * RATE)
    return np.concatenate(parts), starts


class Answering:
    """The agent's script: detects speech by loudness, and answers or yields after the delays of each step.

    The step is determined by the time at which it is due, so that an incomplete or missing word does not shift all
    later answers.
    """

    def __init__(self, steps: Sequence[Step], starts: Sequence[int]) -> None:
        self.interrupted_ns: dict[int, int] = {}
        """For each step, the time at which its words made the agent send an interrupt."""
        self._steps = steps
        self._due_ns = [round(start * 1e9 / RATE) for start in starts]
        """Start of each step in ns, relative to the start of the user's track."""
        self._began_ns: int | None = None
        """Estimated start of the user's track, based on when the latest step was heard."""
        self._step = -1
        self._speaking = False
        self._loud_ns = 0
        self._reply: asyncio.Task[None] | None = None
        self._replied = -1
        """The latest step whose reply has begun."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, call: Call) -> None:
        """Answers until the caller disconnects."""
        call.listen(lambda at_ns, audio: self._hear(call, at_ns, audio))
        await asyncio.Event().wait()

    def _hear(self, call: Call, at_ns: int, audio: bytes) -> None:
        loud = bool(np.abs(np.frombuffer(audio, "<i2").astype(np.int32)).max(initial=0) > _LOUD)
        if loud:
            self._loud_ns = at_ns
            if not self._speaking:
                self._speaking = True
                self._begin(call, at_ns)
        elif self._speaking and at_ns - self._loud_ns >= _QUIET_MS * 1_000_000:
            self._speaking = False
            if self._step != self._replied:
                if self._reply:
                    self._reply.cancel()
                waited_ms = (at_ns - self._loud_ns) / 1e6
                self._reply = self._spawn(self._answer(call, self._step, waited_ms))

    def _begin(self, call: Call, at_ns: int) -> None:
        """Handles the start of user speech, which is a step or the rest of a step."""
        if self._began_ns is None:
            self._began_ns = at_ns - self._due_ns[0]
        after_ns, due_ns = at_ns - self._began_ns, self._due_ns
        step = min(range(max(self._step, 0), len(due_ns)), key=lambda each: abs(due_ns[each] - after_ns))
        if step == self._step:
            return
        self._step, self._began_ns = step, at_ns - due_ns[step]
        if self._steps[step].barges_in:
            self._spawn(self._yield(call, step))

    def _spawn(self, work: object) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.ensure_future(work)  # type: ignore[arg-type]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _answer(self, call: Call, number: int, waited_ms: float) -> None:
        step = self._steps[number]
        await asyncio.sleep(max(step.delay_ms - waited_ms, 0) / 1000)
        self._replied = number
        await call.say(step.reply, pace=step.pace)
        await call.tell(type="end")

    async def _yield(self, call: Call, number: int) -> None:
        await asyncio.sleep(self._steps[number].reaction_ms / 1000)
        if self._reply:
            self._reply.cancel()
        self.interrupted_ns[number] = await call.tell(type="interrupt")


class Truth(NamedTuple):
    """One step as found on the tracks, in frames; None for anything not found."""

    began: int
    ended: int
    """The user's first audible frame, and the frame after the last audible one."""
    answered: int | None
    """The first audible frame of the reply."""
    silent: int | None
    """For a barge-in: the frame from which the speaker was silent."""


def truths(steps: Sequence[Step], starts: Sequence[int], tracks: Tracks, began_ns: int) -> list[Truth | None]:
    """Finds every step in the tracks of a call in which the user's track began at ``began_ns``.

    Returns None for words that are incomplete on the microphone's track.
    """
    found: list[Truth | None] = []
    late, before = 0, tracks.frame_of(began_ns)
    for step, start in zip(steps, starts, strict=True):
        due = before + start + late
        at = find(tracks.microphone, step.words, due - RATE // 4, due + len(step.words) + 2 * RATE)
        if at is None:
            found.append(None)
            continue
        late += at - due
        first, last = audible(step.words)
        loud = audible(step.reply)[0]
        probe = step.reply[loud : loud + _PROBE_FRAMES]
        heard = find(tracks.speaker, probe, at + last, at + last + 3 * RATE)
        silent = silent_from(tracks.speaker, at + first) if step.barges_in else None
        found.append(Truth(at + first, at + last, heard, silent))
    return found


class Errors:
    """Differences between the program's figures and the true values, in ms, and missing figures."""

    def __init__(self) -> None:
        self.ms: list[float] = []
        self.marked_ms: list[float] = []
        """Differences of figures that the program itself marks as uncertain."""
        self.missing: list[str] = []

    def add(self, said_ms: float | None, true_ms: float, why_not: str, *, marked: bool = False) -> None:
        """Adds one figure."""
        if said_ms is None:
            self.missing.append(why_not)
        else:
            (self.marked_ms if marked else self.ms).append(said_ms - true_ms)

    def row(self, what: str, bound_ms: float = ONE_BLOCK_MS) -> Measured:
        """Returns the largest error of unmarked figures, and the spread of all. A missing figure misses the bound."""
        every = self.ms + self.marked_ms
        if not every:
            return judged(what, None, bound_ms)
        told = f"of {len(self.ms)}"
        if self.marked_ms:
            worst_ms = max(map(abs, self.marked_ms))
            told += f"; {len(self.marked_ms)} more are marked as uncertain, worst {worst_ms:.0f} ms"
        told += f"; all {min(every):+.1f} to {max(every):+.1f}, median {median(every):+.1f}"
        row = judged(what, max(map(abs, self.ms), default=0.0), bound_ms, told=told)
        if not self.missing:
            return row
        return Measured(row.what, f"{row.value}; {len(self.missing)} missing", row.bound, False)


class Comparison:
    """Collects the results of calls."""

    def __init__(self) -> None:
        self.responses, self.again, self.silences, self.signals = (Errors() for _ in range(4))
        self.apart = Errors()
        """Figures of the saved session minus figures of the screen."""
        self.untrue = 0
        """Number of steps that are incomplete on the tracks themselves."""
        self.lines: list[str] = []

    def add(
        self,
        steps: Sequence[Step],
        found: Sequence[Truth | None],
        tracks: Tracks,
        agent: Answering,
        held: Held,
    ) -> None:
        """Adds one call."""
        shown, again = held.shown(), held.measured_again
        for number, (step, true) in enumerate(zip(steps, found, strict=True)):
            if true is None or true.answered is None:
                self.untrue += 1
                self.lines.append(
                    f"{number:3} {'words' if true is None else 'reply'} not found on the tracks"
                )
                continue
            true_ms = (true.answered - true.ended) * 1000 / RATE
            turn = _turn_at(shown, tracks.ns_of(true.ended))
            doubt = turn.doubt if turn else ""
            self.responses.add(_said(turn), true_ms, _why(turn), marked=bool(doubt))
            self._add_again(turn, _turn_at(again, tracks.ns_of(true.ended)), true_ms)
            if step.barges_in and true.silent is not None and number in agent.interrupted_ns:
                self._add_barge_in(_barge_in_at(shown, tracks.ns_of(true.began)), true, tracks, agent, number)
            said = _said(turn)
            error = f"{said - true_ms:+.1f}" if said is not None else _why(turn)
            parts = ", ".join(f"{name} {ms:.0f}" for name, ms in turn.parts.known()) if turn else ""
            parts += f"; doubtful: {doubt}" if doubt else ""
            ends = _off_ms(turn.user_ended_ns if turn else None, tracks.ns_of(true.ended))
            begins = _off_ms(turn.agent_began_ns if turn else None, tracks.ns_of(true.answered))
            self.lines.append(
                f"{number:3} true {true_ms:7.1f} ms, error {error} ({ends} → {begins}); {parts}"
            )

    def _add_again(self, shown: Turn | None, again: Turn | None, true_ms: float) -> None:
        """Adds a turn as shown on the screen and as remeasured from the saved session."""
        marked = bool(again and again.doubt)
        self.again.add(_said(again), true_ms, _why(again), marked=marked)
        shown_ms = _said(shown)
        if shown_ms is not None:
            self.apart.add(_said(again), shown_ms, _why(again), marked=marked or bool(shown and shown.doubt))

    def _add_barge_in(
        self, said: BargeIn | None, true: Truth, tracks: Tracks, agent: Answering, number: int
    ) -> None:
        assert true.silent is not None
        why = "not told" if said is None else str(said.kind)
        silence_ms = (true.silent - true.began) * 1000 / RATE
        signal_ms = (agent.interrupted_ns[number] - tracks.ns_of(true.began)) / 1e6
        marked = bool(said and said.doubt)
        self.silences.add(said.silent_after_ms if said else None, silence_ms, why, marked=marked)
        self.signals.add(said.signal_ms if said else None, signal_ms, why, marked=marked)
        self.lines.append(f"    barge-in true signal {signal_ms:.1f}, silence {silence_ms:.1f}; said {said}")

    def rows(self) -> list[Measured]:
        """Returns the rows for the table."""
        rows = [
            self.responses.row("response latency on the screen, worst error"),
            self.again.row("the same, measured again from the saved session"),
            self.apart.row("difference between the saved session and the screen", AGREE_TO_MS),
            self.silences.row("barge-in: user's onset to silence, worst error"),
            self.signals.row("barge-in: user's onset to the agent's signal, worst error"),
        ]
        if self.untrue:
            rows.append(Measured("turns that are not whole on the tracks", str(self.untrue), "0", False))
        return rows


def _turn_at(metrics: SessionMetrics, ended_ns: int) -> Turn | None:
    near = [
        turn for turn in metrics.turns if turn.user_ended_ns and abs(turn.user_ended_ns - ended_ns) < _SAME_NS
    ]
    return min(near, key=lambda turn: abs((turn.user_ended_ns or 0) - ended_ns), default=None)


def _barge_in_at(metrics: SessionMetrics, began_ns: int) -> BargeIn | None:
    near = [each for each in metrics.barge_ins if each.at_ns and abs(each.at_ns - began_ns) < _SAME_NS]
    return min(near, key=lambda each: each.kind is not BargeInKind.YIELDED, default=None)


def _said(turn: Turn | None) -> float | None:
    return turn.response_ms if turn else None


def _off_ms(said_ns: int | None, true_ns: int) -> str:
    return "–" if said_ns is None else f"{(said_ns - true_ns) / 1e6:+.1f}"


def _why(turn: Turn | None) -> str:
    return turn.unmeasured if turn else "no such turn"


def measure(environment: Mapping[str, str], turns: int, *, seed: int = 1) -> tuple[list[Measured], list[str]]:
    """Makes calls of up to `TURNS_A_CALL` turns; returns rows for the table and a line for each turn."""
    comparison = Comparison()
    dice = random.Random(seed)
    for first in range(0, turns, TURNS_A_CALL):
        steps = plan(min(TURNS_A_CALL, turns - first), dice)
        user, starts = spoken(steps)
        script = Answering(steps, starts)
        with Agent(script) as agent, Recorder(environment) as recorder, call(environment, agent.url) as held:
            held.record()
            began_ns = time.monotonic_ns()
            speak(environment, user).wait()
        tracks = recorder.tracks()
        comparison.add(steps, truths(steps, starts, tracks, began_ns), tracks, script, held)
    return comparison.rows(), comparison.lines
