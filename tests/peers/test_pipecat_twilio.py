"""A bot on pipecat's Twilio serializer, called by the headless client as Twilio would call it."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("pipecat", reason="run: tests/peers/run")

from pipecat.frames.frames import InputAudioRawFrame
from pipecat.serializers.twilio import TwilioFrameSerializer

from tests.peers.conftest import LIMIT_S
from tests.peers.pipecat_bot import Bot, strict_call

pytestmark = [pytest.mark.xdist_group("peers"), pytest.mark.timeout(2 * LIMIT_S)]


class TwilioBot(Bot):
    """Greets once the stream has started, and clears the caller's buffer when it is interrupted."""

    RATE = 16_000
    MESSAGE_BYTES = 2 * RATE // 50
    PACE_S = 0.018
    PAUSE_FRAMES = 25
    LEAST_LOUD = 4

    async def hold(self) -> None:
        """Hold the call until the caller hangs up."""
        assert json.loads(await self.socket.recv())["event"] == "connected"
        sid = json.loads(await self.socket.recv())["start"]["streamSid"]
        self.serializer = TwilioFrameSerializer(
            sid, params=TwilioFrameSerializer.InputParams(auto_hang_up=False)
        )
        await self.serializer.setup(SimpleNamespace(audio_in_sample_rate=self.RATE))
        self.say("confirmed")
        async for message in self.socket:
            frame = await self.serializer.deserialize(message)
            if isinstance(frame, InputAudioRawFrame):
                await self.hear(frame)


async def called(folder: Path, *options: str) -> tuple[TwilioBot, list[str]]:
    """Returns the bot of a strict call, and why its audio was dropped each time."""
    bot, printed = await strict_call(TwilioBot, "/ws", folder, "--protocol", "twilio", "--json", *options)
    events = [json.loads(line) for line in printed.splitlines() if line.startswith(b"{")]
    return bot, [event["reason"] for event in events if event["event"] == "flushed"]


async def test_a_strict_call_of_two_turns_succeeds(tmp_path: Path) -> None:
    bot, dropped = await called(tmp_path)
    assert (bot.turns, bot.interruptions, dropped) == (2, 0, [])


async def test_a_caller_who_interrupts_silences_the_bot(tmp_path: Path) -> None:
    """A line is spoken a second after the bot began to, whether it has finished or not."""
    bot, dropped = await called(tmp_path, "--max-turn", "1")
    assert bot.interruptions > 0
    assert [reason for reason in dropped if reason != "hang-up"] == ["clear"] * bot.interruptions
