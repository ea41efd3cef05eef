"""Turns and barge-ins: what was measured of one exchange, as plain structures.

`tui.models.turns.metrics` folds events into them; screens, reports and limits read them. A figure that could not be
measured is None, and `Turn.unmeasured` says why; a figure that the program was too late to vouch for stays, and
`Turn.doubt` says why not to trust it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum

import msgspec

NOT_ANSWERED = "the agent did not answer"
"""Why a turn of the user has no latency: nothing of an answer was heard."""


class LatencyParts(msgspec.Struct, omit_defaults=True):
    """Where the time between the user's last sound and the agent's first went.

    The parts follow one another in time and sum up to the response latency, where all of them are known.
    """

    capture_ms: float | None = None
    """Last speech sample at the microphone → out of the device's callback: device and block."""
    sending_ms: float | None = None
    """Out of the callback → given to the socket."""
    agent_ms: float | None = None
    """Last speech given to the socket → first byte of audio back, without `transport_ms`."""
    transport_ms: float | None = None
    """Round trip of the websocket ping last measured; None where none was, and then in `agent_ms`."""
    prebuffer_ms: float | None = None
    """First byte of audio → first sample handed to the device."""
    device_ms: float | None = None
    """First sample handed to the device → it leaves the speaker."""
    leading_silence_ms: float | None = None
    """First sample → first audible one."""

    def known(self) -> list[tuple[str, float]]:
        """Name (without unit, spaces for underscores) and length of the parts that are known, in order."""
        values = [(name.removesuffix("_ms"), getattr(self, name)) for name in self.__struct_fields__]
        return [(name.replace("_", " "), value) for name, value in values if value is not None]


class Turn(msgspec.Struct, omit_defaults=True):
    """User speech (or typed words, or pressed keys) and the answer to it. Turn 0 is the agent's greeting."""

    number: int
    first_event: int = 0
    """Number of the event the turn begins with."""
    last_event: int = 0
    """Number of the newest event of the turn."""
    began_ns: int | None = None
    """First sample of user speech; of turn 0: the session became active."""
    user_ended_ns: int | None = None
    """Last sample of user speech."""
    agent_began_ns: int | None = None
    """First audible sample of the answer."""
    agent_ended_ns: int | None = None
    user_speech_ms: float | None = None
    agent_speech_ms: float | None = None
    """How much of the answer was heard."""
    response_latency_ms: float | None = None
    """Last user speech sample leaving the microphone → first audible agent sample leaving the speaker. Of turn
    0: session active → first audible sample."""
    parts: LatencyParts = msgspec.field(default_factory=LatencyParts)
    reported_ms: dict[str, float] = {}
    """What the agent said of itself, in ms after the user's last sample ("speech stopped", "recognised"), or its
    own latency figures by their names."""
    unexplained_ms: float | None = None
    """What of `parts.agent_ms` lies behind the last thing the agent reported; None where it reported nothing."""
    unmeasured: str = ""
    """Why there is no response latency; empty where there is one."""
    doubt: str = ""
    """Why the figures cannot be vouched for; empty where they can."""
    method: str = ""
    """What found the end of user speech: "silero", "energy", "typed", "keys"."""
    interrupted: bool = False
    typed: bool = False
    keys: str = ""
    """The DTMF keys that were pressed in it."""
    user_text: str = ""
    agent_text: str = ""
    tools: list[str] = []
    """Names of the tools called, in order."""
    replies: list[str] = []

    @property
    def empty(self) -> bool:
        """Whether only the agent thought that it began: nobody was heard, nothing recognised, nothing answered."""
        return self.number > 0 and self.began_ns is None and not self.user_text and not self.replies

    def waited_ms(self, now_ns: int) -> float | None:
        """For how long the user has waited to hear an answer.

        None while they speak, once they hear one, and of the greeting, which nobody is owed.
        """
        if not self.number or self.user_ended_ns is None or self.agent_began_ns is not None:
            return None
        return (now_ns - self.user_ended_ns) / 1_000_000


class BargeInKind(StrEnum):
    """How a barge-in went."""

    YIELDED = "yielded"
    """The user spoke, the agent gave way."""
    FALSE = "false"
    """The agent stopped, though the user had said nothing."""
    MISSED = "missed"
    """The user spoke, and the agent did not give way within a second."""


class BargeIn(msgspec.Struct, omit_defaults=True):
    """The user spoke while the agent did, or the agent thought so."""

    kind: BargeInKind
    turn: int
    """The turn the user took, or was thought to take."""
    event: int = 0
    """Number of the event that tells it."""
    at_ns: int | None = None
    """User onset; of a false one: the agent's signal."""
    signal_ms: float | None = None
    """Onset → the agent's own signal (clear, speech started, stop)."""
    silence_ms: float | None = None
    """Onset → silence at the speaker."""
    stop_ms: float | None = None
    """The agent's signal → silence at the speaker."""
    talk_over_ms: float | None = None
    """How long both were heard."""
    unheard_ms: float = 0.0


class DeadAir(msgspec.Struct, frozen=True):
    """Nobody was heard for more than two seconds."""

    at_ns: int
    length_ms: float


class Percentiles(msgspec.Struct, frozen=True):
    """Of the response latencies; a percentile of fewer than 20 turns is None, the worst is not."""

    count: int
    worst_ms: float | None
    p50_ms: float | None
    p95_ms: float | None


LEAST_TURNS = 20
"""Fewer say nothing about a percentile."""


def percentiles_of(latencies_ms: Sequence[float]) -> Percentiles:
    """By nearest rank: every percentile is a latency that was measured."""
    ordered = sorted(latencies_ms)
    worst_ms = ordered[-1] if ordered else None
    if len(ordered) < LEAST_TURNS:
        return Percentiles(len(ordered), worst_ms, None, None)
    p50_ms, p95_ms = (ordered[math.ceil(len(ordered) * share) - 1] for share in (0.5, 0.95))
    return Percentiles(len(ordered), worst_ms, p50_ms, p95_ms)
