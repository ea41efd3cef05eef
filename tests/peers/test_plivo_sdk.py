"""A bot on Plivo's own SDK, whose types judge every message, called by the headless client as Plivo would call it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pipecat", reason="run: tests/peers/run")
pytest.importorskip("plivo", reason="run: tests/peers/run")
pytest.importorskip("plivo_stream", reason="run: tests/peers/run")

from pipecat.frames.frames import InputAudioRawFrame, InterruptionFrame
from plivo.utils import validate_v3_signature
from plivo_stream.websockets import PlivoWebsocketStreamingHandler

from tests.peers.conftest import LIMIT_S
from tests.peers.pipecat_bot import Bot, strict_call
from tui.audio.g711 import decode_mulaw, encode_mulaw
from tui.protocols.base import CallerSettings
from tui.protocols.telephony.plivo import PlivoCaller

pytestmark = [pytest.mark.xdist_group("peers"), pytest.mark.timeout(2 * LIMIT_S)]


class PlivoSdkBot(Bot):
    """Sets a checkpoint after every message, and clears what was not played when it is interrupted."""

    RATE = 8_000
    MESSAGE_BYTES = 2 * RATE // 50
    PACE_S = 0.018
    PAUSE_FRAMES = 25
    LEAST_LOUD = 4
    GREETING = "confirmed"

    def __init__(self, socket: Any) -> None:
        super().__init__(socket)
        self.stream: Any = PlivoWebsocketStreamingHandler()
        self.headers = ""
        self.played: list[str] = []
        self.cleared = 0
        self.errors: list[Exception] = []

    async def hold(self) -> None:
        """Hold the call until the caller hangs up."""
        stream = self.stream

        @stream.on_start
        async def started(event: Any) -> None:
            self.headers = event.extra_headers
            self.say(self.GREETING)

        @stream.on_media
        async def heard(event: Any) -> None:
            await self.hear(InputAudioRawFrame(decode_mulaw(event.get_raw_media()), self.RATE, 1))

        @stream.on_played_stream
        async def played(event: Any) -> None:
            self.played.append(event.name)

        @stream.on_cleared_audio
        async def cleared(_: Any) -> None:
            self.cleared += 1

        @stream.on_error
        async def failed(error: Exception) -> None:
            if self.socket.close_code is None:  # it may still speak when the caller hangs up
                self.errors.append(error)

        await stream.handle(self.socket)
        if self._speaking:
            self._speaking.cancel()

    async def send(self, frame: Any) -> None:
        """Send audio and a checkpoint, or a flush."""
        if isinstance(frame, InterruptionFrame):
            await self.stream.send_clear_audio()
            return
        await self.stream.send_media(encode_mulaw(frame.audio))
        await self.stream.send_checkpoint(f"{self.turns}")


class LengthyBot(PlivoSdkBot):
    GREETING = "greeting"


async def test_a_strict_call_of_two_turns_succeeds(tmp_path: Path) -> None:
    bot, _ = await strict_call(PlivoSdkBot, "/plivo", tmp_path, "--param", "tier=gold")
    assert (bot.turns, bot.errors, bot.headers) == (2, [], "tier=gold")
    assert set(bot.played) == {"0", "1", "2"} or set(bot.played) == {"0", "1"}


async def test_a_caller_who_interrupts_silences_the_bot(tmp_path: Path) -> None:
    """A line is spoken a second after the bot began to, whether it has finished or not."""
    bot, _ = await strict_call(LengthyBot, "/plivo", tmp_path, "--max-turn", "1")
    assert bot.errors == []
    assert bot.cleared == bot.interruptions > 0


@pytest.mark.parametrize("url", ["https://bot.example/plivo", "https://bot.example/plivo?b=2&a=1&b=%20x"])
def test_plivos_helper_accepts_the_signature_of_our_caller(url: str) -> None:
    """It takes web addresses only; nothing else depends on the scheme."""
    headers = PlivoCaller(CallerSettings(), lambda: "n1", lambda: "now").request_headers(url, "secret")
    signature, nonce = headers["X-Plivo-Signature-V3"], headers["X-Plivo-Signature-V3-Nonce"]
    assert validate_v3_signature("GET", url, nonce, "secret", signature)
    assert not validate_v3_signature("GET", url + "x", nonce, "secret", signature)
