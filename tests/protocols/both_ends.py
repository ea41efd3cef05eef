"""Connects a protocol's two ends, and reads the example sessions that both have to understand."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from tui.protocols.base import AgentEnd, CallerEnd, Incoming, Outgoing, TelephonyEvent, TelephonyEventType

Side = Literal["caller", "agent"]


def example(name: str) -> list[dict[str, Any]]:
    """Returns the lines of an example session: messages with their directions."""
    path = Path(__file__).parent / "examples" / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def messages_from(side: Side, lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns the messages of one side."""
    direction = "c2s" if side == "caller" else "s2c"
    return [line["message"] for line in lines if line["dir"] == direction]


class Line:
    """Connects the two ends in memory. Every message is received and answered immediately."""

    def __init__(self, caller: CallerEnd, agent: AgentEnd) -> None:
        self._receive = {"caller": caller.receive, "agent": agent.receive}
        self.heard_by: dict[Side, list[TelephonyEvent]] = {"caller": [], "agent": []}

    def to_agent(self, frames: Sequence[Outgoing] | None) -> None:
        self._carry("agent", frames or ())

    def to_caller(self, frames: Sequence[Outgoing]) -> None:
        self._carry("caller", frames)

    def hear(self, listener: Side, frame: Outgoing) -> Incoming:
        """Asserts that the other end knows the message and has no finding about it."""
        incoming = self._receive[listener](frame.frame)
        assert (incoming.kind, incoming.known, incoming.findings) == (frame.kind, True, ())
        assert incoming.audio_ms == frame.audio_ms
        self.heard_by[listener] += incoming.events
        return incoming

    def types_heard_by(self, listener: Side) -> list[TelephonyEventType]:
        return [event.type for event in self.heard_by[listener]]

    def audio_heard_by(self, listener: Side) -> bytes:
        return b"".join(event.audio for event in self.heard_by[listener])

    def _carry(self, listener: Side, frames: Sequence[Outgoing]) -> None:
        under_way = deque((listener, frame) for frame in frames)
        while under_way:
            listener, frame = under_way.popleft()
            speaker: Side = "caller" if listener == "agent" else "agent"
            under_way.extend((speaker, reply) for reply in self.hear(listener, frame).replies)
