"""LogRules: defines which messages of a protocol the event log folds or pairs, and where they carry audio.

The rules are plain data. If a protocol is not built in, the first event of a session carries the protocol's rules, so
that the screen and replays can apply them without running the protocol's code.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Sender = Literal["caller", "agent"]


class End(msgspec.Struct, frozen=True):
    """One of the two messages of a pair."""

    sender: Sender
    kinds: tuple[str, ...]
    """The names of the messages (`Incoming.kind`, `Outgoing.kind`)."""
    path: str = ""
    """Path of the identifier that both messages share, such as ``calls.0.id``; empty to pair them in order."""


class Pair(msgspec.Struct, frozen=True, omit_defaults=True, tag="pair"):
    """Two messages that belong together: a call and its result, a start and its stop, a mark and its echo."""

    opens: End
    closes: End
    newest: bool = False
    """Whether a closing message belongs to the newest open message rather than to the oldest."""


class Nearest(msgspec.Struct, frozen=True, omit_defaults=True, tag="nearest"):
    """Messages that belong together, such as chunks and the start of their stream."""

    kinds: tuple[str, ...]
    partners: tuple[str, ...]
    """The names of possible partners, of which the nearest is chosen."""
    later: bool = False
    """Whether the partner comes after the message; otherwise it comes before."""


class LogRules(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the log folds, pairs and plays the messages of one protocol."""

    runs: tuple[str, ...] = ()
    """Name endings of messages that fold into one row. Messages with audio always fold."""
    pairs: tuple[Pair | Nearest, ...] = ()
    """The rules for pairing, tried in order until one finds a partner."""
    audio_members: tuple[str, ...] = ()
    """Paths to base64 audio in JSON messages, such as ``media.payload``; the first one present is used."""
    big_endian: bool = False
    """Whether 16-bit samples are sent with their high byte first."""


def member_at(body: Any, path: str) -> Any:
    """Returns the value at a path of a JSON message, such as ``mark.name`` or ``parts.0.data``; None if missing."""
    value = body
    for name in path.split("."):
        match value:
            case dict():
                value = value.get(name)
            case list() if name.isdecimal() and name.isascii() and len(name) < 4:
                value = value[int(name)] if int(name) < len(value) else None
            case _:
                return None
    return value


def request(kind: str, answer: str, path: str = "", answer_path: str = "") -> Pair:
    """Returns the rule that pairs a caller's message with its answer; ``answer_path`` defaults to ``path``."""
    return Pair(End("caller", (kind,), path), End("agent", (answer,), answer_path or path))


def span(sender: Sender, first: str, last: str, path: str = "") -> Pair:
    """Returns the rule that pairs the first and last messages of something that one side starts and stops."""
    return Pair(End(sender, (first,), path), End(sender, (last,), path), newest=True)
