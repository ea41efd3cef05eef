"""Makes calls with several protocols at once, all on one microphone and one speaker.

Runs as a separate program, because PortAudio reads the device list only once. Prints the results for the
audio as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import TypeVar

from tests.e2e.terminal import say
from tui.agent.process import start_agent
from tui.agent.settings import AgentSettings
from tui.assets import caller_lines
from tui.models import events as e
from tui.models.audio_manager import AudioManager
from tui.models.target import Target
from tui.protocols.abilities import lacking
from tui.protocols.registry import protocol_named
from tui.session.live import LiveSession

_LIMIT_S = 20
_KEYS = ("dtmf", "websocket:dtmf", "DTMF_END")
"""Names of a pressed key in the protocols."""
_OPTIONS = {"gemini": {"greet": "on"}}
_LINES = {line.name: line.path for line in caller_lines()}


E = TypeVar("E", bound=e.SessionEvent)


class Call:
    """A call on the devices, and its events."""

    def __init__(self, protocol: str, url: str) -> None:
        self._target = Target(url=url, protocol=protocol, options=_OPTIONS.get(protocol, {}))
        self._audio = AudioManager()
        self.events: list[e.SessionEvent] = []
        self._changed = asyncio.Event()
        self.session: LiveSession
        self.running: asyncio.Future[None]

    async def start(self) -> None:
        await self._audio.configure(input="virtual_mic", output="virtual_speaker", latency="0.2")
        self.session = LiveSession(self._target, self._audio, tools=(), sink=self._take)
        self.running = asyncio.ensure_future(self.session.run())

    def _take(self, event: e.SessionEvent) -> None:
        self.events.append(event)
        self._changed.set()

    async def until(self, kind: type[e.SessionEvent], count: int = 1) -> None:
        try:
            async with asyncio.timeout(_LIMIT_S):
                while len(self.of(kind)) < count:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            seen = [type(each).__name__ for each in self.events if not isinstance(each, e.MessageLogged)]
            raise AssertionError(f"{self._target.protocol}: no {kind.__name__} in {seen}") from None

    async def end_when_interrupted(self) -> None:
        await self.until(e.Flushed)
        self.session.hang_up()
        await self.running
        await self._audio.close()

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    def result(self) -> dict[str, object]:
        """Returns how much audio arrived, was played and was dropped, in ms, and the findings and losses."""
        messages, ended = self.of(e.MessageLogged), self.of(e.PlaybackEnded)
        received = sum(each.audio_ms for each in messages if each.direction is e.Direction.RECEIVED)
        return {
            "received_ms": received,
            "greeting_ms": ended[0].heard_ms,
            "played_ms": sum(event.heard_ms for event in ended),
            "dropped_ms": sum(event.unheard_ms for event in ended),
            "replies": len(ended),
            "keys": sum(event.kind in _KEYS and event.direction is e.Direction.SENT for event in messages),
            "flushes": sum(event.by_agent for event in self.of(e.Flushed)),
            "findings": [event.rule for event in self.of(e.FindingRaised) if not event.advice],
            "errors": [event.message for event in self.of(e.ErrorRaised)],
            "status": str(self.session.state.status),
        }


async def hold(protocols: list[str]) -> dict[str, object]:
    """Makes calls with a greeting, a turn, a key and an interrupted turn; returns the results for the audio."""
    with start_agent(AgentSettings()) as agent:
        calls = {name: Call(name, agent.url(protocol_named(name).path)) for name in protocols}
        await asyncio.gather(*(call.start() for call in calls.values()))
        for call in calls.values():
            await call.until(e.PlaybackEnded)
            await call.session.user.record(True)
        await asyncio.to_thread(say, os.environ, _LINES["yes"])
        for name, call in calls.items():
            await call.until(e.PlaybackEnded, 2)
            if has_keys(name):
                call.session.user.send_dtmf("5")
        for name, call in calls.items():
            await call.until(e.PlaybackEnded, 2 + has_keys(name))
        await asyncio.to_thread(say, os.environ, _LINES["services"])
        for name, call in calls.items():
            await call.until(e.PlaybackStarted, 3 + has_keys(name))
        # The answer is long, so speak over it with a line that lasts until every call has noticed.
        interrupting = await asyncio.create_subprocess_exec(
            "paplay", "--device=virtual_mic_feed", _LINES["lamp"]
        )
        # Each call hangs up immediately, because the agent would begin another answer in a pause of the line.
        await asyncio.gather(*(call.end_when_interrupted() for call in calls.values()))
        interrupting.terminate()
        await interrupting.wait()
    return {name: call.result() for name, call in calls.items()}


def has_keys(protocol: str) -> bool:
    """Returns whether the protocol has a message for a pressed key, to which the local agent replies."""
    return not lacking(protocol).keypad


if __name__ == "__main__":
    print(json.dumps(asyncio.run(hold(sys.argv[1:]))))
