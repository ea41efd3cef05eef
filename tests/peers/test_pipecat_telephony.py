"""Bots on pipecat's telephony serializers, called by the headless client as each provider would call them."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("pipecat", reason="run: tests/peers/run")

from pipecat.frames.frames import InputAudioRawFrame
from pipecat.serializers.exotel import ExotelFrameSerializer
from pipecat.serializers.plivo import PlivoFrameSerializer
from pipecat.serializers.telnyx import TelnyxFrameSerializer
from pipecat.serializers.vonage import VonageFrameSerializer

from tests.peers.conftest import LIMIT_S
from tests.peers.pipecat_bot import Bot, strict_call

pytestmark = [pytest.mark.xdist_group("peers"), pytest.mark.timeout(LIMIT_S)]


class StreamBot(Bot):
    """Greets once the stream has started, and clears the caller's buffer when it is interrupted."""

    RATE = 8_000
    MESSAGE_BYTES = 2 * RATE // 50
    PACE_S = 0.018
    PAUSE_FRAMES = 25
    LEAST_LOUD = 4

    async def hold(self) -> None:
        """Hold the call until the caller hangs up."""
        self.serializer = await self.started()
        await self.serializer.setup(SimpleNamespace(audio_in_sample_rate=self.RATE))
        self.say("confirmed")
        async for message in self.socket:
            frame = await self.serializer.deserialize(message)
            if isinstance(frame, InputAudioRawFrame):
                await self.hear(frame)

    async def started(self) -> Any:
        """Returns the serializer for the stream that the first messages start."""
        raise NotImplementedError

    async def next(self, event: str) -> Any:
        """Returns the next message, which must have that event."""
        message = json.loads(await self.socket.recv())
        assert message["event"] == event
        return message


class TelnyxBot(StreamBot):
    async def started(self) -> Any:
        await self.next("connected")
        start = await self.next("start")
        encoding = start["start"]["media_format"]["encoding"]
        params = TelnyxFrameSerializer.InputParams(auto_hang_up=False)
        return TelnyxFrameSerializer(start["stream_id"], encoding, encoding, params=params)


class PlivoBot(StreamBot):
    async def started(self) -> Any:
        start = await self.next("start")
        params = PlivoFrameSerializer.InputParams(auto_hang_up=False)
        return PlivoFrameSerializer(start["start"]["streamId"], params=params)


class ExotelBot(StreamBot):
    PAUSE_FRAMES = 5
    LEAST_LOUD = 1

    async def started(self) -> Any:
        await self.next("connected")
        start = (await self.next("start"))["start"]
        assert start["custom_parameters"]["tier"] == "gold"
        return ExotelFrameSerializer(start["stream_sid"], call_sid=start["call_sid"])


class VonageBot(StreamBot):
    RATE = 16_000
    MESSAGE_BYTES = 2 * RATE // 50

    async def started(self) -> Any:
        await self.next("websocket:connected")
        return VonageFrameSerializer()


@pytest.mark.parametrize(
    ("bot", "path"),
    [
        (TelnyxBot, "/telnyx"),
        (PlivoBot, "/plivo"),
        (ExotelBot, "/exotel?tier=gold"),
        (VonageBot, "/vonage"),
    ],
)
async def test_a_strict_call_of_two_turns_succeeds(bot: type[StreamBot], path: str, tmp_path: Path) -> None:
    held, _ = await strict_call(bot, path, tmp_path)
    assert held.turns == 2
