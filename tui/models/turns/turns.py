"""Turns and barge-ins: the measurements of one exchange, as plain data.

`tui.models.turns.turn_fold` folds events into turns and barge-ins; screens, reports and checks read the
results. A figure that could not be measured is None, and `Turn.unmeasured` contains the reason. If a figure
is uncertain, `Turn.doubt` contains the reason.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum

import msgspec

NOT_ANSWERED = "the agent did not answer"
"""Value of `Turn.unmeasured` for a user turn without an answer. Saved sessions contain this value."""
ONLY_SILENCE = "the agent answered with silence"
"""Value of `Turn.unmeasured` for a user turn whose answer contained no sound."""
IN_TEXT = "answered in text"
"""Value of `Turn.unmeasured` for a turn that was answered in text but without sound."""


class LatencyParts(msgspec.Struct, omit_defaults=True):
    """Breakdown of the time between the user's last sound and the agent's first.

    The parts are consecutive and, if all are known, add up to the response time.
    """

    capture_ms: float | None = None
    """From the last speech sample at the microphone to the end of the device's callback.

    Includes device and block delay.
    """
    framing_ms: float | None = None
    """From the end of the callback to the complete message, if the protocol's messages are longer than a block."""
    sending_ms: float | None = None
    """From the end of the callback, or the complete message, to the socket."""
    agent_ms: float | None = None
    """From when the last speech is passed to the socket to the first byte of audio received, minus `transport_ms`."""
    transport_ms: float | None = None
    """Round trip of the latest websocket ping; None if it was not measured, so that it is part of `agent_ms`."""
    prebuffer_ms: float | None = None
    """From the first byte of audio to the first sample handed to the device."""
    device_ms: float | None = None
    """From the hand-over of the first sample to the device until the sample leaves the speaker."""
    leading_silence_ms: float | None = None
    """From the first sample to the first audible sample."""

    @property
    def to_agent_ms(self) -> float:
        """Sum of the known parts before `agent_ms`.

        The sum is the time from the user's last sound until the agent received the sound.
        """
        return sum(filter(None, (self.capture_ms, self.framing_ms, self.sending_ms, self.transport_ms)))

    def known(self) -> list[tuple[str, float]]:
        """Returns the names (with spaces, without units) and durations in ms of the known parts, in order."""
        values = [(name.removesuffix("_ms"), getattr(self, name)) for name in self.__struct_fields__]
        return [(name.replace("_", " "), value) for name, value in values if value is not None]


class Dispute(msgspec.Struct, frozen=True, omit_defaults=True):
    """An edge of a turn that a second detector did not confirm."""

    edge: str
    """Name of the edge, as in `tui.models.events.CheckedEdge`."""
    first_ns: int | None = None
    """Where the edge was found during the call; None if it was missed."""
    second_ns: int | None = None
    """Where the second detector finds the edge; None if it finds no sound nearby."""

    @property
    def off_ms(self) -> float | None:
        """How much later the second detector found the edge; None if only one detector found it."""
        if self.first_ns is None or self.second_ns is None:
            return None
        return (self.second_ns - self.first_ns) / 1_000_000

    def __str__(self) -> str:
        if self.first_ns is None:
            return f"a second detector finds the {self.edge}, which the first one missed"
        if self.off_ms is None:
            return f"a second detector finds no {self.edge} there"
        way = "later" if self.off_ms > 0 else "earlier"
        return f"a second detector finds the {self.edge} {abs(self.off_ms):,.0f} ms {way}"


class Turn(msgspec.Struct, omit_defaults=True):
    """User speech (or typed words, or pressed keys) and the answer to it. Turn 0 is the agent's greeting."""

    number: int
    first_event: int = 0
    """Number of the event with which the turn begins."""
    last_event: int = 0
    """Number of the newest event of the turn."""
    began_ns: int | None = None
    """Time of the first sample of user speech; for turn 0, when the session became active."""
    user_ended_ns: int | None = None
    """Time of the last sample of user speech."""
    agent_began_ns: int | None = None
    """Time of the first audible sample of the answer."""
    agent_ended_ns: int | None = None
    """Time of the last audible sample of the answer."""
    agent_text_ns: int | None = None
    """Time at which the first words of the answer arrived."""
    user_speech_ms: float | None = None
    agent_speech_ms: float | None = None
    """How long the agent was heard in the answer, excluding pauses and the silence at either end."""
    response_latency_ms: float | None = None
    """From the last sample of user speech at the microphone to the first audible agent sample leaving the speaker.

    For turn 0: from when the session became active to the first audible sample.
    """
    after_tools_ms: float | None = None
    """From the last sample of user speech to the first audible sample after the last tool of the turn ended.

    None if no tool ran.
    """
    parts: LatencyParts = msgspec.field(default_factory=LatencyParts)
    reported_ms: dict[str, float] = {}
    """The agent's own figures in ms, by name.

    Reports ("speech stopped", "recognised") are timed from the user's last sample; latency figures are the
    agent's.
    """
    unexplained_ms: float | None = None
    """The part of `parts.agent_ms` after the agent's last report or tool; None if the agent reported nothing."""
    tools_ms: float | None = None
    """The part of `parts.agent_ms` in which tools ran; None if no tool ran."""
    unmeasured: str = ""
    """Why there is no response time; empty if there is one."""
    doubt: str = ""
    """Why the figures are uncertain; empty if they are not."""
    error_ms: float | None = None
    """Bound on the error that `doubt` describes, in either direction; None if unknown."""
    bias_ms: float = 0.0
    """Amount by which `response_latency_ms` is too long, according to the devices' calibration."""
    bound_ms: float = 0.0
    """Bound on the error that remains after subtracting the bias, excluding `error_ms`. 0 if there are no devices."""
    disputes: list[Dispute] = []
    """Edges that a second detector did not confirm; determined after the call has ended."""
    method: str = ""
    """Method that detected the end of user speech: "silero", "energy", "typed", "keys"."""
    interrupted: bool = False
    typed: bool = False
    keys: str = ""
    """The DTMF keys pressed in the turn."""
    user_text: str = ""
    agent_text: str = ""
    tools: list[str] = []
    """Names of the tools called, in order."""
    replies: list[str] = []

    @property
    def response_ms(self) -> float | None:
        """The response time as it is shown: `response_latency_ms` without the bias of the devices."""
        return None if self.response_latency_ms is None else self.response_latency_ms - self.bias_ms

    @property
    def within_ms(self) -> float | None:
        """The ± of `response_ms`; None if no bound is known, or if the time is exact."""
        if self.doubt and self.error_ms is None:
            return None
        return (self.error_ms or 0.0) + self.bound_ms or None

    @property
    def empty(self) -> bool:
        """Whether the agent reported the start of the turn, but no user speech, words or answer followed."""
        return self.number > 0 and self.began_ns is None and not self.user_text and not self.replies

    @property
    def answered(self) -> bool:
        """Whether the agent was heard or sent words in the turn."""
        return self.agent_began_ns is not None or self.agent_text_ns is not None

    def waited_ms(self, now_ns: int) -> float | None:
        """Returns how long the user has waited for an answer.

        Returns None while the user speaks, after the answer was heard or its words arrived, and for the
        greeting.
        """
        if not self.number or self.user_ended_ns is None or self.answered:
            return None
        return (now_ns - self.user_ended_ns) / 1_000_000


