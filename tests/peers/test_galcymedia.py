"""Tests a bot on galcymedia, called by `opusagent-tui test` in the role of Asterisk."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pipecat", reason="run: tests/peers/run")
pytest.importorskip("galcymedia", reason="run: tests/peers/run")

from galcymedia.session import Session
from pipecat.frames.frames import InterruptionFrame

from tests.peers.bots import Bot, whole_call
from tests.peers.conftest import LIMIT_S

pytestmark = [pytest.mark.xdist_group("peers"), pytest.mark.timeout(LIMIT_S)]


class AsteriskBot(Bot):
    """A provider for galcymedia's session. Buffers each prompt, whose end is acknowledged, and a mark after it."""

    RATE = 16_000

    def __init__(self, socket: Any) -> None:
        super().__init__(socket)
        self.session: Any = None
        self.marks: list[asyncio.Event] = []
        self.events: list[str] = []
        self._buffers = False

    async def hold(self) -> None:
        """Handles the call until the caller hangs up."""
        session = Session(self.socket, self._provide, on_event=self._note, forward_dtmf=True)
        await session.run()

    def _provide(self, session: Any) -> Any:
        self.session = session
        return self

    def _note(self, name: str, payload: dict[str, Any]) -> None:
        self.events.append(name)

    async def start(self) -> None:
        """Handles the start of the call; called by the session."""
        assert self.session.media.channel_variables == {"tier": "gold"}
        assert self.session.media.audio_format == "slin16"
        self.session.accept_audio()
        await self.session.answer()
        await self.session.request_status()

    async def send_audio(self, chunk: bytes) -> None:
        """Takes a frame of the caller's audio; called by the session."""
        await self.hear(chunk)

    async def on_dtmf(self, digit: str) -> None:
        """Takes a key; called by the session."""
        self.keys += digit

    async def close(self) -> None:
        """Handles the end of the call; called by the session."""

    async def send(self, frame: Any) -> None:
        """Sends audio or a flush."""
        if isinstance(frame, InterruptionFrame):
            self._buffers = False
            await self.session.flush()
            return
        if not self._buffers:
            self._buffers = True
            await self.session.start_buffering()
        await self.session.send_audio(frame.audio)

    async def speak(self, pcm: bytes) -> None:
        """Sends a prompt, ends buffering and sets a mark; both are acknowledged once the prompt was heard."""
        await super().speak(pcm)
        self._buffers = False
        self.marks += [await self.session.stop_buffering(), await self.session.mark()]


async def test_a_whole_call(tmp_path: Path) -> None:
    options = ("--protocol", "asterisk", "--format", "slin16", "--param", "tier=gold")
    bot = await whole_call(AsteriskBot, "/media", tmp_path, *options)
    assert [mark.is_set() for mark in bot.marks] == [
        True
    ] * 6  # after the greeting, the first and the last answer
    assert bot.events[:2] == ["MEDIA_START", "STATUS"]
    acknowledged = ["MEDIA_BUFFERING_COMPLETED", "MEDIA_MARK_PROCESSED"]
    assert [name for name in bot.events if name in acknowledged] == acknowledged * 3
    assert bot.events[-1] == "HANGUP"
    assert "ERROR" not in bot.events
