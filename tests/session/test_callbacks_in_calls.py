"""Tests that misbehaving callbacks do not lose a single sample in either direction of a live call."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.session.scripted import Call, Peer, accepts, active_call, agent, call, call_to, stays
from tui.assets import caller_lines
from tui.audio.wav import read_wav
from tui.callbacks import Registration
from tui.models import events as e
from tui.models.events import Status
from tui.models.sound.lines import line_of
from tui.websocket.message_handler import Received

YES = next(line for line in caller_lines() if line.name == "yes")
ANSWER = read_wav(YES.path, 16_000)


class UnhurriedClock:
    """Monotonic time in which nothing takes longer than half a second.

    Silence that was due more than a second ago is skipped and counted as a loss, which is right for a
    suspended program. Here, a callback blocks for a second, and additional delays of the machine must not
    matter.
    """

    LONGEST_NS = 500_000_000

    def __init__(self) -> None:
        self._read_ns = time.monotonic_ns()
        self._now_ns = self._read_ns

    def __call__(self) -> int:
        before_ns, self._read_ns = self._read_ns, time.monotonic_ns()
        self._now_ns += min(self._read_ns - before_ns, self.LONGEST_NS)
        return self._now_ns


def raises(held: Call) -> None:
    def callback(_: Received) -> None:
        raise RuntimeError("broken")

    held.session.messages.add_message_handler(callback)


def blocks_for_a_second(held: Call) -> None:
    def callback(_: Received) -> None:
        registration.unregister()
        time.sleep(1)

    registration = held.session.messages.add_message_handler(callback)


def is_removed_while_running(held: Call) -> None:
    registrations: list[Registration] = []

    async def callback(_: Received) -> None:
        registrations.pop().unregister()

    registrations.append(held.session.messages.add_message_handler(callback))


def blocks_in_the_capture_chain(held: Call) -> None:
    def step(block: bytes) -> bytes:
        registration.unregister()
        time.sleep(1)
        return block

    registration = held.audio.capture.chain.add_callback(step)


@pytest.mark.parametrize(
    "misbehave", [raises, blocks_for_a_second, is_removed_while_running, blocks_in_the_capture_chain]
)
async def test_not_a_sample_is_lost(misbehave: Callable[[Call], None]) -> None:
    heard_by_agent = bytearray()

    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.open_user_stream()
        await peer.play("answer", audio=ANSWER)
        async for frame in peer.socket:
            message: dict[str, Any] = json.loads(frame)
            heard_by_agent.extend(base64.b64decode(message.get("audioChunk", "")))

    async with active_call(script, audio_clock_ns=UnhurriedClock()) as held:
        misbehave(held)
        await held.session.user.speak(line_of(YES.path))
        ended = await held.until(e.PlaybackEnded)
        await held.until(e.LineChanged, lambda line: line.finished)
    assert ended.heard_ms == len(ANSWER) / 32
    assert ended.unheard_ms == 0
    assert ANSWER in bytes(heard_by_agent)
    assert {loss.loss for loss in held.of(e.LossCounted)} <= {e.Loss.CALLBACK_FAILED}


async def test_every_failure_of_a_callback_is_counted_and_reported_once_a_call() -> None:
    async def starts_often(peer: Peer) -> None:
        await peer.until("userStream.start")
        await peer.send(*[{"type": "userStream.started"}] * 4, {"type": "the-last"})

    async with agent(accepts(starts_often)) as url:
        for _ in range(2):
            async with call(url) as held:
                await held.until_status(Status.ACTIVE)
                raises(held)
                await held.session.user.record(True)
                await held.until_kind("the-last")
            assert sum(loss.count for loss in held.of(e.LossCounted)) == 5
            assert [(error.source, error.message) for error in held.of(e.ErrorRaised)] == [
                ("callback callback", "Failed on message: RuntimeError: broken.")
            ]


async def test_a_callback_that_fails_at_what_tells_of_its_failure_makes_no_end_of_it() -> None:
    async with call_to(stays) as held:
        held.session.state.add_metrics_update_callback(lambda _: 1 / 0)
        await held.until(e.LossCounted)
        await held.until_status(Status.ACTIVE)
        await asyncio.sleep(0.3)
    assert len(held.of(e.LossCounted)) <= 3
