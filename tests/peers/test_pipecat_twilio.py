"""A bot on pipecat's Twilio serializer, called by the headless client as Twilio would call it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("pipecat", reason="run: tests/peers/run")

from pipecat.frames.frames import InputAudioRawFrame, InterruptionFrame, OutputAudioRawFrame
from pipecat.serializers.twilio import TwilioFrameSerializer
from websockets.asyncio.server import ServerConnection, serve

from tests.agent.calls import line_named, prompt
from tests.peers.conftest import LIMIT_S

pytestmark = [pytest.mark.xdist_group("peers"), pytest.mark.timeout(2 * LIMIT_S)]

_RATE = 16_000
_FRAME_BYTES = 2 * _RATE // 50
_LOUD = 300.0
_PAUSE_FRAMES = 25


class Bot:
    """Greets, answers each turn with a prompt, and clears the caller's buffer when it is interrupted."""

    def __init__(self, socket: ServerConnection) -> None:
        self._socket = socket
        self._speaking: asyncio.Task[None] | None = None
        self.turns = self.interruptions = 0

    async def hold(self) -> None:
        """Hold the call until the caller hangs up."""
        assert json.loads(await self._socket.recv())["event"] == "connected"
        sid = json.loads(await self._socket.recv())["start"]["streamSid"]
        self._serializer = TwilioFrameSerializer(
            sid, params=TwilioFrameSerializer.InputParams(auto_hang_up=False)
        )
        await self._serializer.setup(SimpleNamespace(audio_in_sample_rate=_RATE))
        self._say("confirmed")
        loud = quiet = 0
        async for message in self._socket:
            frame = await self._serializer.deserialize(message)
            if not isinstance(frame, InputAudioRawFrame):
                continue
            samples = np.frombuffer(frame.audio, np.int16).astype(np.float64)
            if np.sqrt(np.mean(samples**2)) > _LOUD:
                loud, quiet = loud + 1, 0
                await self._stop()
            else:
                quiet += 1
            if loud > 3 and quiet == _PAUSE_FRAMES:
                loud = 0
                self.turns += 1
                self._say("waiting")

    def _say(self, name: str) -> None:
        self._speaking = asyncio.create_task(self._speak(prompt(name)))  # noqa: TID251  # kept until it is cancelled

    async def _speak(self, pcm: bytes) -> None:
        for at in range(0, len(pcm), _FRAME_BYTES):
            frame = OutputAudioRawFrame(pcm[at : at + _FRAME_BYTES], _RATE, 1)
            if message := await self._serializer.serialize(frame):  # its resampler keeps the first one
                await self._socket.send(message)
            await asyncio.sleep(0.018)

    async def _stop(self) -> None:
        if self._speaking and not self._speaking.done():
            self._speaking.cancel()
            self.interruptions += 1
            await self._socket.send(await self._serializer.serialize(InterruptionFrame()))


async def called(folder: Path, *options: str) -> tuple[Bot, list[str]]:
    """Returns the bot of a strict call in which two lines are spoken, and why its audio was dropped each time."""
    bots: list[Bot] = []

    async def answer(socket: ServerConnection) -> None:
        bots.append(Bot(socket))
        await bots[-1].hold()

    async with serve(answer, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        says = [
            argument for name in ("hours", "number") for argument in ("--say", str(line_named(name).path))
        ]
        command = [f"ws://127.0.0.1:{port}/ws", "--protocol", "twilio", *says, "--strict", "--timeout", "8"]
        call = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tui", "call", *command, "--json", *options,
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
