"""Measures the accuracy of turn-taking figures with scripted conversations in which both parties may speak at once.

Run ``python benchmarks/duplex.py`` from the root folder, with ``--minutes`` and ``--seed``. Recorded lines
are placed on two tracks at known times: answers after a gap or before the other party has ended, backchannels
of both parties, talk-overs in which either party yields, false interruptions, and pauses. The tracks pass
through the detectors of a call in blocks of 20 ms, and the edges, in the order in which they become known,
through the fold of a call. No devices and no clock are involved.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

# a script can import only from its own folder, but the program is in the root folder
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from numpy.typing import NDArray

from benchmarks.call_parts.result import judged
from benchmarks.measuring import Measured
from tui.assets import caller_lines, prompts
from tui.audio.speech import make_detector
from tui.audio.wav import read_wav
from tui.models import events as e
from tui.models.turns.floor import Floor, Speech
from tui.models.turns.metrics import MetricsFold
from tui.models.turns.turns import nearest_rank
from tui.units import NS_PER_MS

RATE, BLOCK_MS = 16_000, 20
PER_MS = RATE // 1000
AUDIBLE_RMS = 33.0
"""-60 dBFS as an amplitude: a louder millisecond counts as audible."""
CLEAR_RMS = 328.0
"""-40 dBFS as an amplitude: a louder millisecond is heard clearly."""
NOISE_DBFS = -66.0
"""Noise level of the user's room."""
WITHIN_WORD_MS, STOP_MS = 150, 30
"""In the last 150 ms of a cut clip, the speech is never unclear for longer than 30 ms."""
LONGEST_SHORT_MS = 850
"""Longest backchannel in ms, clearly below the program's limit."""
NEAR_MS = 400.0
"""Largest distance in ms between an edge or event and its expected position."""
USER, AGENT = e.Party.USER, e.Party.AGENT

Samples = NDArray[np.int16]


class Clip(NamedTuple):
    """A recording with its first audible millisecond and the millisecond after the last audible one."""

    samples: Samples
    began_ms: int
    ended_ms: int


@dataclass
class Conversation:
    """Two tracks and their content."""

    tracks: dict[e.Party, list[tuple[int, Clip]]] = field(default_factory=lambda: {USER: [], AGENT: []})
    """Start of each clip, in ms."""
    moves: list[str] = field(default_factory=list)
    events: dict[str, list[tuple[int, float]]] = field(default_factory=lambda: defaultdict(list))
    """Turn-taking events by name, each as its time in ns and its figure in ms."""

    def put(self, by: e.Party, sound_ms: int, clip: Clip) -> int:
        """Places the sound of a clip at this time; returns when it ends."""
        at_ms = sound_ms - clip.began_ms
        self.tracks[by].append((at_ms, clip))
        return at_ms + clip.ended_ms

    def note(self, what: str, at_ms: int, figure_ms: float) -> None:
        """Adds an event that should be found."""
        self.events[what].append((at_ms * NS_PER_MS, figure_ms))

    @property
    def speech(self) -> list[Speech]:
        """Returns the speech that should be found."""
        return [
            Speech((at_ms + clip.began_ms) * NS_PER_MS, by, 0, (at_ms + clip.ended_ms) * NS_PER_MS)
            for by, clips in self.tracks.items()
            for at_ms, clip in clips
        ]

    def samples(
        self, by: e.Party, length_ms: int, noise: np.random.Generator, noise_dbfs: float = NOISE_DBFS
    ) -> Samples:
        """Returns the track of a party; the user's track contains room noise."""
        track = np.zeros(length_ms * PER_MS, np.float32)
        if by is USER:
            rms = 32_768 * 10 ** (noise_dbfs / 20)
            track += noise.normal(0.0, rms, len(track)).astype(np.float32)
        for at_ms, clip in self.tracks[by]:
            track[at_ms * PER_MS :][: len(clip.samples)] += clip.samples
        return np.clip(np.rint(track), -32_768, 32_767).astype(np.int16)


def clip_of(samples: Samples) -> Clip:
    """Returns a recording with its edges, to the millisecond."""
    loud = np.flatnonzero(_louder(samples, AUDIBLE_RMS))
    return Clip(samples, int(loud[0]), int(loud[-1]) + 1)


