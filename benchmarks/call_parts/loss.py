"""Counts the samples lost in a long call, in which noise with identifiable samples is sent both ways at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

import numpy as np

from benchmarks.call_parts.agent import Agent, Call
from benchmarks.call_parts.devices import RATE, Recorder, Samples, speak
from benchmarks.call_parts.program import call
from benchmarks.call_parts.result import judged
from benchmarks.call_parts.truth import Account, account
from benchmarks.measuring import Measured

_PEAK = 1_000
_CHATTER_S = 0.1
_REST_S = 5
"""Time in seconds for queued audio to be heard, even if it is late."""


def coded(seconds: float, seed: int) -> Samples:
    """Returns noise without zero samples.

    Any hundred consecutive samples are unique, so their position can be determined, and the noise cannot be
    mistaken for silence.
    """
    random = np.random.default_rng(seed)
    frames = int(seconds * RATE)
    sizes, signs = random.integers(1, _PEAK, frames), random.integers(0, 2, frames) * 2 - 1
    return (sizes * signs).astype(np.int16)


class Chatter:
    """The agent's script: speaks continuously, and keeps the log busy with words and unknown messages."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples
        self.done = False

    async def __call__(self, call: Call) -> None:
        """Runs until all audio has been sent."""
        chatter = asyncio.ensure_future(self._chat(call))
        try:
            await call.say(self._samples)
            await call.tell(type="end")
        finally:
            chatter.cancel()
            self.done = True

    async def _chat(self, call: Call) -> None:
        words = 0
        while True:
            await asyncio.sleep(_CHATTER_S)
            words += 1
            await call.tell(type="transcript", text=f"word {words}", final=words % 20 == 0)
            await call.tell(type="progress", step=words)


def measure(environment: Mapping[str, str], minutes: float) -> tuple[list[Measured], list[str]]:
    """Makes a call of that length; returns rows for the table and lines with details."""
    user, agent_says = coded(minutes * 60, 1), coded(minutes * 60, 2)
    script = Chatter(agent_says)
    with Agent(script) as agent, Recorder(environment) as recorder, call(environment, agent.url) as held:
        held.record()
        speak(environment, user).wait()
        while not script.done:
            time.sleep(0.1)
        time.sleep(_REST_S)
    tracks, (heard,) = recorder.tracks(), agent.calls
    device = account(user, tracks.microphone)
    sent, played = account(user, heard.received_samples()), account(agent_says, tracks.speaker)
    counted = ", ".join(f"{loss} {amount:g}" for loss, amount in held.shown().losses.items()) or "nothing"
    rows = [
        _lost(f"samples lost, microphone → agent, {minutes:g} min", sent),
        _lost(f"samples lost, agent → speaker, {minutes:g} min", played),
        Measured("silence put between them by a late device or agent", _gaps(played)),
        Measured("what the program counted as lost", counted),
    ]
    lines = [
        f"at the device itself: {device.told()}",
        f"microphone → agent: {sent.told()}",
        f"agent → speaker: {played.told()}",
    ]
    return rows, lines


def _lost(what: str, account: Account) -> Measured:
    return judged(what, account.lost, 0, "", told=f"of {account.sent:,}")


def _gaps(account: Account) -> str:
    return f"{len(account.gaps)} times, {account.gap_ms:.0f} ms in all"