class BargeInKind(StrEnum):
    """Outcome of a barge-in."""

    YIELDED = "yielded"
    """The user spoke and the agent stopped."""
    FALSE = "false"
    """The agent stopped although the user did not speak."""
    MISSED = "missed"
    """The user spoke and the agent did not stop within a second."""


class BargeIn(msgspec.Struct, omit_defaults=True):
    """The user spoke while the agent was playing, or the agent assumed so."""

    kind: BargeInKind
    turn: int
    """Number of the turn that the user began, or that the agent assumed."""
    event: int = 0
    """Number of the event that shows the barge-in."""
    at_ns: int | None = None
    """Time of the user's onset or, for a false barge-in, of the agent's signal."""
    signal_ms: float | None = None
    """From the onset to the agent's own signal (clear, speech started, stop)."""
    silence_ms: float | None = None
    """From the onset to silence at the speaker."""
    stop_ms: float | None = None
    """From the agent's signal to silence at the speaker."""
    talk_over_ms: float | None = None
    """Talk-over: time in which both parties were heard."""
    unheard_ms: float = 0.0
    bias_ms: float = 0.0
    """Amount by which `silence_ms` and `talk_over_ms` are too long, according to the devices' calibration."""
    bound_ms: float = 0.0
    """Bound on the error of `silence_ms` and `talk_over_ms` after subtracting the bias. 0 if there are no devices."""
    signal_bound_ms: float = 0.0
    """Bound on the error of `signal_ms` and `stop_ms`; 0 if there are no devices."""
    doubt: str = ""
    """Why the figures are uncertain; empty if they are not."""
    error_ms: float = 0.0
    """Bound on the error that `doubt` describes, in either direction."""

    @property
    def silent_after_ms(self) -> float | None:
        """`silence_ms` as it is shown: without the bias of the devices."""
        return None if self.silence_ms is None else self.silence_ms - self.bias_ms


class DeadAir(msgspec.Struct, frozen=True):
    """A period of more than two seconds in which nobody was heard."""

    at_ns: int
    length_ms: float


class Percentiles(msgspec.Struct, frozen=True):
    """Percentiles of the response times. With fewer than 20 turns, all values except the worst are None."""

    count: int
    worst_ms: float | None
    p50_ms: float | None
    p95_ms: float | None


LEAST_TURNS = 20
"""Minimum number of turns for percentiles."""


def percentile(values: Sequence[float], share: float) -> float | None:
    """Returns a percentile by the nearest-rank method, so that the result is a measured value.

    Returns None if the result could only be the largest value. The median needs at least 2 values, p95 20 and
    p99 100.
    """
    if not values or len(values) * (1 - share) < 1 - 1e-9:
        return None
    return nearest_rank(values, share)


def nearest_rank(values: Sequence[float], share: float) -> float:
    """Returns the smallest value that is at least as large as this share (0..1) of the values."""
    return sorted(values)[max(math.ceil(len(values) * share - 1e-9) - 1, 0)]


def percentiles_of(latencies_ms: Sequence[float]) -> Percentiles:
    """Returns the percentiles of a call. The median is None whenever p95 is None."""
    worst_ms = max(latencies_ms, default=None)
    if len(latencies_ms) < LEAST_TURNS:
        return Percentiles(len(latencies_ms), worst_ms, None, None)
    p50_ms, p95_ms = (percentile(latencies_ms, share) for share in (0.5, 0.95))
    return Percentiles(len(latencies_ms), worst_ms, p50_ms, p95_ms)
