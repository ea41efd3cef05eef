"""Tests a bot on Plivo's own SDK, called by the headless client. The SDK's types check every message."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pipecat", reason="run: tests/peers/run")
pytest.importorskip("plivo", reason="run: tests/peers/run")
pytest.importorskip("plivo_stream", reason="run: tests/peers/run")

from pipecat.frames.frames import InterruptionFrame
from plivo.utils import validate_v3_signature
from plivo_stream.websockets import PlivoWebsocketStreamingHandler

from tests.peers.bots import Bot, whole_call
from tests.peers.conftest import LIMIT_S
from tui.audio.g711 import decode_mulaw, encode_mulaw
from tui.protocols.base import CallerSettings
from tui.protocols.telephony.plivo import PlivoCaller

pytestmark = [pytest.mark.xdist_group("peers"), pytest.mark.timeout(LIMIT_S)]


class PlivoSdkBot(Bot):
    """Sets a checkpoint after every message, and clears unplayed audio when it is interrupted."""

    def __init__(self, socket: Any) -> None:
        super().__init__(socket)
        self.stream: Any = PlivoWebsocketStreamingHandler()
        self.headers = ""
        self.played: list[str] = []
        self.cleared = 0
        self.errors: list[Exception] = []

    async def hold(self) -> None:
        """Handles the call until the caller hangs up."""
        stream = self.stream

        @stream.on_start
        async def started(event: Any) -> None:
            self.headers = event.extra_headers

        @stream.on_media
        async def heard(event: Any) -> None:
            await self.hear(decode_mulaw(event.get_raw_media()))

        @stream.on_dtmf
        async def pressed(event: Any) -> None:
            self.keys += event.dtmf.digit

        @stream.on_played_stream
        async def played(event: Any) -> None:
            self.played.append(event.name)

        @stream.on_cleared_audio
        async def cleared(_: Any) -> None:
            self.cleared += 1

        @stream.on_error
        async def failed(error: Exception) -> None:
            if self.socket.close_code is None:  # the bot may still be speaking when the caller hangs up
                self.errors.append(error)

        await stream.handle(self.socket)

    async def send(self, frame: Any) -> None:
        """Sends audio and a checkpoint, or a flush."""
        if isinstance(frame, InterruptionFrame):
            await self.stream.send_clear_audio()
            return
        await self.stream.send_media(encode_mulaw(frame.audio))
        await self.stream.send_checkpoint(f"{self.turns}")


async def test_a_whole_call(tmp_path: Path) -> None:
    bot = await whole_call(PlivoSdkBot, "/plivo", tmp_path, "--param", "tier=gold")
    assert (bot.errors, bot.headers, bot.cleared) == ([], "tier=gold", 1)
    assert set(bot.played) >= {
        "0",
        "1",
        "3",
    }  # a checkpoint after every message of the greeting and of the answers


@pytest.mark.parametrize("url", ["https://bot.example/plivo", "https://bot.example/plivo?b=2&a=1&b=%20x"])
def test_plivos_helper_accepts_the_signature_of_our_caller(url: str) -> None:
    """The helper accepts only web addresses; nothing else depends on the scheme."""
    headers = PlivoCaller(CallerSettings(), lambda: "n1", lambda: "now").request_headers(url, "secret")
    signature, nonce = headers["X-Plivo-Signature-V3"], headers["X-Plivo-Signature-V3-Nonce"]
    assert validate_v3_signature("GET", url, nonce, "secret", signature)
    assert not validate_v3_signature("GET", url + "x", nonce, "secret", signature)
