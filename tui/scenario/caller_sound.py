"""CallerSound: adds background noise and line effects to a caller's voice.

The noise is seeded, so that every run uses the same noise.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
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
"""The level of active speech to which the signal-to-noise ratio refers: the nominal level in ITU-T P.56."""
_RATE = 16_000
_PERIOD_S = 10
"""Length of one period of a noise, in seconds."""
_LONGEST_S = 60
"""How much of a WAV file is used as the repeating noise, in seconds."""
_VOICES = 6
_HUM_HZ = 50.0
_CODECS = {"mulaw": Encoding.MULAW, "alaw": Encoding.ALAW}


class CallerSound:
    """The last step of the capture chain: adds noise, applies the line's codec, and drops packets.

    ``rate`` returns the rate of the blocks in Hz, which is known once the agent has accepted the call. Raises
    `ScenarioError` if the noise cannot be read.
    """

    def __init__(self, scenario: Scenario, rate: Callable[[], int]) -> None:
        self._noise = scenario.caller.noise
        self._line = scenario.caller.line
        self._rate = rate
        self._noises: dict[int, NDArray[np.float32]] = {}
        """One period of the noise, by rate."""
        self._position = 0
        self._chance = np.random.default_rng(self._line.seed if self._line else 0)
        if self._noise:
            # Before the call, because creating babble takes a third of a second and would block the event loop.
            self._noises = _prepared(self._noise, scenario)

    def __call__(self, block: bytes) -> bytes:
        """Returns the block with noise and line effects; its length is unchanged."""
        if self._noise:
            block = self._with_noise(block, self._noise)
        if self._line and self._line.codec in _CODECS:
            media = AudioFormat(_CODECS[self._line.codec], self._rate())
            block = StreamDecoder(media).feed(encode(block, media))
        if self._line and self._line.loss and self._chance.random() < self._line.loss:
            return bytes(len(block))
        return block

    def _with_noise(self, block: bytes, noise: Noise) -> bytes:
        rate = self._rate()
        if rate not in self._noises:
            self._noises[rate] = _at_rate(self._noises[_RATE], rate, noise)
        values = self._noises[rate]
        frames = len(block) // 2
        at = (self._position + np.arange(frames)) % len(values)
        self._position = (self._position + frames) % len(values)
        return from_float(to_float(block) + values[at])


def _prepared(noise: Noise, scenario: Scenario) -> dict[int, NDArray[np.float32]]:
    """Returns one period of a noise at each usual sample rate of calls, by rate. Raises `ScenarioError`."""
    try:
        made = _noise_values(noise, scenario.path.parent)
    except (AudioFileError, ValueError) as error:
        raise ScenarioError(f"{scenario.path}: noise: {error}") from error
    return {rate: _at_rate(made, rate, noise) for rate in (_RATE, 8_000, 24_000)}


def _at_rate(values: NDArray[np.float32], rate: int, noise: Noise) -> NDArray[np.float32]:
    """Resamples one period of the noise from 16 kHz, and scales it to the noise level.

    The result still loops without a click.
    """
    frames = max(len(values) * rate // _RATE, 1)
    found = np.fft.irfft(np.fft.rfft(values)[: frames // 2 + 1], frames)
    rms = float(np.sqrt(np.mean(np.square(found))))
    return (found * (10 ** ((_SPEECH_DBFS - noise.snr_db) / 20) / (rms or 1.0))).astype(np.float32)


@lru_cache(maxsize=8)
def _noise_values(noise: Noise, folder: Path) -> NDArray[np.float32]:
    """Returns one period of a noise at 16 kHz, at an arbitrary level. Raises `AudioFileError`, `ValueError`."""
    chance = np.random.default_rng(noise.seed)
    rate = _RATE
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
            values = to_float(read_wav(folder / kind, rate))[: _LONGEST_S * rate]
        case kind:
            raise ValueError(
                f"unknown noise {quoted(kind)}: use a WAV file or {', '.join(NOISES)}{did_you_mean(kind, NOISES)}"
            )
    if not np.any(values):
        raise ValueError(f"{quoted(noise.kind)} is silent.")
    return values.astype(np.float32)
