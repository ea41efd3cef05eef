"""The local agent's settings. Uses only the standard library, because the user interface imports it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum

EVERYTHING_AT_ONCE = math.inf
"""The pace at which each reply is sent as a single message, immediately followed by the end-of-reply message."""


class ReplyMode(StrEnum):
    """The source of the audio that the agent plays as its answers."""

    PROMPTS = "prompts"
    """A recorded prompt that matches the user's words."""
    ECHO = "echo"
    """The user's own audio."""


class Fault(StrEnum):
    """A bug to plant in the agent, to check that a test finds it."""

    LATE = "late"
    """Each answer starts 800 ms late."""
    IGNORES_BARGE_IN = "ignores-barge-in"
    """While the agent speaks, it ignores everything that the user says."""
    STOPS_AT_BACKCHANNEL = "stops-at-backchannel"
    """Any speech stops the agent, regardless of ``interrupt_ms``."""
    WRONG_ARGUMENT = "wrong-argument"
    """Every argument of a function call has a wrong value."""
    NEVER_HANGS_UP = "never-hangs-up"
    """The call stays open after the goodbye."""
    CLIPS_FIRST_WORD = "clips-first-word"
    """The first 400 ms of each reply are missing."""
    TALKS_OVER = "talks-over"
    """The agent begins to speak as soon as the user does."""
    CRASHES = "crashes"
    """The connection fails (close code 1011) at the user's second turn."""


class AgentError(Exception):
    """Raised when the local agent cannot run. The message is one sentence for the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    """The address and the behavior of the local agent. Raises `AgentError` for invalid values."""

    host: str = "127.0.0.1"
    port: int = 0
    """The port; 0 for any free port."""
    token: str = field(default="", repr=False)
    """The token that callers must send or prove in the way that their protocol defines; empty to accept everyone."""
    reply: ReplyMode = ReplyMode.PROMPTS
    reply_delay_ms: float = 0.0
    """Delay from the detected end of the user's speech to the first audio of the answer."""
    pace: float = 1.0
    """Speed at which replies are sent, relative to real time; or `EVERYTHING_AT_ONCE`."""
    chunk_ms: float = 20.0
    """Duration of the audio in each reply message."""
    silence_ms: int = 400
    """How long the user has to be silent to end a turn."""
    interrupt_ms: int = 0
    """How long the user has to speak to interrupt the agent; shorter speech during a reply is ignored."""
    yield_ms: int = 0
    """Delay from the start of the user's speech until the agent stops speaking; 0: as soon as speech is detected."""
    backchannel_ms: int = 0
    """Delay from the start of the user's speech until the agent says one word and keeps listening; 0: never."""
    talk_over_ms: int = 0
    """Delay from the start of the user's speech until the agent starts a sentence; 0: never."""
    overlap_chance: float = 1.0
    """Probability, from 0 to 1, of each of these reactions in a turn: saying one word, and talking over the user."""
    seed: int = 0
    """Seed that selects the turns with these reactions. Every call uses the same selection."""
    fault: Fault | None = None
    """The bug planted in the agent; None for a correct agent."""
    hear: bool = False
    """Whether all speech is transcribed, not just the recorded lines; needs a speech recognizer."""
    answers: str = ""
    """A TOML file with rules for answers (`tui.agent.rules`); empty for none."""
    synthesizer: str = ""
    """Name of the synthesizer for the answers in rules, as in the settings; empty for the best installed
    synthesizer."""
    speech_model: str = ""
    """Model of the recognizer, as in the settings; empty for the installed model."""
    cert: str = ""
    """A file with the certificate chain for TLS (wss://), in PEM; empty for ws://."""
    key: str = ""
    """A file with the certificate's private key, in PEM; empty if ``cert`` contains it."""

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65_535:
            raise AgentError(f"The port must be between 0 and 65535, not {self.port}.")
        if not self.pace > 0:
            raise AgentError(f"The pace must be greater than 0, not {self.pace:g}.")
        if not 1 <= self.chunk_ms <= 60_000:
            raise AgentError(f"The chunk length must be between 1 ms and 1 minute, not {self.chunk_ms:g} ms.")
        if not 0 <= self.reply_delay_ms <= 600_000:
            raise AgentError(
                f"The reply delay must be between 0 and 600 s, not {self.reply_delay_ms / 1000:g} s."
            )
        if self.key and not self.cert:
            raise AgentError("A private key was given without its certificate: add --cert FILE.")
        if not 0 <= self.interrupt_ms <= 10_000:
            raise AgentError(f"--interrupt must be between 0 and 10 s, not {self.interrupt_ms / 1000:g} s.")
        for what in ("yield", "backchannel", "talk_over"):
            delay_ms = getattr(self, f"{what}_ms")
            if not 0 <= delay_ms <= 60_000:
                name = what.replace("_", "-")
                raise AgentError(f"--{name} must be between 0 and 60 s, not {delay_ms / 1000:g} s.")
        if not 0 <= self.overlap_chance <= 1:
            raise AgentError(f"--overlap-chance must be between 0 and 1, not {self.overlap_chance:g}.")
        if not 100 <= self.silence_ms <= 10_000:
            raise AgentError(f"--silence must be between 100 and 10000 ms, not {self.silence_ms} ms.")


def parse_pace(text: str) -> float:
    """Parses a pace from the command line: a factor, or ``all``. Raises `ValueError`."""
    if text == "all":
        return EVERYTHING_AT_ONCE
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"The pace must be a number or 'all', not {text!r}.") from None
