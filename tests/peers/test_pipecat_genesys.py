"""A bot on pipecat's Genesys serializer, called by the headless client as Genesys Cloud would call it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pipecat", reason="run: tests/peers/run")

from pipecat.frames.frames import InputAudioRawFrame, InterruptionFrame, OutputAudioRawFrame
from pipecat.serializers.genesys import GenesysAudioHookSerializer
from websockets.asyncio.server import ServerConnection, serve

from tests.agent.calls import line_named, prompt
from tests.peers.conftest import LIMIT_S

pytestmark = [pytest.mark.xdist_group("peers"), pytest.mark.timeout(2 * LIMIT_S)]

_RATE = 8_000
_MESSAGE_BYTES = 2 * _RATE // 5
"""200 ms, as pipecat's documentation asks for: Genesys Cloud limits the number of messages."""
_LOUD = 300.0
_PAUSE_FRAMES = 3


class Bot:
    """Greets, answers each turn with a prompt, and interrupts itself when the caller speaks."""

    def __init__(self, socket: ServerConnection) -> None:
        self._socket = socket
        self._serializer = GenesysAudioHookSerializer()
        self._speaking: asyncio.Task[None] | None = None
        self.turns = 0

    async def hold(self) -> None:
        """Hold the call until the caller hangs up."""
        await self._serializer.setup(SimpleNamespace(audio_in_sample_rate=_RATE, audio_out_sample_rate=_RATE))
        loud = quiet = 0
        greeted = False
        async for message in self._socket:
            frame = await self._serializer.deserialize(message)
            if isinstance(frame, InputAudioRawFrame):
                if not greeted:
                    greeted = True
                    self._say("confirmed")
                samples = np.frombuffer(frame.audio, np.int16).astype(np.float64)
                if np.sqrt(np.mean(samples**2)) > _LOUD:
                    loud, quiet = loud + 1, 0
                    await self._stop()
                else:
                    quiet += 1
                if loud and quiet == _PAUSE_FRAMES:
                    loud = 0
                    self.turns += 1
                    self._say("waiting")
            elif frame is not None:
                await self._send(frame)

    def _say(self, name: str) -> None:
        self._speaking = asyncio.create_task(self._speak(prompt(name, rate=_RATE)))  # noqa: TID251  # kept

    async def _speak(self, pcm: bytes) -> None:
        for at in range(0, len(pcm), _MESSAGE_BYTES):
            await self._send(OutputAudioRawFrame(pcm[at : at + _MESSAGE_BYTES], _RATE, 1))
            await asyncio.sleep(0.19)

    async def _stop(self) -> None:
        if self._speaking and not self._speaking.done():
            self._speaking.cancel()
            await self._send(InterruptionFrame())

    async def _send(self, frame: Any) -> None:
        if message := await self._serializer.serialize(frame):
            await self._socket.send(message)


async def test_a_strict_call_of_two_turns_succeeds(tmp_path: Path) -> None:
    bots: list[Bot] = []

    async def answer(socket: ServerConnection) -> None:
        bots.append(Bot(socket))
        await bots[-1].hold()

    async with serve(answer, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        says = [
            argument for name in ("hours", "number") for argument in ("--say", str(line_named(name).path))
        ]
        command = [f"ws://127.0.0.1:{port}/genesys", *says, "--strict", "--timeout", "8"]
        call = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tui", "call", *command,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, "XDG_DATA_HOME": str(tmp_path)},
        )  # fmt: skip
        try:
            printed, _ = await call.communicate()
        finally:
            with contextlib.suppress(ProcessLookupError):
                call.kill()
    assert call.returncode == 0, printed.decode()
    assert [bot.turns for bot in bots] == [2]