def cut(clip: Clip, length_ms: int) -> Clip:
    """Returns the beginning of a clip, which ends within 5 ms like a flush with a fade.

    It is cut at this length or slightly later, within a word, because a fragment of a word after a pause does
    not count as speech, and because a word that has faded already does not end sharply.
    """
    clear = _louder(clip.samples, CLEAR_RMS)
    until_ms = clip.began_ms + length_ms
    while (
        until_ms < clip.ended_ms and _longest_silence(clear[until_ms - WITHIN_WORD_MS : until_ms]) > STOP_MS
    ):
        until_ms += 1
    samples = clip.samples[: until_ms * PER_MS].copy()
    fade = 5 * PER_MS
    samples[-fade:] = (samples[-fade:] * np.linspace(1.0, 0.0, fade)).astype(np.int16)
    return clip_of(samples)


def _louder(samples: Samples, rms: float) -> NDArray[np.bool_]:
    """Returns for each millisecond whether it is louder than this amplitude."""
    whole = samples[: len(samples) // PER_MS * PER_MS].astype(np.float64).reshape(-1, PER_MS)
    return np.sqrt(np.mean(whole * whole, axis=1)) > rms


def _longest_silence(loud: NDArray[np.bool_]) -> int:
    """Returns the length of the longest run of quiet milliseconds."""
    edges = np.flatnonzero(np.concatenate([[True], loud, [True]]))
    return int(np.diff(edges).max()) - 1


@cache
def recorded() -> dict[e.Party, list[Clip]]:
    """Returns the recorded lines of both parties that are longer than any backchannel."""
    paths = {USER: [line.path for line in caller_lines()], AGENT: [each.path for each in prompts().values()]}
    clips = {
        by: [clip_of(np.frombuffer(read_wav(path, RATE), np.int16)) for path in names]
        for by, names in paths.items()
    }
    return {by: [clip for clip in each if clip.ended_ms > 2_200] for by, each in clips.items()}


class Script:
    """Generates a conversation move by move. No move is close to a limit between two kinds of events."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.conversation = Conversation()
        self.by = AGENT
        self.free_ms = 1_000
        """Time from which both parties are silent."""

    def play(self, minutes: float) -> Conversation:
        """Returns a conversation of at least that length."""
        moves: dict[Callable[[], None], int] = {
            self.answer: 4,
            self.overlapped_answer: 1,
            self.backchannel: 2,
            self.interruption: 2,
            self.held: 1,
            self.false_interruption: 1,
            self.pause: 1,
        }
        self._speak(self.by, self._line(self.by))
        while self.free_ms < minutes * 60_000:
            move = self.random.choices(list(moves), list(moves.values()))[0]
            self.conversation.moves.append(move.__name__)
            move()
        return self.conversation

    def answer(self) -> None:
        """Lets the other party answer after a gap."""
        self.by = self.by.other
        self._speak(self.by, self._line(self.by), self.random.randint(100, 1_400))

    def overlapped_answer(self) -> None:
        """Lets the other party answer just before the end."""
        self.by = self.by.other
        self._speak(self.by, self._line(self.by), -self.random.randint(40, 120))

    def backchannel(self) -> None:
        """Adds a turn with a backchannel in the middle."""
        self.answer()
        began_ms, ended_ms = self._last(self.by)
        at_ms = self.random.randint(began_ms + 600, max(ended_ms - 1_500, began_ms + 650))
        until_ms = self.conversation.put(self.by.other, at_ms, self._short(self.by.other))
        self.conversation.note(f"backchannels of the {self.by.other}", at_ms, until_ms - at_ms)

    def interruption(self) -> None:
        """Lets the other party begin to speak, and the floor holder yield."""
        self._overlap(self.random.randint(350, 900))
        began_ms = self._yields()
        self.conversation.note("floor transfer offsets", began_ms, began_ms - self.free_ms)
        self.by = self.by.other
        self.free_ms = self.conversation.put(self.by, began_ms, self._line(self.by))
        self.holder = self.by

    def held(self) -> None:
        """Lets the other party begin to speak and yield, with a cut line longer than a backchannel."""
        self.answer()
        began_ms, ended_ms = self._last(self.by)
        length_ms = self.random.randint(1_200, 1_700)
        if ended_ms - began_ms < length_ms + 1_200:
            return
        at_ms = self.random.randint(began_ms + 600, ended_ms - length_ms - 500)
        until_ms = self.conversation.put(self.by.other, at_ms, cut(self._line(self.by.other), length_ms))
        self.conversation.note("talk-overs", at_ms, until_ms - at_ms)

    def false_interruption(self) -> None:
        """Lets the floor holder stop for a backchannel and go on."""
        self._overlap(self.random.randint(300, 450))
        began_ms, ended_ms = self._yields(), self.free_ms
        short = self._short(self.by.other, least_ms=self.overlap_ms + 150)
        self.free_ms = self.conversation.put(self.by.other, began_ms, short)
        self.conversation.note(f"backchannels of the {self.by.other}", began_ms, self.free_ms - began_ms)
        self._speak(self.by, self._line(self.by), self.random.randint(700, 1_400))
        self.conversation.note("resumed after", began_ms, self._last(self.by)[0] - ended_ms)

    def pause(self) -> None:
        """Lets the same party go on after a pause."""
        self._speak(self.by, self._line(self.by), self.random.randint(750, 1_500))

    overlap_ms = 0
    holder: e.Party | None = None

    def _yields(self) -> int:
        """Lets the last speaker yield; returns when the other party began to speak."""
        began_ms = self.free_ms - self.overlap_ms
        overlap_ms = self.free_ms - began_ms
        self.conversation.note("talk-overs", began_ms, overlap_ms)
        self.conversation.note(f"yields of the {self.by}", began_ms, overlap_ms)
        return began_ms

    def _overlap(self, overlap_ms: int) -> None:
        """Lets the other party answer with a line, cut off ``overlap_ms`` after somebody begins to speak over it."""
        self.overlap_ms = overlap_ms
        self.by = self.by.other
        line = self._line(self.by)
        length_ms = line.ended_ms - line.began_ms
        spoken = cut(line, self.random.randint(1_500, length_ms - 300))
        self._speak(self.by, spoken, self.random.randint(100, 1_400))

    def _speak(self, by: e.Party, clip: Clip, after_ms: int = 0) -> None:
        clips = self.conversation.tracks[by]
        # On one track, half a second of silence separates two stretches of speech.
        own_ms = clips[-1][0] + clips[-1][1].ended_ms + 700 if clips else 0
        at_ms = self.free_ms + after_ms
        if at_ms < own_ms:
            at_ms = own_ms
        if self.holder is by:
            self.conversation.note("pauses", self.free_ms, at_ms - self.free_ms)
        elif self.holder is not None:
            self.conversation.note("floor transfer offsets", at_ms, at_ms - self.free_ms)
        self.holder = by
        self.free_ms = self.conversation.put(by, at_ms, clip)

    def _last(self, by: e.Party) -> tuple[int, int]:
        at_ms, clip = self.conversation.tracks[by][-1]
        return at_ms + clip.began_ms, at_ms + clip.ended_ms

    def _line(self, by: e.Party) -> Clip:
        return self.random.choice(recorded()[by])

    def _short(self, by: e.Party, least_ms: int = 350) -> Clip:
        while True:
            clip = cut(self._line(by), self.random.randint(least_ms, 800))
            if clip.ended_ms - clip.began_ms <= LONGEST_SHORT_MS:  # a cut may come later than asked for
                return clip


def heard(conversation: Conversation, seed: int, noise_dbfs: float = NOISE_DBFS) -> Floor:
    """Returns the floor as the program computes it from the tracks, in blocks of 20 ms as in a call."""
    until_ms = max(each.ended_ns or 0 for each in conversation.speech) // NS_PER_MS + 2_000
    until_ms -= until_ms % BLOCK_MS
    noise = np.random.default_rng(seed)
    tracks = {by: conversation.samples(by, until_ms, noise, noise_dbfs).tobytes() for by in e.Party}
    detectors = {by: make_detector(RATE, other_sounds=by is AGENT) for by in e.Party}
    fold, size = MetricsFold(), 2 * PER_MS * BLOCK_MS
    for end_ms in range(BLOCK_MS, until_ms + 1, BLOCK_MS):
        place = 2 * PER_MS * (end_ms - BLOCK_MS)
        for by, detector in detectors.items():
            for edge in detector.feed(tracks[by][place : place + size], end_ms * NS_PER_MS):
                fold.apply(
                    e.SpeechEdge(at_ns=edge.at_ns, speaker=by, started=edge.started, method=edge.method)
                )
    ended = e.StatusChanged(at_ns=until_ms * NS_PER_MS, old=e.Status.ENDING, new=e.Status.ENDED)
    fold.apply(ended)
    return fold.metrics.floor


class Compared(NamedTuple):
    """Comparison of the events found with the scripted events."""

    errors_ms: list[float]
    missed: list[float]
    """Times in s of events that were not found."""
    invented: list[float]

    @property
    def wrong_percent(self) -> float:
        """Share of missed and invented events among the scripted events, in percent."""
        count = len(self.errors_ms) + len(self.missed)
        return 100 * (len(self.missed) + len(self.invented)) / max(count, 1)


Instants = Sequence[tuple[int, float]]
"""Times in ns with figures in ms."""


def compare(truth: Instants, found: Instants) -> Compared:
    """Pairs the nearest events and returns the errors of their figures."""
    left = sorted(found)
    errors_ms, missed = [], []
    for at_ns, figure_ms in sorted(truth):
        near = min(left, key=lambda each: abs(each[0] - at_ns), default=None)
        if near is None or abs(near[0] - at_ns) > NEAR_MS * NS_PER_MS:
            missed.append(at_ns / 1e9)
            continue
        left.remove(near)
        errors_ms.append(abs(near[1] - figure_ms))
    return Compared(errors_ms, missed, [at_ns / 1e9 for at_ns, _ in left])


def comparisons(conversation: Conversation, found: Floor) -> Iterator[tuple[str, Compared]]:
    """Compares all turn-taking events with the script."""
    for by, lane in ((USER, found.user), (AGENT, found.agent)):
        spoken = [each for each in conversation.speech if each.by is by]
        for what, ends in (("onsets", False), ("ends", True)):
            instants = [_instants(each, ends=ends) for each in (spoken, lane)]
            yield f"{what} of the {by}", compare(*instants)
    events = events_of(found)
    for what in sorted(conversation.events.keys() | events.keys()):
        yield what, compare(conversation.events.get(what, []), events.get(what, []))


def events_of(floor: Floor) -> dict[str, list[tuple[int, float]]]:
    """Returns the turn-taking events, with the names of `Conversation.events`."""
    events: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for turn in floor.turns:
        if turn.offset_ms is not None:
            events["floor transfer offsets"].append((turn.began_ns, turn.offset_ms))
    for over in floor.talk_overs:
        events["talk-overs"].append((over.at_ns, over.length_ms))
        if over.gave_way is over.held_by:
            events[f"yields of the {over.held_by}"].append((over.at_ns, over.length_ms))
        if over.resumed_ms is not None:
            events["resumed after"].append((over.at_ns, over.resumed_ms))
    for backchannel in floor.backchannels:
        events[f"backchannels of the {backchannel.by}"].append((backchannel.at_ns, backchannel.length_ms))
    for pause in floor.pauses:
        events["pauses"].append((pause.at_ns, pause.length_ms))
    return events


def _instants(speech: Sequence[Speech], *, ends: bool) -> list[tuple[int, float]]:
    instants_ns = [(each.ended_ns or 0) if ends else each.began_ns for each in speech]
    return [(at_ns, at_ns / NS_PER_MS) for at_ns in instants_ns]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--seed", type=int, default=19)
    parser.add_argument(
        "--noise", type=float, default=NOISE_DBFS, help="the noise of the user's room, in dBFS"
    )
    options = parser.parse_args()
    conversation = Script(options.seed).play(options.minutes)
    began = perf_counter()
    found = heard(conversation, options.seed, options.noise)
    took_s = perf_counter() - began
    measured: list[Measured] = []
    for what, compared in comparisons(conversation, found):
        errors_ms = compared.errors_ms
        count = len(errors_ms) + len(compared.missed)
        measured += [
            judged(f"{what}, p95 of {count}", nearest_rank(errors_ms, 0.95) if errors_ms else None, BLOCK_MS),
            judged(f"{what}, worst", max(errors_ms, default=None), 60),
            judged(f"{what}, missed or invented", compared.wrong_percent, 2, "%"),
        ]
        for name, instants in (("missed", compared.missed), ("invented", compared.invented)):
            if instants:
                print(f"{what} {name} at {', '.join(f'{at:.2f}' for at in instants[:12])} s", file=sys.stderr)
    print("| what | measured | bound | |\n| --- | --: | --: | --- |")
    print("\n".join(each.row(steal=0.0) for each in measured))
    minutes = max(each.ended_ns or 0 for each in conversation.speech) / 6e10
    print(f"\n{minutes:.0f} minutes in {took_s:.0f} s; {len(conversation.moves)} moves, seed {options.seed}")
    return 0 if all(each.holds for each in measured) else 1


if __name__ == "__main__":
    raise SystemExit(main())
