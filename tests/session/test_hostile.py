"""Tests that nothing the far side sends ends the call, blocks it, or uses unbounded memory."""

from __future__ import annotations

import asyncio
import base64
import time

import pytest

from tests.session.scripted import Peer, accepts, call_to
from tui.engine import wire
from tui.models import events as e
from tui.models.events import Status
from tui.models.log.event_log import EventLog

FLOOD = 20_000
SECOND = base64.b64encode(bytes(32_000)).decode()


@pytest.mark.parametrize(
    "message", ['{"type":"what.is.this"}', "[1", '{"type":"playStream.chunk","audioChunk":"!"}']
)
async def test_a_flood_is_reported_in_a_few_events_and_the_call_goes_on(message: str) -> None:
    async def floods(peer: Peer) -> None:
        for _ in range(FLOOD):
            await peer.socket.send(message)
        await peer.play("after", blocks=5)

    async with call_to(accepts(floods)) as held:
        began_s = time.monotonic()
        async with asyncio.timeout(30):
            await held.until(e.PlaybackStarted, lambda event: event.reply == "after")
        took_s = time.monotonic() - began_s
        assert held.session.state.status is Status.ACTIVE
    assert held.session.state.metrics.messages_received > FLOOD
    reported = [x for x in held.events if isinstance(x, e.ErrorRaised | e.FindingRaised | e.LossCounted)]
    assert len(reported) < 20 + 10 * took_s
    log = EventLog()
    for event in held.events:
        log.apply(event)
    assert len(log.rows) < 200 + 20 * took_s


async def test_ten_minutes_in_one_second_are_taken_whole() -> None:
    start = {"type": "playStream.start", "streamId": "long", "mediaFormat": "raw/lpcm16"}
    chunk = {"type": "playStream.chunk", "streamId": "long", "audioChunk": SECOND}
    stop = {"type": "playStream.stop", "streamId": "long"}
    async with call_to(accepts(lambda peer: peer.send(start, *[chunk] * 600, stop))) as held:
        await held.until(e.ReplyEnded)
        await held.session.user.interrupt()
    assert held.session.state.metrics.audio_received_ms == 600_000
    assert not [x for x in held.of(e.LossCounted) if x.loss is e.Loss.QUEUE_FULL]


async def test_figures_beyond_every_float_are_left_out() -> None:
    async def script(peer: Peer) -> None:
        await peer.send({"type": "session.created", "session": {"type": "realtime"}})
        await peer.until("session.update")
        await peer.send({"type": "session.updated", "session": {"type": "realtime"}})
        usage = '{"type":"response.done","response":{"id":"r","status":"completed","usage":{"total":1%s}}}'
        await peer.send(usage % ("0" * 30), usage % ("0" * 400))
        await peer.stay()

    async with call_to(script, protocol="openai") as held:
        reported = await held.until(e.UsageReported)
        await held.until_kind("response.done", after=reported.number)
    for event in held.events:
        assert wire.frame_items(wire.pack([wire.EventItem(event=event)])[4:])
