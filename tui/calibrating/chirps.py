"""Measures the round trip from the speaker to the microphone with chirps that the speaker plays.

Speech contains similar sounds, and starts and ends quietly, so its position is uncertain. A chirp is found to
the nearest sample, even if it is much quieter than the noise around it. Every device, and every sample rate
from 8 kHz, reproduces the frequencies of a chirp.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from tui.audio.pcm import from_float
from tui.calibrating.truth import CallerInLoop, PlayedTrack, Samples, find
from tui.units import NS_PER_MS

STARTS_MS = (60, 390, 830)
"""Start of each chirp of a set. The distances differ, so a set that is shifted by one chirp does not fit."""
LENGTH_MS = 1_100
"""Length of a set: the chirps and the silence around them."""
_CHIRP_MS, _FADE_MS = 160, 20
_FROM_HZ, _TO_HZ = 300.0, 3_000.0
_LOUDNESS = 0.25
_LIKE_ENOUGH = 0.3
"""Smallest correlation that counts as a match. Noise and recorded speech stayed below 0.17 (measured)."""
_EARLY_MS, _LATE_MS = 300, 1_500
"""Range around the expected time in which the chirps are searched for in the microphone's stream."""
_APART_MS = 60
"""Largest distance of a chirp from its place in the set. If a device runs dry, it delays the chirps that follow."""
_LEAST = 2


def chirps_pcm(rate: int) -> bytes:
    """Returns a set of chirps as 16-bit mono PCM, `LENGTH_MS` long."""
    samples = np.zeros(LENGTH_MS * rate // 1_000, np.float32)
    chirp = _chirp(rate)
    for start_ms in STARTS_MS:
        start = start_ms * rate // 1_000
        samples[start : start + len(chirp)] = chirp
    return from_float(samples)


def chirp_loops_ms(started_ns: int, caller: CallerInLoop, track: PlayedTrack) -> list[float]:
    """Returns how late the microphone heard each chirp of a set, in ms after the speaker was due to play it.

    ``started_ns`` is when the set was due to be heard. The list is empty if the microphone did not hear the
    set.
    """
    per_ms = track.rate // 1_000
    played = [
        place
        for start_ms in STARTS_MS
        if (place := _near(track.samples, track.frame_at(started_ns) + start_ms * per_ms, track.rate))
        is not None
    ]
    if len(played) < _LEAST:
        return []
    heard = caller.heard()
    # The whole pattern is located first, because single chirps are all alike.
    pattern = track.samples[played[0] : played[-1] + _CHIRP_MS * per_ms]
    due = caller.frame_at(track.at_ns(played[0]), track.rate)
    start = max(due - _EARLY_MS * per_ms, 0)
    found = find(heard[start : due + len(pattern) + _LATE_MS * per_ms], pattern, _LIKE_ENOUGH)
    if found is None:
        return []
    places = [(frame, _near(heard, start + found + frame - played[0], track.rate)) for frame in played]
    loops_ms = [
        (caller.at_ns(place, track.rate) - track.at_ns(frame)) / NS_PER_MS
        for frame, place in places
        if place is not None
    ]
    return loops_ms if len(loops_ms) >= _LEAST else []


def _near(samples: Samples, due: int, rate: int) -> int | None:
    """Returns the first frame of the chirp expected at frame ``due``; None if no chirp is close to it."""
    chirp, apart = _chirp(rate), _APART_MS * rate // 1_000
    start = max(due - apart, 0)
    found = find(samples[start : due + apart + len(chirp)], chirp, _LIKE_ENOUGH)
    return None if found is None else start + found


@cache
def _chirp(rate: int) -> Samples:
    """Returns a chirp: a linear sweep that fades in and out; float32 in -1..1."""
    at_s = np.arange(_CHIRP_MS * rate // 1_000) / rate
    rise_hz_per_s = (_TO_HZ - _FROM_HZ) * 1_000 / _CHIRP_MS
    sweep = np.sin(2 * np.pi * (_FROM_HZ * at_s + rise_hz_per_s * at_s**2 / 2))
    edges_ms = np.minimum(at_s, at_s[::-1]) * 1_000
    fade = np.sin(np.minimum(edges_ms / _FADE_MS, 1.0) * np.pi / 2) ** 2
    faded: Samples = (_LOUDNESS * fade * sweep).astype(np.float32)
    return faded
