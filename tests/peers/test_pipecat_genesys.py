"""A bot on pipecat's Genesys serializer, called by the headless client as Genesys Cloud would call it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("pipecat", reason="run: tests/peers/run")

from pipecat.frames.frames import InputAudioRawFrame
from pipecat.serializers.genesys import GenesysAudioHookSerializer

from tests.peers.conftest import LIMIT_S
from tests.peers.pipecat_bot import Bot, strict_call

pytestmark = [pytest.mark.xdist_group("peers"), pytest.mark.timeout(2 * LIMIT_S)]


class GenesysBot(Bot):
    """Greets at the first audio, because the session is open by then."""

    RATE = 8_000
    MESSAGE_BYTES = 2 * RATE // 5
    """200 ms, as pipecat's documentation asks for: Genesys Cloud limits the number of messages."""
    PACE_S = 0.19
    PAUSE_FRAMES = 3
    LEAST_LOUD = 1

    async def hold(self) -> None:
        """Hold the call until the caller hangs up."""
        self.serializer = GenesysAudioHookSerializer()
        await self.serializer.setup(
            SimpleNamespace(audio_in_sample_rate=self.RATE, audio_out_sample_rate=self.RATE)
        )
        greeted = False
        async for message in self.socket:
            frame = await self.serializer.deserialize(message)
            if isinstance(frame, InputAudioRawFrame):
                if not greeted:
                    greeted = True
                    self.say("confirmed")
                await self.hear(frame)
            elif frame is not None:
                await self.send(frame)


async def test_a_strict_call_of_two_turns_succeeds(tmp_path: Path) -> None:
    bot, _ = await strict_call(GenesysBot, "/genesys", tmp_path)
    assert bot.turns == 2
