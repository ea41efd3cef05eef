"""Records: what workers report of their calls and of themselves. Plain structures, sent in MessagePack.

Times end in ``_s`` and are seconds of the wall clock, because workers may run on several machines.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import msgspec


class CallEnding(StrEnum):
    """How a call ended."""

    COMPLETED = "completed"
    """The scenario was played to its end."""
    FAILED = "failed"
    STOPPED = "stopped"
    """Hung up because the run ended or users were taken away: neither a success nor a failure."""


class CallBegan(msgspec.Struct, frozen=True, tag="began"):
    """A worker begins a call."""

    call: str
    """Name of the call, unique in the run."""
    worker: str
    at_s: float


class TurnRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """One turn of the caller's that was answered, or should have been."""

    at_s: float
    """When the caller stopped speaking."""
    response_ms: float | None
    """End of the caller's speech to the first audible reply; None if it was not measured."""
    late_ms: float = 0.0
    """By how much the worker was late during the turn, at its worst; 0 if it was in time."""

    @property
    def trusted(self) -> bool:
        """Whether the figure is the agent's doing: the worker was in time."""
        return not self.late_ms


class CallRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="ended"):
    """A call that has ended."""

    call: str
    worker: str
    began_s: float
    active_s: float | None = None
    """When the agent accepted the session; None if it did not."""
    ended_s: float
    outcome: CallEnding
    kind: str = ""
    """What kind of failure it was, such as "socket refused"; empty without one."""
    reason: str = ""
    connect_ms: float | None = None
    """Begin of the call to the open socket."""
    greeting_ms: float | None = None
    turns: Sequence[TurnRecord] = ()
    barge_in_ms: Sequence[float] = ()
    """The caller's onset to silence of the agent, for each interruption that the agent yielded to."""
    barge_ins_missed: int = 0
    dead_air_ms: Sequence[float] = ()
    findings: Sequence[str] = ()
    """The broken rules of the protocol."""
    late_ms: float = 0.0
    """By how much the worker was late during the call, at its worst."""
    sent_p99_ms: float | None = None
    """Pacing: capture of a block to the socket, 99th percentile."""
    folder: str = ""
    """The saved session; empty if it was not kept."""

    @property
    def worst_response_ms(self) -> float | None:
        """The longest trusted response time."""
        return max(
            (turn.response_ms for turn in self.turns if turn.trusted and turn.response_ms), default=None
        )


class WorkerSecond(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="second"):
    """How a worker did in the last second."""

    worker: str
    at_s: float
    calls: int
    """Calls that it held."""
    lag_ms: float
    """By how much its event loop was late, at its worst."""
    processor: float
    """Processor time it used, as a share of one core."""
    rss_bytes: int
    descriptors: int
    descriptors_limit: int


Record = CallBegan | CallRecord | WorkerSecond

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(list[Record])


def encode(records: Sequence[Record]) -> bytes:
    """Returns records in MessagePack."""
    return _ENCODER.encode(list(records))


def decode(data: bytes) -> list[Record]:
    """Returns the records that were encoded. Raises `msgspec.DecodeError`."""
    return _DECODER.decode(data)
