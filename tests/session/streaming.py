"""Makes calls in virtual time to agents that stream between their words: ``python -m tests.session.streaming CALL…``.

A call is ``PROTOCOL/BACKGROUND`` or ``PROTOCOL/TOOL``. Prints a line of JSON for each call. Both ends are real and in
one event loop, with a socket between them; see `tests.scenario.virtual` for the clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.scenario.virtual import Clock, VirtualLoop

SILENCE, NOISE, MUSIC = "silence", "noise", "music"
BACKGROUNDS = (SILENCE, NOISE, MUSIC)
ANSWERED, UNANSWERED, WITHOUT_A_WORD = "tool-answered", "tool-unanswered", "tool-without-a-word"
GREETS_AFTER_MS, ANSWERS_AFTER_MS = 400, 520
SCENARIO = """
[[step]]
expect = "agent speaks"
within = "2s"

[[step]]
say = "yes"

[[step]]
say = "yes"
when = "agent speaks + 500ms"

[[step]]
expect = "agent stops"
within = "1500ms"

[[step]]
expect = "agent answers"
within = "1s"
"""
GREETING = "confirmed"
WORDS = ("workshop", "")
"""The answers to the two turns: the first is interrupted, and the second is missing."""
_STEP_MS = 40
_QUIET_MS = 400
_LOUD = 0.02
_OPTIONS = {"openai": {"greet": "on"}, "gemini": {"greet": "on"}, "genesys": {"burst": "1000"}}
_TOOLS = "def lookup(day: str) -> str:\n    return 'nine to six'\n"
_AFTER_TOOL = {ANSWERED: "hours"}


class StreamingAgent:
    """An agent with any protocol that streams without a pause: background sound, replaced by words when it speaks.

    Stops its words when the user speaks, and never answers the last turn. With a tool, it pauses between its
    replies.
    """

    def __init__(self, socket: Any, protocol: Any, plan: str) -> None:
        from tui.protocols.base import Handshake, ReadsHandshake

        numbers = itertools.count(1)
        self.socket = socket
        self._is_cut_by_speech = protocol.name in ("audiocodes", "openai", "deepgram", "gemini")
        """Whether a caller drops the rest of a reply once the agent has announced the user's speech."""
        self._muted = False
        """Whether nothing is streamed until the agent speaks again."""
        self.agent = protocol.agent(lambda: f"id-{next(numbers)}", lambda: "2026-01-01T00:00:00.000Z")
        self.plan = plan
        if isinstance(self.agent, ReadsHandshake):
            self.agent.admit(Handshake(path=protocol.path))
        self.said_ns: list[int] = []
        """Times at which sending the words of each answer began."""
        self.turn_ended_ns: list[int] = []
        self._accepted = asyncio.Event()
        self._ids = itertools.count(1)
        self._reply = ""
        self._words = b""
        self._due: list[tuple[int, str]] = []
        self._loud_ms = self._quiet_ms = 0.0

    async def hold(self) -> None:
        """Handles the call until the caller leaves."""
        from websockets.exceptions import ConnectionClosed

        await self._send(self.agent.opened())
        with contextlib.suppress(ConnectionClosed):
            async with asyncio.TaskGroup() as tasks:
                speaking = tasks.create_task(self._speak())
                await self._listen()
                speaking.cancel()

    async def _listen(self) -> None:
        from tui.audio.formats import StreamDecoder
        from tui.audio.pcm import to_float
        from tui.protocols.base import TelephonyEventType as Type

        async for frame in self.socket:
            incoming = self.agent.receive(frame)
            await self._send(incoming.replies)
            if self.agent.play_format is not None and self.agent.user_format is not None:
                self._accepted.set()
            for event in incoming.events:
                match event.type:
                    case Type.USER_STREAM_CHUNK:
                        audio_format = event.format or self.agent.user_format
                        pcm = to_float(StreamDecoder(audio_format).feed(event.audio))
                        length_ms = 1_000 * len(pcm) / audio_format.rate
                        await self._hear(float(abs(pcm).max(initial=0)) > _LOUD, length_ms)
                    case Type.TOOL_OUTPUT:
                        self._later(400, _AFTER_TOOL.get(self.plan, ""))
                    case Type.SESSION_END:
                        return
                    case _:
                        pass

    async def _hear(self, loud: bool, length_ms: float) -> None:
        if loud:
            if not self._loud_ms:
                await self._send(self.agent.speech_started())
                if self._words or self._is_cut_by_speech:
                    await self._interrupt()
                    self._muted = self._is_cut_by_speech
            self._loud_ms, self._quiet_ms = self._loud_ms + length_ms, 0.0
        elif self._loud_ms:
            self._quiet_ms += length_ms
            if self._quiet_ms >= _QUIET_MS:
                self._loud_ms = 0.0
                await self._turn_ended()

    async def _turn_ended(self) -> None:
        await self._send(self.agent.speech_stopped())
        self.turn_ended_ns.append(time.monotonic_ns() - _QUIET_MS * 1_000_000)
        number = len(self.turn_ended_ns)
        if self.plan in BACKGROUNDS:
            self._later(ANSWERS_AFTER_MS - _QUIET_MS, WORDS[min(number, len(WORDS)) - 1])
        elif self.plan != WITHOUT_A_WORD:
            self._later(100, "listening")
        else:
            await self._call_tool()

    async def _call_tool(self) -> None:
        await self._send(self.agent.call_tool("lookup", {"day": "Sunday"}))

    def _later(self, after_ms: float, name: str) -> None:
        if name:
            self._due.append((time.monotonic_ns() + round(after_ms * 1e6), name))

    async def _interrupt(self) -> None:
        if self._reply:
            await self._send(self.agent.say_stop(self._reply, interrupted=True))
            self._reply, self._words = "", b""

    async def _speak(self) -> None:
        """Sends 40 ms of audio every 40 ms."""
        from tui.protocols.base import RunsOnUserAudio

        await self._accepted.wait()
        if self.plan in BACKGROUNDS:
            self._later(GREETS_AFTER_MS, GREETING)
        due_s = asyncio.get_running_loop().time()
        for step in itertools.count():
            await self._say_due()
            if block := self._block(step):
                if not self._reply:
                    self._reply = f"play-{next(self._ids)}"
                    await self._send(self.agent.say_start(self._reply))
                await self._send(self.agent.say_audio(self._reply, block))
            elif self._reply and not self._muted:
                await self._send(self.agent.say_stop(self._reply))
                self._reply = ""
                if len(self.said_ns) == 1:
                    await self._call_tool()
            if isinstance(self.agent, RunsOnUserAudio):
                self.agent.pass_time(self.agent.heard_ms)
                await self._send(self.agent.track())
            due_s += _STEP_MS / 1_000
            await asyncio.sleep(max(due_s - asyncio.get_running_loop().time(), 0))

    async def _say_due(self) -> None:
        from tests.agent.calls import prompt

        now_ns = time.monotonic_ns()
        for due in [due for due in self._due if due[0] <= now_ns]:
            self._due.remove(due)
            self._words, self._muted = prompt(due[1], rate=self.agent.play_format.rate), False
            self.said_ns.append(now_ns)

    def _block(self, step: int) -> bytes:
        """Returns the next 40 ms of audio: words or the stream between them; empty if nothing is streamed."""
        from tui.audio.formats import encode

        rate = self.agent.play_format.rate
        size = 2 * rate * _STEP_MS // 1_000
        block, self._words = self._words[:size], self._words[size:]
        if self.plan in BACKGROUNDS and not self._muted:
            block += self._background(step, rate)[len(block) :]
        return encode(block, self.agent.play_format)

    def _background(self, step: int, rate: int) -> bytes:
        import numpy as np

        from tui.audio.pcm import from_float

        length = rate * _STEP_MS // 1_000
        at_s = (step * length + np.arange(length)) / rate
        sound = np.zeros(length)
        if self.plan == NOISE:
            sound = np.random.default_rng(step).standard_normal(length) * 0.001
        elif self.plan == MUSIC and self.said_ns:  # music before the greeting would count as a greeting
            hz = (262, 330, 392, 523)[step // 8 % 4]
            sound = 0.1 * (np.sin(2 * np.pi * hz * at_s) + np.sin(2 * np.pi * 2 * hz * at_s))
        return from_float(sound)

    async def _send(self, frames: Iterable[Any]) -> None:
        for frame in frames:
            await self.socket.send(frame.frame)


async def _streamed(target: Any, agents: list[StreamingAgent], folder: Path) -> dict[str, Any]:
    """Plays the scenario; returns the verdicts, and the measurements with the agent's true times."""
    from tui.scenario.holding import hold
    from tui.scenario.lines import lines_of
    from tui.scenario.player import Aids
    from tui.scenario.reading import read_scenario
    from tui.session.live import LiveSession

    path = folder / "streamed.call.toml"
    path.write_text(SCENARIO)
    scenario = read_scenario(path)
    sessions: list[LiveSession] = []
    run = await hold(scenario, target, aids=Aids(lines_of(scenario)), follow=sessions.append)
    metrics = sessions[0].state.metrics
    (agent,) = agents
    return {
        "verdicts": [[case.name, case.verdict, case.reason] for case in run.cases],
        "reasons": run.late or run.not_applicable or run.unreachable,
        "greeting_ms": metrics.greeting_latency_ms,
        "response_ms": [turn.response_latency_ms for turn in metrics.turns[1:]],
        "unmeasured": [turn.unmeasured for turn in metrics.turns[1:]],
        "answered_ms": [
            (said_ns - ended_ns) / 1e6
            for said_ns, ended_ns in zip(agent.said_ns[1:], agent.turn_ended_ns, strict=False)
        ],
        "barge_ins": [each.kind for each in metrics.barge_ins],
    }


async def _with_tool(target: Any, folder: Path) -> dict[str, Any]:
    """Makes a headless call with one line to an agent that calls a tool; returns the outcome."""
    from tui import call as headless
    from tui.assets import caller_lines
    from tui.handlers.tools.file import load_tools

    file = folder / "tools.py"
    file.write_text(_TOOLS)
    line = next(line for line in caller_lines() if line.name == "yes")
    failed: list[tuple[int, str, str]] = []
    explained: list[str] = []
    code = await headless.call(
        target,
        headless.Script([line.path], 2.0),
        tools=load_tools(file),
        show=lambda _: None,
        explain=explained.append,
        failed=lambda code, reason, message: failed.append((int(code), reason, message)),
    )
    return {"code": int(code), "explained": explained, "failed": failed}


async def make(call: str, folder: Path) -> dict[str, Any]:
    """Makes one call; returns the output about it."""
    from websockets.asyncio.server import ServerConnection, serve

    from tui.models.target import Target
    from tui.protocols.registry import protocol_named

    name, plan = call.split("/")
    protocol = protocol_named(name)
    agents: list[StreamingAgent] = []

    async def answer(socket: ServerConnection) -> None:
        agents.append(StreamingAgent(socket, protocol, plan))
        await agents[-1].hold()

    def chosen(_: object, offered: Any) -> Any:
        return next(iter(offered), None)

    async with serve(answer, "127.0.0.1", 0, compression=None, select_subprotocol=chosen) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        options = _OPTIONS.get(name, {}) if plan in BACKGROUNDS else {}
        target = Target(
            url=f"ws://127.0.0.1:{port}{protocol.path}",
            protocol=name,
            options=options,
            greeting_timeout_s=0.1,
        )
        if plan in BACKGROUNDS:
            return await _streamed(target, agents, folder)
        return await _with_tool(target, folder)


async def make_all(calls: list[str]) -> None:
    """Makes the calls one after another, because each takes over the signals of the process."""
    for call in calls:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps({"call": call, **await make(call, Path(folder))}), flush=True)


def main() -> None:
    """Makes the calls named on the command line."""
    clock = Clock()
    # Done before importing anything that uses the clock as a default value.
    time.monotonic, time.monotonic_ns = clock.monotonic, clock.monotonic_ns
    VirtualLoop(clock).run_until_complete(make_all(sys.argv[1:]))


if __name__ == "__main__":
    main()
