"""Determines true times in a calibration call, and computes the errors of the times that the program measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tui.audio.calibration import Spread
from tui.audio.pcm import to_float
from tui.audio.resample import FloatResampler
from tui.models.turns.metrics import SessionMetrics
from tui.models.turns.turns import BargeInKind, Turn, nearest_rank
from tui.units import NS_PER_MS

Samples = NDArray[np.float32]

_AUDIBLE_RMS = 0.001
"""-60 dBFS, the level at which the program places edges."""
_PROBE_MS, _APART_MS, _NEAR_MS = 300, 60, 400
_EARLY_MS, _LATE_MS = 300, 1_500
"""Range around the expected time in which the microphone's stream is searched for the speaker's audio."""
_LIKE_ENOUGH = 0.5
_QUIETER = 0.05
"""Share of the answer's level below which sound counts as silence.

A microphone that hears the speaker also hears noise.
"""
_LEAST_FOR_BIAS = 3


class LineInStream(NamedTuple):
    """The position of a recorded line in the microphone's stream: its first audible frame and its end."""

    began: int
    ended: int


class CallerInLoop:
    """The last step of the capture chain: records the microphone's input and replaces it with recorded lines.

    ``block_end_ns`` returns the program's estimate of when the last sample of the next block left the
    microphone.
    """

    def __init__(self, block_end_ns: Callable[[], int]) -> None:
        self.spoken: list[LineInStream] = []
        self._block_end_ns = block_end_ns
        self._blocks: list[bytes] = []
        self._counts: list[int] = []
        """Total number of frames after each block."""
        self._ends_ns: list[int] = []
        self._line = b""

    def __call__(self, block: bytes) -> bytes:
        """Records ``block``; returns as many bytes of the current line or silence."""
        self._counts.append(self.frames + len(block) // 2)
        self._ends_ns.append(self._block_end_ns())
        self._blocks.append(block)
        said, self._line = self._line[: len(block)], self._line[len(block) :]
        return said.ljust(len(block), b"\0")

    @property
    def frames(self) -> int:
        """Number of frames captured so far."""
        return self._counts[-1] if self._counts else 0

    def say(self, pcm: bytes, wait_frames: int, rate: int) -> LineInStream:
        """Plays a recorded line, starting ``wait_frames`` after the first frame of the next block."""
        loud = np.flatnonzero(_loud(to_float(pcm), rate, _AUDIBLE_RMS)) * (rate // 1_000)
        start = self.frames + wait_frames
        self._line = bytes(2 * wait_frames) + pcm
        self.spoken.append(LineInStream(start + int(loud[0]), start + int(loud[-1]) + rate // 1_000))
        return self.spoken[-1]

    def heard(self) -> Samples:
        """Returns all samples that the microphone has captured so far."""
        return to_float(b"".join(self._blocks))

    def at_ns(self, frame: int, rate: int) -> int:
        """Returns the program's estimate of when ``frame`` passed the microphone."""
        index = min(int(np.searchsorted(self._counts, frame)), len(self._counts) - 1)
        return self._ends_ns[index] - round((self._counts[index] - frame) * 1e9 / rate)

    def frame_at(self, at_ns: int, rate: int) -> int:
        """Returns the frame that, by the program's estimate, passed the microphone at ``at_ns``."""
        index = min(int(np.searchsorted(self._ends_ns, at_ns)), len(self._counts) - 1)
        return self._counts[index] - round((self._ends_ns[index] - at_ns) * rate / 1e9)


class PlayedTrack:
    """Played audio, resampled to the microphone's rate, with the times at which it was due to be heard."""

    def __init__(self, blocks: Sequence[tuple[int, bytes, int]], rate: int) -> None:
        """Takes the played blocks as tuples: time of the first sample, 16-bit PCM, sample rate."""
        self.rate = rate
        parts: list[Samples] = []
        self._starts_ns: list[int] = []
        self._frames: list[int] = []
        """Number of the first frame of each block."""
        frames = 0.0
        resampler: FloatResampler | None = None
        resampled_from = rate
        for start_ns, pcm, from_rate in blocks:
            if from_rate != resampled_from:
                parts += [resampler.finish()] if resampler else []
                resampler = FloatResampler(from_rate, rate) if from_rate != rate else None
                resampled_from = from_rate
            self._starts_ns.append(start_ns)
            self._frames.append(round(frames))
            frames += len(pcm) / 2 * rate / from_rate
            parts.append(resampler.feed(to_float(pcm)) if resampler else to_float(pcm))
        parts += [resampler.finish()] if resampler else []
        self.samples = np.concatenate(parts) if parts else np.zeros(0, np.float32)

    def frame_at(self, at_ns: int) -> int:
        """Returns the frame that was due to be heard at ``at_ns``."""
        index = self._block(np.searchsorted(self._starts_ns, at_ns, "right"))
        return self._frames[index] + round((at_ns - self._starts_ns[index]) * self.rate / 1e9)

    def at_ns(self, frame: int) -> int:
        """Returns the time at which ``frame`` was due to be heard.

        Uses the median of several blocks, because the time of a single block may be wrong by up to 24 ms.
        """
        index = self._block(np.searchsorted(self._frames, frame, "right"))
        near = range(max(index - 2, 0), min(index + 7, len(self._frames)))
        offsets_ns = [self._starts_ns[each] - round(self._frames[each] * 1e9 / self.rate) for each in near]
        return sorted(offsets_ns)[len(offsets_ns) // 2] + round(frame * 1e9 / self.rate)

    def onset_near(self, at_ns: int) -> int | None:
        """Returns the first frame of the sound that was due closest to ``at_ns``; None if no sound is close."""
        if not self._frames:
            return None
        per_ms, due = self.rate // 1_000, self.frame_at(at_ns)
        first = max(due - _NEAR_MS * per_ms, 0) // per_ms * per_ms
        loud = _loud(self.samples[first : due + _NEAR_MS * per_ms], self.rate, _AUDIBLE_RMS)
        onsets = [
            first + ms * per_ms
            for ms in np.flatnonzero(loud).tolist()
            if not np.any(loud[max(ms - _APART_MS, 0) : ms])
        ]
        return min(onsets, key=lambda frame: abs(frame - due), default=None)

    def _block(self, found: np.intp) -> int:
        return min(max(int(found) - 1, 0), len(self._frames) - 1)


class FigureErrors(NamedTuple):
    """Errors of the measured times in ms, each computed as measured minus true value."""

    responses: list[float]
    silences: list[float]
    onsets: list[float]
    loops: list[float]
    """How much later the microphone heard each answer than the speaker was due to play it."""


@dataclass(eq=False, repr=False)
class TruthOfCall:
    """Compares the measured times of one call with its samples. Slow, so run it in a thread."""

    metrics: SessionMetrics
    caller: CallerInLoop
    track: PlayedTrack

    def __post_init__(self) -> None:
        self._rate = self.track.rate
        self._heard = self.caller.heard()
        self._places: list[tuple[int, int]] = []
        """The onset of each answer that was found, on the agent's track and in the microphone's stream."""

    def errors(self, onsets_ns: Sequence[int], since_ns: int = 0) -> FigureErrors:
        """Returns the errors of all times measured since ``since_ns``.

        ``onsets_ns`` are the detected starts of user speech. If the microphone's stream contains no answers,
        returns only the errors of the detected edges.
        """
        found = FigureErrors([], [], [], [])
        turns = [
            (turn, began_ns, onset)
            for turn in self.metrics.turns
            if (began_ns := turn.agent_began_ns) is not None
            and began_ns >= since_ns
            and not turn.doubt
            and (onset := self.track.onset_near(began_ns)) is not None
        ]
        for turn, began_ns, onset in turns:
            place = self._place(onset, began_ns)
            if place is not None:
                self._places.append((onset, place))
                found.loops.append((self._at_ns(place) - began_ns) / NS_PER_MS)
                self._add_response(found, turn, place=place)
        if len(found.loops) < _LEAST_FOR_BIAS:
            found = FigureErrors([], [], [], [])
            for turn, _, onset in turns:
                self._add_response(found, turn, due_ns=self.track.at_ns(onset))
        self._add_silences(found, since_ns)
        for spoken in self.caller.spoken:
            began_ns = self._at_ns(spoken.began)
            near = [at_ns for at_ns in onsets_ns if abs(at_ns - began_ns) < _NEAR_MS * NS_PER_MS]
            if near and began_ns >= since_ns:
                found.onsets.append((near[0] - began_ns) / NS_PER_MS)
        return found

    def _at_ns(self, frame: int) -> int:
        return self.caller.at_ns(frame, self._rate)

    def _place(self, onset: int, began_ns: int) -> int | None:
        """Returns the position of an answer in the microphone's stream; None if the microphone did not hear it."""
        per_ms = self._rate // 1_000
        probe = self.track.samples[onset : onset + _PROBE_MS * per_ms]
        due = self.caller.frame_at(began_ns, self._rate)
        start = max(due - _EARLY_MS * per_ms, 0)
        found = find(self._heard[start : due + (_LATE_MS + _PROBE_MS) * per_ms], probe)
        return None if found is None else start + found

    def _add_response(
        self, found: FigureErrors, turn: Turn, *, place: int | None = None, due_ns: int = 0
    ) -> None:
        """Adds the error of a response time. The answer began at frame ``place``, or at ``due_ns``."""
        spoken = self._nearest(turn.user_ended_ns, lambda each: each.ended)
        if not turn.number or turn.response_latency_ms is None or spoken is None:
            return
        if place is None:
            true_ms = (due_ns - self._at_ns(spoken.ended)) / NS_PER_MS
        else:
            true_ms = (place - spoken.ended) * 1_000 / self._rate
        found.responses.append(turn.response_latency_ms - true_ms)

    def _add_silences(self, found: FigureErrors, since_ns: int) -> None:
        for barge_in in self.metrics.barge_ins:
            spoken = self._nearest(barge_in.at_ns, lambda each: each.began)
            if barge_in.kind is not BargeInKind.YIELDED or spoken is None or barge_in.silence_ms is None:
                continue
            silent = self._silent_from(spoken.began)
            if silent is not None and self._at_ns(silent) >= since_ns:
                true_ms = (silent - spoken.began) * 1_000 / self._rate
                found.silences.append(barge_in.silence_ms - true_ms)

    def _silent_from(self, frame: int) -> int | None:
        """Returns the frame at which the microphone stopped hearing an answer that was cut after ``frame``.

        Returns None if the frame is unknown, or if the answer has a pause at that frame.
        """
        said_ns = self._at_ns(frame)
        before = [each for each in self._places if self.track.at_ns(each[0]) < said_ns]
        if not before:
            return None
        onset, place = before[-1]
        per_ms = self._rate // 1_000
        probe = self._heard[place : place + _PROBE_MS * per_ms]
        level = float(np.sqrt(np.mean(probe * probe)))
        start = max(frame, place)
        heard = self._heard[start : start + _LATE_MS * per_ms]
        loud = _loud(heard, self._rate, max(level * _QUIETER, _AUDIBLE_RMS))
        quiet = [ms for ms in range(len(loud) - _APART_MS) if not np.any(loud[ms : ms + _APART_MS])]
        if not quiet or not quiet[0]:
            return None
        silent = start + quiet[0] * per_ms
        goes_on = self.track.samples[onset + silent - place :][: 10 * per_ms]
        return silent if np.any(_loud(goes_on, self._rate, _AUDIBLE_RMS)) else None

    def _nearest(self, at_ns: int | None, edge: Callable[[LineInStream], int]) -> LineInStream | None:
        """Returns the line whose ``edge`` is nearest to ``at_ns``; None if no edge is close."""
        if at_ns is None:
            return None
        off_ns = [(abs(self._at_ns(edge(each)) - at_ns), each) for each in self.caller.spoken]
        near = [each for each in off_ns if each[0] < _NEAR_MS * NS_PER_MS]
        return min(near)[1] if near else None


def find(track: Samples, probe: Samples, like_enough: float = _LIKE_ENOUGH) -> int | None:
    """Returns the position of ``probe`` in ``track``; None if the track does not contain it.

    The normalized cross-correlation has to be at least ``like_enough``.
    """
    lags = len(track) - len(probe) + 1
    if lags <= 0 or not np.any(probe):
        return None
    a, b = track.astype(np.float64), probe.astype(np.float64)
    size = 1 << (len(a) + len(b)).bit_length()
    correlation = np.fft.irfft(np.fft.rfft(a, size) * np.conj(np.fft.rfft(b, size)), size)[:lags]
    energy = np.concatenate([[0.0], np.cumsum(a * a)])
    windows = energy[len(b) :][:lags] - energy[:lags]
    # A floor far below anything audible. Without it, rounding errors could make silence resemble the probe.
    least = len(b) * (_AUDIBLE_RMS / 30) ** 2
    likeness = correlation / np.sqrt(np.maximum(windows, least) * float(np.dot(b, b)))
    best = int(np.argmax(likeness))
    return best if likeness[best] >= like_enough else None


def spread_of(errors_ms: Sequence[float]) -> Spread | None:
    """Returns the bias and the spread of the errors; None if there are too few errors."""
    if len(errors_ms) < _LEAST_FOR_BIAS:
        return None
    bias_ms = float(np.median(errors_ms))
    off_ms = [abs(error_ms - bias_ms) for error_ms in errors_ms]
    return Spread(bias_ms, nearest_rank(off_ms, 0.95), len(off_ms))


def _loud(samples: Samples, rate: int, least_rms: float) -> NDArray[np.bool_]:
    """Returns whether each whole millisecond is louder than ``least_rms``; shape (ms,)."""
    per_ms = rate // 1_000
    whole = samples[: len(samples) // per_ms * per_ms].astype(np.float64).reshape(-1, per_ms)
    found: NDArray[np.bool_] = np.sqrt(np.mean(whole * whole, axis=1)) > least_rms
    return found
