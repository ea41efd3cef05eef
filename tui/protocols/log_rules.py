"""LogRules: defines which messages of a protocol the event log folds or pairs, and where they contain audio.

The rules are plain data. If a protocol is not built in, the first event of a session contains its rules. The
screen and replays can then apply the rules without running the protocol's code.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Sender = Literal["caller", "agent"]


class End(msgspec.Struct, frozen=True):
    """The opening or the closing message of a `Pair`."""

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
    """A message that belongs to the nearest of its possible partners, as a chunk does to the start of its stream."""

    kinds: tuple[str, ...]
    partners: tuple[str, ...]
    """The names of possible partners; the nearest partner is chosen."""
    later: bool = False
    """Whether the partner comes after the message; otherwise it comes before."""


class LogRules(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the log folds, pairs and plays the messages of one protocol."""

    runs: tuple[str, ...] = ()
    """Name endings of messages that fold into one row. Messages with audio always fold."""
    pairs: tuple[Pair | Nearest, ...] = ()
    """The rules for pairing, tried in order until one finds a partner."""
    audio_members: tuple[str, ...] = ()
    """Paths to base64 audio in JSON messages, such as ``media.payload``; the first path that exists is used."""
    big_endian: bool = False
    """Whether 16-bit samples are sent with their high byte first."""


def member_at(body: Any, path: str) -> Any:
    """Returns the value at a path in a JSON message, such as ``mark.name`` or ``parts.0.data``; None if missing."""
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
    """Returns a rule that pairs a caller's message with the agent's answer.

    Both contain the same identifier, at ``path`` and at ``answer_path``, which defaults to ``path``.
    """
    return Pair(End("caller", (kind,), path), End("agent", (answer,), answer_path or path))


def span(sender: Sender, first: str, last: str, path: str = "") -> Pair:
    """Returns a rule that pairs the messages with which one side starts and stops an operation."""
    return Pair(End(sender, (first,), path), End(sender, (last,), path), newest=True)
