"""Generated events: those of a busy call, and a worse mix than any call's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from tui.models import events as e

KEPT_MESSAGES, KEPT_BYTES = 1_000, 900
"""Number and size of the raw messages in the session file, which events share; see `write_messages`."""
SENT, RECEIVED = e.Direction.SENT, e.Direction.RECEIVED


def message(
    number: int, direction: e.Direction, kind: str, summary: str, audio_ms: float = 0.0
) -> e.SessionEvent:
    return e.MessageLogged(
        number=number,
        at_ns=number * 10_000_000,
        direction=direction,
        kind=kind,
        summary=summary,
        size_bytes=900 if audio_ms else 250,
        offset=number % KEPT_MESSAGES * KEPT_BYTES,
        audio_ms=audio_ms,
    )


def of_a_call(number: int) -> e.SessionEvent:
    """Returns an event of a busy call: fifty chunks a second each way, and occasionally a transcript or an error."""
    match number % 100:
        case 0:
            return message(number, RECEIVED, "activities", f"activities: order number {number} is on its way")
        case 25:
            return message(number, RECEIVED, "text.delta", f"word {number}")
        case 50:
            text = f"what about order number {number}"
            return e.Transcribed(
                number=number, at_ns=number * 10_000_000, speaker=e.Party.USER, text=text, final=True
            )
        case 75 if number % 1000 == 75:
            text = f"order number {number} was refused"
            return e.ErrorRaised(
                number=number, at_ns=number * 10_000_000, source="agent", code="x", message=text
            )
        case odd if odd % 2:
            return message(number, SENT, "userStream.chunk", "user audio 20 ms", 20)
        case _:
            return message(number, RECEIVED, "playStream.chunk", "agent audio 20 ms", 20)


def of_its_own(number: int) -> e.SessionEvent:
    """Returns an event of a mix worse than any call: all summaries differ, and each event has a row."""
    direction = SENT if number % 2 else RECEIVED
    return message(
        number, direction, f"kind.{number % 30}", f"activities: order number {number} is on its way to you"
    )


def write_messages(path: Path) -> None:
    """Writes the session file that the events refer to."""
    text = b'{"type":"activities","text":"' + b"some words of a message " * 8 + b'"}'
    path.write_bytes(text.ljust(KEPT_BYTES) * KEPT_MESSAGES)


MIXES: dict[str, Callable[[int], e.SessionEvent]] = {"of a call": of_a_call, "each a row": of_its_own}


def arriving(mix: str, count: int) -> Iterator[list[e.SessionEvent]]:
    """Yields events as they arrive over the pipe: decoded, so that their texts are not shared with other objects."""
    yield [
        e.SessionStarted(number=1, at_ns=0, session_id="s", started_utc="", target="ws://x", protocol="pcm")
    ]
    decoder = msgspec.msgpack.Decoder(list[e.SessionEvent])
    for start in range(2, count + 1, 1000):
        batch = [MIXES[mix](number) for number in range(start, min(start + 1000, count + 1))]
        yield decoder.decode(msgspec.msgpack.encode(batch))
