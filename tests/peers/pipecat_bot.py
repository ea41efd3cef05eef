"""A bot on one of pipecat's serializers, and a strict call to it by the headless client."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
from pipecat.frames.frames import InputAudioRawFrame, InterruptionFrame, OutputAudioRawFrame
from websockets.asyncio.server import ServerConnection, serve

from tests.agent.calls import line_named, prompt

_LOUD = 300.0


class Bot(ABC):
    """Greets, answers each turn with a prompt, and interrupts itself when the caller speaks."""

    RATE: ClassVar[int]
    MESSAGE_BYTES: ClassVar[int]
    PACE_S: ClassVar[float]
    """Time between two messages."""
    PAUSE_FRAMES: ClassVar[int]
    """Quiet messages that end the caller's turn."""
    LEAST_LOUD: ClassVar[int]
    """Loud messages that make a turn."""

    def __init__(self, socket: ServerConnection) -> None:
        self.socket = socket
        self.serializer: Any = None
        self.turns = self.interruptions = 0
        self._speaking: asyncio.Task[None] | None = None
        self._loud = self._quiet = 0

    @abstractmethod
    async def hold(self) -> None:
        """Hold the call until the caller hangs up."""

    async def hear(self, frame: InputAudioRawFrame) -> None:
        """Take audio of the caller; stops when they speak, and answers when they have spoken."""
        samples = np.frombuffer(frame.audio, np.int16).astype(np.float64)
        if np.sqrt(np.mean(samples**2)) > _LOUD:
            self._loud, self._quiet = self._loud + 1, 0
            await self._stop()
        else:
            self._quiet += 1
        if self._loud >= self.LEAST_LOUD and self._quiet == self.PAUSE_FRAMES:
            self._loud = 0
            self.turns += 1
            self.say("waiting")

    def say(self, name: str) -> None:
        """Begin to speak a prompt."""
        speaking = self._speak(prompt(name, rate=self.RATE))
        self._speaking = asyncio.create_task(speaking)  # noqa: TID251  # kept until it is cancelled

    async def send(self, frame: Any) -> None:
        """Send a frame; a serializer has nothing to send of some, and its resampler keeps the first audio."""
        if message := await self.serializer.serialize(frame):
            await self.socket.send(message)

    async def _speak(self, pcm: bytes) -> None:
        for at in range(0, len(pcm), self.MESSAGE_BYTES):
            await self.send(OutputAudioRawFrame(pcm[at : at + self.MESSAGE_BYTES], self.RATE, 1))
            await asyncio.sleep(self.PACE_S)

    async def _stop(self) -> None:
        if self._speaking and not self._speaking.done():
            self._speaking.cancel()
            self.interruptions += 1
            await self.send(InterruptionFrame())


B = TypeVar("B", bound=Bot)


async def strict_call(kind: type[B], path: str, folder: Path, *options: str) -> tuple[B, bytes]:
    """Returns the bot of a strict call in which two lines are spoken, and what the call printed."""
    bots: list[B] = []

    async def answer(socket: ServerConnection) -> None:
        bots.append(kind(socket))
        await bots[-1].hold()

    async with serve(answer, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        says = [
            argument for name in ("hours", "number") for argument in ("--say", str(line_named(name).path))
        ]
        command = [f"ws://127.0.0.1:{port}{path}", *says, "--strict", "--timeout", "8", *options]
        call = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tui", "call", *command,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, "XDG_DATA_HOME": str(folder)},
        )  # fmt: skip
        try:
            printed, _ = await call.communicate()
        finally:
            with contextlib.suppress(ProcessLookupError):
                call.kill()
    assert call.returncode == 0, printed.decode()
    (bot,) = bots
    return bot, printed
