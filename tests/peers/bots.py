"""A bot on a third party's telephony code, and a call to it with two turns, keys, an interruption and a hang-up."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sys
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
from pipecat.frames.frames import InputAudioRawFrame, InputDTMFFrame, InterruptionFrame, OutputAudioRawFrame
from websockets.asyncio.server import ServerConnection, serve

from tests.agent.calls import prompt
from tui.exit_code import ExitCode

SCENARIO = Path(__file__).parent / "whole.call.toml"
_LOUD = 300.0
_LEAST_LOUD_MS = 80
_PAUSE_MS = 500
"""Length of silence that ends the caller's turn.

Measured in time, because a serializer that resamples joins messages.
"""
_GREETING = "confirmed"
_ANSWERS = ("listening", "workshop", "confirmed")
"""Answers to the turns of the scenario. The second is long and is interrupted."""
_INTERRUPTED = "workshop"
_ENOUGH_MS = 700
"""Length to which uninterrupted audio is cut, because the call lasts as long as its audio."""


class Bot(ABC):
    """Greets at the first audio of the caller, answers each turn with a prompt, and stops when the caller speaks."""

    RATE: ClassVar[int] = 8_000
    MESSAGE_MS: ClassVar[int] = 20

    def __init__(self, socket: ServerConnection) -> None:
        self.socket = socket
        self.turns = self.interruptions = 0
        self.keys = ""
        self._greeted = False
        self._speaking: asyncio.Task[None] | None = None
        self._loud_ms = self._quiet_ms = 0.0

    @abstractmethod
    async def hold(self) -> None:
        """Handles the call until the caller hangs up."""

    @abstractmethod
    async def send(self, frame: Any) -> None:
        """Sends audio or a flush."""

    async def take(self, frame: Any) -> None:
        """Takes a serializer's result for a message: audio, a key, or an answer that the protocol requires."""
        match frame:
            case InputAudioRawFrame():
                await self.hear(frame.audio)
            case InputDTMFFrame():
                self.keys += frame.button.value
            case None:
                pass
            case _:
                await self.send(frame)

    async def hear(self, pcm: bytes) -> None:
        """Takes the caller's audio; stops when the caller speaks, and answers afterwards."""
        if not self._greeted:
            self._greeted = True
            self._say(_GREETING)
        samples = np.frombuffer(pcm, np.int16).astype(np.float64)
        audio_ms = 1_000 * len(samples) / self.RATE
        if np.sqrt(np.mean(samples**2)) > _LOUD:
            self._loud_ms, self._quiet_ms = self._loud_ms + audio_ms, 0
            await self._stop()
        else:
            self._quiet_ms += audio_ms
        if self._loud_ms >= _LEAST_LOUD_MS and self._quiet_ms >= _PAUSE_MS:
            self._loud_ms = 0
            self.turns += 1
            self._say(_ANSWERS[self.turns - 1])

    def _say(self, name: str) -> None:
        pcm = prompt(name, rate=self.RATE)
        speaking = self.speak(pcm if name == _INTERRUPTED else pcm[: 2 * self.RATE * _ENOUGH_MS // 1_000])
        self._speaking = asyncio.create_task(speaking)  # noqa: TID251  # kept until it is cancelled

    async def speak(self, pcm: bytes) -> None:
        """Sends a prompt slightly faster than real time."""
        size = 2 * self.RATE * self.MESSAGE_MS // 1_000
        due_s = asyncio.get_running_loop().time()
        for at in range(0, len(pcm), size):
            await self.send(OutputAudioRawFrame(pcm[at : at + size], self.RATE, 1))
            due_s += 0.9 * self.MESSAGE_MS / 1_000  # a serializer that resamples takes the time from this
            await asyncio.sleep(max(due_s - asyncio.get_running_loop().time(), 0))

    async def _stop(self) -> None:
        if self._speaking and not self._speaking.done():
            self._speaking.cancel()
            self.interruptions += 1
            await self.send(InterruptionFrame())

    def leave(self) -> None:
        """Stops speaking after the caller has hung up."""
        if self._speaking:
            self._speaking.cancel()


B = TypeVar("B", bound=Bot)


async def whole_call(kind: type[B], path: str, folder: Path, *options: str) -> B:
    """Runs a strict call that has to match the scenario; returns the bot."""
    bots: list[B] = []

    async def answer(socket: ServerConnection) -> None:
        bots.append(kind(socket))
        await bots[-1].hold()
        bots[-1].leave()

    async with serve(answer, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        command = ["test", str(SCENARIO), "--url", f"ws://127.0.0.1:{port}{path}", *options]
        test = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tui", *command,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, "XDG_DATA_HOME": str(folder)},
        )  # fmt: skip
        try:
            printed, _ = await test.communicate()
        finally:
            with contextlib.suppress(ProcessLookupError):
                test.kill()
    # A busy machine sends late, so no times are judged then; the audio that the bot received still is.
    words = printed.decode()
    assert test.returncode in (ExitCode.FINE, ExitCode.NOT_JUDGED), words
    assert "failed" not in words, words
    for rule in ("findings ≤ 0", "errors ≤ 0"):
        assert re.search(rf"passed +whole.call.toml:\d+ +{rule}", words) or test.returncode == 0, words
    (bot,) = bots
    assert (bot.turns, bot.interruptions, bot.keys) == (3, 1, "5#")
    return bot
