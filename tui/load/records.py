"""The records in which workers describe their calls and themselves, sent as MessagePack.

Fields that end in ``_s`` are wall-clock times in seconds, because workers may run on several machines.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import msgspec


class CallEnding(StrEnum):
    """How a call ended."""

    COMPLETED = "completed"
    """The call played the scenario to its end."""
    FAILED = "failed"
    STOPPED = "stopped"
    """The call was hung up because the load test ended or the number of users was reduced.

    This is neither a success nor a failure.
    """


class CallBegan(msgspec.Struct, frozen=True, tag="began"):
    """Reports that a call has started on a worker."""

    call: str
    """Name of the call, which is unique within the load test."""
    worker: str
    at_s: float


class CallAccepted(msgspec.Struct, frozen=True, tag="accepted"):
    """Reports that the agent has accepted a call. Sent during the call."""

    call: str


class TurnRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A turn of the caller, and the agent's response time."""

    at_s: float
    """Time at which the caller stopped speaking."""
    response_ms: float | None
    """Time from the end of the caller's speech to the first audible reply; None if it was not measured."""
    late_ms: float = 0.0
    """The worker's largest lateness during the turn; 0 if it was never late."""

    @property
    def trusted(self) -> bool:
        """Whether the worker was on time. If not, the response time may be the worker's fault."""
        return not self.late_ms


class CallRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="ended"):
    """Describes a call that has ended."""

    call: str
    worker: str
    began_s: float
    active_s: float | None = None
    """Time at which the agent accepted the session; None if the agent did not accept it."""
    ended_s: float
    outcome: CallEnding
    kind: str = ""
    """Kind of failure, such as "socket refused"; empty if the call did not fail."""
    reason: str = ""
    connect_ms: float | None = None
    """Time from the start of the call until the socket was open."""
    greeting_ms: float | None = None
    turns: Sequence[TurnRecord] = ()
    barge_in_ms: Sequence[float] = ()
    """Time from the caller's onset until the agent was silent, for each interruption to which the agent yielded."""
    barge_ins_missed: int = 0
    dead_air_ms: Sequence[float] = ()
    findings: Sequence[str] = ()
    """Protocol rules that the agent broke."""
    late_ms: float = 0.0
    """Largest lateness of the worker during the call."""
    folder: str = ""
    """Folder of the saved session; empty if it was not kept."""

    @property
    def worst_response_ms(self) -> float | None:
        """Longest response time of the trusted turns, in ms; None if there is none."""
        return max(
            (turn.response_ms for turn in self.turns if turn.trusted and turn.response_ms), default=None
        )


class WorkerSecond(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="second"):
    """The state of a worker in the last second."""

    worker: str
    at_s: float
    calls: int
    """Number of calls in progress."""
    lag_ms: float
    """Largest lateness of the worker's event loop."""
    processor: float
    """Processor time used, as a share of one core."""
    rss_bytes: int
    descriptors: int
    descriptors_limit: int


Record = CallBegan | CallAccepted | CallRecord | WorkerSecond

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(list[Record])


def encode(records: Sequence[Record]) -> bytes:
    """Encodes records as MessagePack."""
    return _ENCODER.encode(list(records))


def decode(data: bytes) -> list[Record]:
    """Decodes records. Raises `msgspec.DecodeError`."""
    return _DECODER.decode(data)
