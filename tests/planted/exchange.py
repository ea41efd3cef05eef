"""Small exchanges in which the far side breaks one rule: one file per protocol, one line per rule."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from tui.protocols.base import (
    AgentEnd,
    AwaitsGoodbye,
    CallerEnd,
    CallerSettings,
    Finding,
    Incoming,
    ProtocolError,
)
from tui.protocols.registry import protocol_named

FOLDER = Path(__file__).parent / "exchanges"


class Exchange(msgspec.Struct, omit_defaults=True):
    """Everything that one end of a protocol does and receives until it reports the rule, exactly at the last step."""

    rule: str
    side: Literal["caller", "agent"]
    """The end that reports the rule: the caller for an agent's fault, the local agent for a client's fault."""
    steps: list[list[Any]]
    """Methods with their arguments, each preceded by the number of calls if that is not one.

    JSON messages are written as JSON; bytes are ``{"hex": "00ff", "times": 160}``, and a repeated part of a
    message is ``{"repeat": "x", "times": 5000}``.
    """
    settings: dict[str, Any] = {}
    """Settings of the caller that differ from the defaults."""
    ids: list[str] = []
    """The ids that the end generates, in order."""
    advice: bool = False

    def play(self, protocol: str) -> Iterator[list[Finding]]:
        """Yields the findings that the end reports at each step."""
        end = self._end(protocol)
        for step in self.steps:
            times, (name, *arguments) = (step[0], step[1:]) if isinstance(step[0], int) else (1, step)
            for _ in range(times - 1):
                getattr(end, name)(*map(_argument, arguments))
            if name == "goodbye":
                assert isinstance(end, AwaitsGoodbye)
                yield [] if end.goodbye_answered else [end.missing_goodbye]
                continue
            keywords = (
                arguments.pop() if arguments and name != "receive" and isinstance(arguments[-1], dict) else {}
            )
            if keywords.keys() == {"hex", "times"}:
                arguments, keywords = [*arguments, keywords], {}
            try:
                said = getattr(end, name)(*map(_argument, arguments), **keywords)
            except ProtocolError:
                said = None
            yield list(said.findings) if isinstance(said, Incoming) else []

    def _end(self, protocol: str) -> CallerEnd | AgentEnd:
        ids = iter([*self.ids, *(f"id-{number}" for number in range(len(self.ids), 10_000))])
        of = protocol_named(protocol)
        if self.side == "agent":
            return of.agent(lambda: next(ids), lambda: "2026-01-15T09:00:00.120Z")
        settings = msgspec.convert(self.settings, CallerSettings)
        return of.caller(settings, lambda: next(ids), lambda: "2026-01-15T09:00:00.120Z")


def exchanges(protocol: str) -> list[Exchange]:
    """Returns the exchanges of a protocol."""
    path = FOLDER / f"{protocol}.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [msgspec.convert(json.loads(line), Exchange) for line in lines]


def _argument(value: Any) -> Any:
    match value:
        case {"hex": str(pattern), "times": int(times)}:
            return bytes.fromhex(pattern) * times
        case Mapping():
            return json.dumps(_repeated(value))
        case _:
            return value


def _repeated(value: Any) -> Any:
    match value:
        case {"repeat": item, "times": int(times)}:
            return item * times
        case Mapping():
            return {name: _repeated(member) for name, member in value.items()}
        case _:
            return value
