"""Sends many mutated messages through both decoders of each protocol; only `ProtocolError` may escape.

    python -m tests.protocols.fuzz [COUNT] [PROTOCOL…]

`test_both_ends.py` does the same with fewer messages, which hypothesis generates.
"""

from __future__ import annotations

import json
import random
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

from tests.protocols.both_ends import example
from tests.protocols.hostile import check_incoming
from tests.protocols.messages import ACCEPTING, MESSAGES
from tests.protocols.test_both_ends import names_in, use
from tui.protocols.base import AgentEnd, CallerEnd, CallerSettings, Handshake, Incoming, ReadsHandshake
from tui.protocols.registry import protocol_named

_ATOMS: Sequence[Any] = (
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        8_000,
        2**70,
        -(2**70),
        2**64 - 1,
        1e300,
        -0.5,
        float("nan"),
        float("inf"),
    ),
    *(
        "",
        "x",
        "nan",
        "\ud800",
        "\udfff\x1b[2J",
        "=",
        "AAAA",
        "UklGRgAAAABXQVZF",
        "x" * 300,
        "9" * 5_000,
        "²",
    ),
    *("on", "clear", "none", "auto", "PT1S", "2026-01-01T00:00:00Z", "audio/pcm;rate=16000"),
    *([], {}, [[]], [{}], [None], {"x": None}),
)
_PER_CALL = 5
"""Number of messages that each pair of ends receives, so that states after the first are reached too."""
DIALECTS = {"voice-live": "/voice-live/realtime", "xai": "/xai/v1/realtime"}
"""Dialects with a separate decoder at the agent's end, with the paths that select them."""

_OPENAI = [line["message"] for line in example("openai-realtime")]
_SESSION = {
    "modalities": ["text", "audio"],
    "voice": {"type": "azure-standard", "name": "en-US-AvaNeural"},
    "input_audio_format": "pcm16",
    "input_audio_sampling_rate": 16_000,
    "output_audio_format": "pcm16_8000hz",
    "input_audio_transcription": {"model": "azure-speech"},
    "turn_detection": {"type": "azure_semantic_vad", "prefix_padding_ms": 300},
    "temperature": 0.7,
}
_PLACE = {"response_id": "r", "item_id": "i", "content_index": 0}
_VOICE_LIVE: list[dict[str, Any]] = [
    {"type": "session.update", "session": _SESSION},
    {"type": "session.updated", "session": _SESSION},
    {"type": "input_audio.turn.start", "turn_id": "t"},
    {"type": "input_audio.turn.append", "turn_id": "t", "audio": "AAAA"},
    {"type": "input_audio.turn.end", "turn_id": "t"},
    {"type": "input_audio.clear"},
    {"type": "output_audio_buffer.clear"},
    {"type": "response.create", "response": {"modalities": ["text"], "cancel_previous": True}},
    {"type": "response.audio.delta", **_PLACE, "delta": "AAAA"},
    {"type": "response.audio_timestamp.delta", **_PLACE, "text": "x", "audio_offset_ms": 1},
    {"type": "warning", "warning": {"message": "m", "code": "c"}},
]
SEEDS = {**MESSAGES, "openai": _OPENAI, "voice-live": [*_OPENAI, *_VOICE_LIVE], "xai": _OPENAI}
"""Valid messages of each protocol and dialect."""


class Pair:
    """Both ends of one call."""

    def __init__(self, name: str) -> None:
        path = DIALECTS.get(name, "")
        protocol = protocol_named("openai" if path else name)
        settings = CallerSettings(url=f"ws://127.0.0.1{path}")
        self.caller: CallerEnd = protocol.caller(settings, lambda: "id", lambda: "2026-01-01T00:00:00.000Z")
        self.agent: AgentEnd = protocol.agent(lambda: "id", lambda: "2026-01-01T00:00:00.000Z")
        if isinstance(self.agent, ReadsHandshake):
            self.agent.admit(Handshake(path=path))
        self.caller.opened()
        self.agent.opened()


class Mutations:
    """Mutated messages of a protocol, which are the same in every run."""

    def __init__(self, name: str) -> None:
        self._random = random.Random(name)
        self._messages = SEEDS[name]
        self._names = sorted(names_in(self._messages) | {"x"})

    def next(self) -> str | bytes:
        """Returns a message with up to four changes at any depth; some are cut, corrupted or binary."""
        chance = self._random
        message = json.loads(json.dumps(chance.choice(self._messages)))
        for _ in range(chance.randrange(5)):
            place = chance.choice(_objects(message))
            name = chance.choice([*place, *self._names])
            if chance.random() < 0.75:
                place[name] = self._value()
            else:
                place.pop(name, None)
        frame = json.dumps(message, ensure_ascii=chance.random() < 0.5)
        match chance.randrange(12):
            case 0:
                return frame[: chance.randrange(len(frame) + 1)]
            case 1:
                at = chance.randrange(len(frame) + 1)
                return (
                    frame[:at] + chr(chance.choice((0, 34, 92, 123, 125, 0xD800, 0x1F600))) + frame[at + 1 :]
                )
            case 2:
                return chance.randbytes(chance.choice((0, 1, 2, 160, 161, 640, 70_000)))
            case _:
                return frame

    def _value(self, depth: int = 0) -> Any:
        chance = self._random
        match chance.randrange(8) if depth < 3 else 0:
            case 6:
                return [self._value(depth + 1) for _ in range(chance.randrange(3))]
            case 7:
                return {
                    chance.choice(self._names): self._value(depth + 1) for _ in range(chance.randrange(3))
                }
            case _:
                return deepcopy(chance.choice(_ATOMS))


def _objects(value: Any) -> list[dict[str, Any]]:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    below = [found for child in children for found in _objects(child)]
    return [value, *below] if isinstance(value, dict) else below


def fuzz(name: str, count: int) -> Counter[str]:
    """Sends ``count`` messages to each end of a protocol; returns how often each fault occurred."""
    mutations, faults = Mutations(name), Counter[str]()
    accepting = ACCEPTING.get(name, '{"type":"session.created","session":{}}')
    pair = Pair(name)
    for number in range(count):
        if number % _PER_CALL == 0:
            pair = Pair(name)
            for receive in (pair.caller.receive, pair.agent.receive):
                _try(faults, receive, accepting)
        frame = mutations.next()
        for receive in (pair.caller.receive, pair.agent.receive):
            _try(faults, receive, frame)
        if number % _PER_CALL == _PER_CALL - 1:
            try:
                use(pair.caller, pair.agent)
            except Exception:  # noqa: BLE001  # each is counted
                faults["".join(traceback.format_exc().splitlines(keepends=True)[-3:])] += 1
    return faults


def _try(faults: Counter[str], receive: Callable[[str | bytes], Incoming], frame: str | bytes) -> None:
    try:
        check_incoming(receive, frame)
    except Exception:  # noqa: BLE001  # each is counted
        faults["".join(traceback.format_exc().splitlines(keepends=True)[-3:]) + repr(frame)[:300]] += 1


def main(count: int, names: Sequence[str]) -> int:
    """Prints a line for each protocol, and its faults. Returns the number of protocols with faults."""
    failed = 0
    for name in names or SEEDS:
        began = time.monotonic()
        faults = fuzz(name, count)
        failed += bool(faults)
        took_s = time.monotonic() - began
        print(f"{name:12} {count} messages to each end, {faults.total()} faults, {took_s:.0f} s", flush=True)
        for fault, times in faults.most_common(5):
            print(f"  {times} times:\n{fault}")
    return failed


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000, sys.argv[2:]))
