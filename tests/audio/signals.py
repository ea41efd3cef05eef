"""Generates audio signals for tests."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tui.audio.pcm import from_float


def tone(rate: int, seconds: float, hz: float = 440.0, amplitude: float = 0.5) -> bytes:
    return from_float(amplitude * np.sin(2 * np.pi * hz * np.arange(round(rate * seconds)) / rate))


def noise(rate: int, seconds: float, rms: float, seed: int = 1) -> NDArray[np.float64]:
    return np.random.default_rng(seed).standard_normal(round(rate * seconds)) * rms


def voice(rate: int, seconds: float, amplitude: float = 0.5) -> NDArray[np.float64]:
    """Returns a signal that the Silero network accepts as speech: a gliding buzz through two moving formants."""
    t = np.arange(round(rate * seconds)) / rate
    phase = np.cumsum(120 + 25 * np.sin(2 * np.pi * 1.7 * t)) / rate
    first = 500 + 250 * np.sin(2 * np.pi * 3.1 * t)
    second = 1_500 + 500 * np.sin(2 * np.pi * 2.3 * t + 1)
    sound = np.zeros_like(t)
    for harmonic in range(1, 30):
        hz = harmonic * 120
        weight = np.exp(-(((hz - first) / 150) ** 2)) + 0.6 * np.exp(-(((hz - second) / 250) ** 2)) + 0.02
        sound += weight * np.sin(2 * np.pi * harmonic * phase)
    sound *= 0.75 + 0.25 * np.sin(2 * np.pi * 4 * t)
    return np.asarray(amplitude * sound / np.abs(sound).max(), np.float64)


def silence_around(
    sound: NDArray[np.float64], rate: int, before_s: float, after_s: float
) -> NDArray[np.float64]:
    return np.concatenate([np.zeros(round(rate * before_s)), sound, np.zeros(round(rate * after_s))])
