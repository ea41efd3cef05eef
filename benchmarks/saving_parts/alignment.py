"""Compares the positions of sound on both tracks of a saved call with the devices and with each other."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.call_parts.agent import Agent, Call
from benchmarks.call_parts.devices import RATE, Recorder, Samples, speak
from benchmarks.call_parts.loss import coded
from benchmarks.call_parts.program import call
from benchmarks.call_parts.result import figure, judged
from benchmarks.measuring import Measured
from tui.saving.reading import open_session

BLOCK_MS = 20.0
_BURST_S, _PERIOD_S = 1.2, 4.0
_PROBE_FRAMES = RATE // 10
_INTO_BURST = RATE // 2
"""Position in a burst from which it is searched for.

A late device may insert a gap after the beginning of a burst.
"""


class Found(NamedTuple):
    """A burst on the device, and its position on the saved track; None if it is not there."""

    device_ns: float
    saved_ns: float | None


class Placed(NamedTuple):
    """A burst that is on both."""

    device_ns: float
    off_ms: float
    """How much later the burst is on the saved track than on the device."""


class Talking:
    """The agent's script: a reply every few seconds, during the user's speech and between."""

    def __init__(self, bursts: list[Samples]) -> None:
        self._bursts = bursts
        self.done = False

    async def __call__(self, call: Call) -> None:
        """Sends all replies."""
        due_s = asyncio.get_running_loop().time()
        for number, burst in enumerate(self._bursts):
            # In real time, faster, and all at once.
            await call.say(burst, pace=(1.0, 3.0, 100.0)[number % 3])
            await call.tell(type="end")
            # A period that drifts relative to the user's.
            due_s += _PERIOD_S + 0.37 * (number % 5)
            await asyncio.sleep(due_s - asyncio.get_running_loop().time())
        self.done = True


def measure(environment: Mapping[str, str], minutes: float) -> tuple[list[Measured], list[str]]:
    """Makes a call of that length; returns rows for the table and a line for each minute."""
    count = int(minutes * 60 / _PERIOD_S)
    user = [coded(_BURST_S, 100 + number) for number in range(count)]
    replies = [coded(_BURST_S, 10_000 + number) for number in range(int(count * 0.84))]
    silence = np.zeros(int((_PERIOD_S - _BURST_S) * RATE), np.int16)
    script = Talking(replies)
    with tempfile.TemporaryDirectory(prefix="saving-bench-") as name:
        parent = Path(name)
        with (
            Agent(script) as agent,
            Recorder(environment) as recorder,
            call(environment, agent.url, save=parent) as held,
        ):
            held.record()
            speak(environment, np.concatenate([piece for burst in user for piece in (burst, silence)])).wait()
            while not script.done:
                time.sleep(0.1)
            time.sleep(2)
        (session,) = parent.iterdir()
        with open_session(session) as saved:
            assert saved.audio
            pair = saved.audio.read(0, saved.audio.frames)
            origin_ns = float(saved.audio.starts_ns)
    devices, received = recorder.tracks(), agent.calls[0].received_samples().tobytes()
    # Audio that a late capture lost must not be on the track, which contains the user's audio as sent.
    sent = [burst for burst in user if _frame(received, _probe(burst)) is not None]
    kept = {"user": np.frombuffer(pair.user, "<i2"), "agent": np.frombuffer(pair.agent, "<i2")}
    found = {
        "user": _found(sent, devices.microphone, kept["user"], devices.origin_ns, origin_ns),
        "agent": _found(replies, devices.speaker, kept["agent"], devices.origin_ns, origin_ns),
    }
    counted = ", ".join(f"{loss} {amount:g}" for loss, amount in held.shown().losses.items()) or "nothing"
    rows = _rows(found, {"user": len(user), "agent": len(replies)}, minutes)
    return [*rows, Measured("what the program counted as lost", counted)], _lines(found)


def _found(
    bursts: list[Samples], device: Samples, saved: Samples, device_origin_ns: float, saved_origin_ns: float
) -> list[Found]:
    """Returns the bursts that were on the device, sample for sample."""
    found: list[Found] = []
    on_device, on_saved = device.tobytes(), saved.tobytes()
    for burst in bursts:
        probe = _probe(burst)
        at_device, at_saved = _frame(on_device, probe), _frame(on_saved, probe)
        if at_device is not None:
            device_ns = device_origin_ns + at_device * 1e9 / RATE
            saved_ns = None if at_saved is None else saved_origin_ns + at_saved * 1e9 / RATE
            found.append(Found(device_ns, saved_ns))
    return found


def _probe(burst: Samples) -> bytes:
    return burst[_INTO_BURST : _INTO_BURST + _PROBE_FRAMES].tobytes()


def _frame(track: bytes, probe: bytes) -> int | None:
    at = track.find(probe)
    while at % 2 and at >= 0:
        at = track.find(probe, at + 1)
    return at // 2 if at >= 0 else None


def _rows(found: Mapping[str, list[Found]], sent: Mapping[str, int], minutes: float) -> list[Measured]:
    rows = []
    placed = {who: _placed(each) for who, each in found.items()}
    for who, each in found.items():
        rows.append(
            Measured(f"{who}: bursts that came through whole, {minutes:g} min", f"{len(each)} of {sent[who]}")
        )
        missing = len(each) - len(placed[who])
        rows.append(judged(f"{who}: of them not on the track sample for sample", missing, 0, ""))
    for who, ones in placed.items():
        offs = [one.off_ms for one in ones]
        told = f"median {figure(statistics.median(offs))}" if offs else ""
        rows.append(judged(f"{who}: worst distance from the device", _most(offs), BLOCK_MS, told=told))
    rows.append(judged("user against agent, worst", _between(placed), BLOCK_MS))
    return rows


def _placed(found: list[Found]) -> list[Placed]:
    return [
        Placed(one.device_ns, (one.saved_ns - one.device_ns) / 1e6)
        for one in found
        if one.saved_ns is not None
    ]


def _between(placed: Mapping[str, list[Placed]]) -> float | None:
    """Returns the largest offset between a burst on one track and the next burst on the other."""
    if not all(placed.values()):
        return None
    apart = []
    for one in placed["user"]:
        other = min(placed["agent"], key=lambda each: abs(each.device_ns - one.device_ns))
        apart.append(one.off_ms - other.off_ms)
    return _most(apart)


def _most(values: list[float]) -> float | None:
    return max(map(abs, values)) if values else None


def _lines(found: Mapping[str, list[Found]]) -> list[str]:
    lines = []
    for who, each in found.items():
        for one in each:
            off = (
                "not on the track"
                if one.saved_ns is None
                else f"{(one.saved_ns - one.device_ns) / 1e6:+8.2f} ms"
            )
            lines.append(f"{who:5} at {(one.device_ns - each[0].device_ns) / 1e9:7.2f} s: {off}")
    return lines
