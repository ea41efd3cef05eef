"""CallerSound: the noise beside a caller's voice, and what their line does to it. Seeded, so that a run repeats."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tui.assets import caller_lines
from tui.audio.formats import AudioFormat, Encoding, StreamDecoder, encode
from tui.audio.pcm import from_float, to_float
from tui.audio.wav import AudioFileError, read_wav
from tui.scenario.model import Noise, Scenario
from tui.scenario.reading import ScenarioError
from tui.text.strict import did_you_mean, quoted

NOISES = ("babble", "white", "hum")
_SPEECH_DBFS = -26.0
"""The level of active speech that the signal-to-noise ratio refers to: the nominal level of ITU-T P.56."""
_PERIOD_S = 10
"""A noise repeats after this time."""
_VOICES = 6
_HUM_HZ = 50.0
_CODECS = {"mulaw": Encoding.MULAW, "alaw": Encoding.ALAW}


class CallerSound:
    """The last step of the capture chain: adds noise, passes the codec of the line, drops lost packets.

    ``rate`` returns the rate of the blocks in Hz; it is known once the agent has accepted the call. Raises
    `ScenarioError` for a noise that cannot be read.
    """

    def __init__(self, scenario: Scenario, rate: Callable[[], int]) -> None:
        self._noise = scenario.caller.noise
        self._line = scenario.caller.line
        self._rate = rate
        self._folder = scenario.path.parent
        self._values: NDArray[np.float32] = np.empty(0, np.float32)
        self._position = 0
        self._chance = np.random.default_rng(self._line.seed if self._line else 0)
        if self._noise:
            self._check(self._noise, scenario)

    def __call__(self, block: bytes) -> bytes:
        """Returns the block as the agent gets it; as long as it was."""
        if self._noise:
            block = self._with_noise(block, self._noise)
        if self._line and self._line.codec in _CODECS:
            media = AudioFormat(_CODECS[self._line.codec], self._rate())
            block = StreamDecoder(media).feed(encode(block, media))
        if self._line and self._line.loss and self._chance.random() < self._line.loss:
            return bytes(len(block))
        return block

    def _with_noise(self, block: bytes, noise: Noise) -> bytes:
        if not len(self._values):
            self._values = noise_values(noise, self._rate(), self._folder)
        frames = len(block) // 2
        at = (self._position + np.arange(frames)) % len(self._values)
        self._position = (self._position + frames) % len(self._values)
        return from_float(to_float(block) + self._values[at])

    def _check(self, noise: Noise, scenario: Scenario) -> None:
        try:
            self._values = noise_values(noise, 16_000, self._folder)
        except (AudioFileError, ValueError) as error:
            raise ScenarioError(f"{scenario.path}: noise: {error}") from error
        self._values = np.empty(0, np.float32)


def noise_values(noise: Noise, rate: int, folder: Path) -> NDArray[np.float32]:
    """Returns one period of a noise at its level, in -1..1. Raises `AudioFileError`, `ValueError`."""
    chance = np.random.default_rng(noise.seed)
    frames = _PERIOD_S * rate
    values: NDArray[Any]
    match noise.kind:
        case "white":
            values = chance.standard_normal(frames)
        case "hum":
            time_s = np.arange(frames) / rate
            values = sum(np.sin(2 * np.pi * _HUM_HZ * n * time_s) / n for n in (1, 2, 3, 5))  # type: ignore[assignment]
        case "babble":
            values = np.zeros(frames)
            for _ in range(_VOICES):
                line = caller_lines()[int(chance.integers(len(caller_lines())))]
                voice = np.resize(to_float(read_wav(line.path, rate)), frames)
                values += np.roll(voice, int(chance.integers(frames)))
        case kind if kind.lower().endswith(".wav"):
            values = to_float(read_wav(folder / kind, rate))
        case kind:
            raise ValueError(
                f"{quoted(kind)} is neither a WAV file nor {', '.join(NOISES)}{did_you_mean(kind, NOISES)}"
            )
    rms = float(np.sqrt(np.mean(np.square(values, dtype=np.float64)))) if len(values) else 0.0
    if not rms:
        raise ValueError(f"{quoted(noise.kind)} is silent.")
    return (values * (10 ** ((_SPEECH_DBFS - noise.snr_db) / 20) / rms)).astype(np.float32)
