"""What the local agent may be told. Of the standard library alone: the screen's process makes these."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum

EVERYTHING_AT_ONCE = math.inf
"""A pace: a reply is one message, with its end right behind it."""


class ReplyMode(StrEnum):
    """What the agent answers."""

    PROMPTS = "prompts"
    """A recorded prompt that fits what was said."""
    ECHO = "echo"
    """The user's own words."""


class AgentError(Exception):
    """The local agent cannot do its work; the text is one sentence for the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    """Where the local agent listens and how it behaves. Raises `AgentError` where that is impossible."""

    host: str = "127.0.0.1"
    port: int = 0
    """0: any free port."""
    token: str = field(default="", repr=False)
    """Callers must send or prove it, in the way of their protocol; empty: anyone may call."""
    reply: ReplyMode = ReplyMode.PROMPTS
    reply_delay_ms: float = 0.0
    """From the moment in which the end of the user's speech is noticed to the first audio of the answer."""
    pace: float = 1.0
    """1: replies are sent as fast as they sound; N: N times faster; `EVERYTHING_AT_ONCE`."""
    chunk_ms: float = 20.0
    """How much audio one message of a reply carries."""
    silence_ms: int = 400
    """How long the user must be silent before the turn counts as over."""

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65_535:
            raise AgentError(f"The port {self.port} is not between 0 and 65535.")
        if not self.pace > 0:
            raise AgentError(f"The pace {self.pace:g} is not a factor above 0.")
        if not 1 <= self.chunk_ms <= 60_000:
            raise AgentError(f"A chunk of {self.chunk_ms:g} ms is not between 1 ms and a minute.")
        if not 0 <= self.reply_delay_ms <= 600_000:
            raise AgentError(f"A reply delay of {self.reply_delay_ms / 1000:g} s is not between 0 and 600 s.")
        if not 100 <= self.silence_ms <= 10_000:
            raise AgentError(f"A silence of {self.silence_ms} ms is not between 100 and 10000 ms.")


def parse_pace(text: str) -> float:
    """A pace as written on a command line: a factor, or ``all``. Raises `ValueError`."""
    if text == "all":
        return EVERYTHING_AT_ONCE
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"The pace {text!r} is neither a factor nor 'all'.") from None
