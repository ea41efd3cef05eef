"""Tests bots on pipecat's telephony serializers, called by `opusagent-tui test` in the role of each provider."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("pipecat", reason="run: tests/peers/run")

from pipecat.serializers.exotel import ExotelFrameSerializer
from pipecat.serializers.genesys import GenesysAudioHookSerializer
from pipecat.serializers.plivo import PlivoFrameSerializer
from pipecat.serializers.telnyx import TelnyxFrameSerializer
from pipecat.serializers.twilio import TwilioFrameSerializer
from pipecat.serializers.vonage import VonageFrameSerializer

from tests.peers.bots import Bot, whole_call
from tests.peers.conftest import LIMIT_S

pytestmark = [pytest.mark.xdist_group("peers"), pytest.mark.timeout(LIMIT_S)]


class SerializerBot(Bot):
    """A bot whose messages are read and written by one of pipecat's serializers."""

    serializer: Any

    async def hold(self) -> None:
        """Handles the call until the caller hangs up."""
        self.serializer = await self.started()
        rates = {"audio_in_sample_rate": self.RATE, "audio_out_sample_rate": self.RATE}
        await self.serializer.setup(SimpleNamespace(**rates))
        async for message in self.socket:
            await self.take(await self.serializer.deserialize(message))

    async def send(self, frame: Any) -> None:
        """Sends a frame.

        For some frames, a serializer sends nothing, and its resampler holds back the first audio.
        """
        if message := await self.serializer.serialize(frame):
            await self.socket.send(message)

    async def started(self) -> Any:
        """Returns the serializer for the stream that the first messages start."""
        raise NotImplementedError

    async def next(self, event: str) -> Any:
        """Returns the next message, which must be this event."""
        message = json.loads(await self.socket.recv())
        assert message["event"] == event
        return message


class TwilioBot(SerializerBot):
    RATE = 16_000

    async def started(self) -> Any:
        await self.next("connected")
        start = await self.next("start")
        params = TwilioFrameSerializer.InputParams(auto_hang_up=False)
        return TwilioFrameSerializer(start["start"]["streamSid"], params=params)


class TelnyxBot(SerializerBot):
    async def started(self) -> Any:
        await self.next("connected")
        start = await self.next("start")
        encoding = start["start"]["media_format"]["encoding"]
        params = TelnyxFrameSerializer.InputParams(auto_hang_up=False)
        return TelnyxFrameSerializer(start["stream_id"], encoding, encoding, params=params)


class PlivoBot(SerializerBot):
    async def started(self) -> Any:
        start = await self.next("start")
        params = PlivoFrameSerializer.InputParams(auto_hang_up=False)
        return PlivoFrameSerializer(start["start"]["streamId"], params=params)


class ExotelBot(SerializerBot):
    async def started(self) -> Any:
        await self.next("connected")
        start = (await self.next("start"))["start"]
        assert start["custom_parameters"]["tier"] == "gold"
        return ExotelFrameSerializer(start["stream_sid"], call_sid=start["call_sid"])


class VonageBot(SerializerBot):
    RATE = 16_000

    async def started(self) -> Any:
        await self.next("websocket:connected")
        return VonageFrameSerializer()


class GenesysBot(SerializerBot):
    MESSAGE_MS = 200
    """Message length required by pipecat's documentation, because Genesys Cloud limits the number of messages."""

    async def started(self) -> Any:
        return GenesysAudioHookSerializer()


@pytest.mark.parametrize(
    ("bot", "path"),
    [
        (TwilioBot, "/twilio"),
        (TelnyxBot, "/telnyx"),
        (PlivoBot, "/plivo"),
        (ExotelBot, "/exotel?tier=gold"),
        (VonageBot, "/vonage"),
        (GenesysBot, "/genesys"),
    ],
)
async def test_a_whole_call(bot: type[SerializerBot], path: str, tmp_path: Path) -> None:
    await whole_call(bot, path, tmp_path)
