"""LogRules: defines how the event log reads a protocol's messages: which fold, which belong together, where audio is.

The rules are plain data. A session's first event carries those of a protocol that is not built in, so that the
screen and a replay apply them without running any code of that protocol.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Sender = Literal["caller", "agent"]


class End(msgspec.Struct, frozen=True):
    """One of the two messages of a pair."""

    sender: Sender
    kinds: tuple[str, ...]
    """The names of such messages (`Incoming.kind`, `Outgoing.kind`)."""
    path: str = ""
    """Where the identifier that both share is, as in ``mark.name`` or ``calls.0.id``; empty: they pair in order."""


class Pair(msgspec.Struct, frozen=True, omit_defaults=True, tag="pair"):
    """Two messages that belong together: a call and its result, a start and its stop, a mark and its echo."""

    opens: End
    closes: End
    newest: bool = False
    """Whether the closing message belongs to the newest open one; otherwise it belongs to the oldest."""


class Nearest(msgspec.Struct, frozen=True, omit_defaults=True, tag="nearest"):
    """Many messages that make up one thing, such as chunks and the start of their stream."""

    kinds: tuple[str, ...]
    partners: tuple[str, ...]
    """The names of the messages of which the nearest is the partner."""
    later: bool = False
    """Whether the partner comes after the message; otherwise it comes before."""


class LogRules(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the log folds, pairs and plays the messages of one protocol."""

    runs: tuple[str, ...] = ()
    """Endings of the names of messages that fold into one row. Messages with audio always fold."""
    pairs: tuple[Pair | Nearest, ...] = ()
    """Tried in order; the first that finds a partner counts."""
    audio_members: tuple[str, ...] = ()
    """Where a JSON message carries audio as base64, as in ``media.payload``; the first that is present counts."""
    big_endian: bool = False
    """Whether 16-bit samples are sent with their high byte first."""


def member_at(body: Any, path: str) -> Any:
    """Returns the value at a path of a JSON message, such as ``mark.name`` or ``parts.0.data``; None without one."""
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
    """Returns the pair of a caller's message and the agent's answer; ``answer_path`` defaults to ``path``."""
    return Pair(End("caller", (kind,), path), End("agent", (answer,), answer_path or path))


def span(sender: Sender, first: str, last: str, path: str = "") -> Pair:
    """Returns the pair of the first and the last message of something that one side starts and stops."""
    return Pair(End(sender, (first,), path), End(sender, (last,), path), newest=True)
