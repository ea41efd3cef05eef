"""The events of a session: immutable, numbered records with the monotonic time taken at the edge.

They are what the engine emits, what the models fold, what crosses the pipe to the screen (msgpack) and what
is saved (JSON). ``at_ns`` is `time.monotonic_ns` in the engine; for audio it is the time of a sample at the
microphone or the speaker, so it may lie before that of the event with the number below.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

from tui.protocols.log_rules import LogRules

# What is read back may be damaged or made up: bounded so that it, and sums of it, fit 64 bits wherever they are kept.
Instant = Annotated[int, msgspec.Meta(ge=-(2**62), le=2**62)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Size = Annotated[int, msgspec.Meta(ge=0, le=2**40)]
Offset = Annotated[int, msgspec.Meta(ge=-1, le=2**53)]


class Status(StrEnum):
    """Where a session is in its life."""

    IDLE = "idle"
    CONNECTING = "connecting"
    INITIATING = "initiating"
    ACTIVE = "active"
    RESUMING = "resuming"
    ENDING = "ending"
    ENDED = "ended"
    ERROR = "error"

    @property
    def live(self) -> bool:
        """A call is up or on its way up or down."""
        return self in _LIVE

    def may_become(self, new: Status) -> bool:
        """Whether the step to ``new`` is a legal one; error is legal from anywhere but itself."""
        return new in _STEPS[self] or (new is Status.ERROR and self is not Status.ERROR)


_LIVE = frozenset({Status.CONNECTING, Status.INITIATING, Status.ACTIVE, Status.RESUMING, Status.ENDING})
_STEPS: dict[Status, frozenset[Status]] = {
    Status.IDLE: frozenset({Status.CONNECTING}),
    Status.CONNECTING: frozenset({Status.INITIATING, Status.ENDING}),
    Status.INITIATING: frozenset({Status.ACTIVE, Status.ENDING}),
    Status.ACTIVE: frozenset({Status.RESUMING, Status.ENDING}),
    Status.RESUMING: frozenset({Status.ACTIVE, Status.ENDING}),
    Status.ENDING: frozenset({Status.ENDED}),
    Status.ENDED: frozenset(),
    Status.ERROR: frozenset(),
}


class Direction(StrEnum):
    """Which way a message went."""

    SENT = "sent"
    RECEIVED = "received"


class Party(StrEnum):
    """Whose words they are."""

    USER = "user"
    AGENT = "agent"


class SpeechPhase(StrEnum):
    """What the agent says of the user's speech."""

    STARTED = "started"
    STOPPED = "stopped"
    COMMITTED = "committed"


class Loss(StrEnum):
    """The ways audio or messages can be lost, each with a counter on the screen."""

    CAPTURE_OVERFLOW = "capture overflow"
    """PortAudio lost microphone samples; counted in blocks that carried the flag."""
    CAPTURE_DROPPED = "capture dropped"
    """Blocks that the engine was too late to take or to make, or that passed while a microphone was opened again."""
    UNSENT = "unsent"
    """User audio that no open user stream took while recording; counted in blocks."""
    WITHHELD = "withheld"
    """User audio held back on purpose while the agent plays (barge-in off, --echo gate); in blocks. No fault."""
    UNDERRUN = "underrun"
    """Playback had nothing in mid-reply; counted in times, the detail says how long."""
    DEVICE_UNDERFLOW = "device underflow"
    """PortAudio played a gap of its own; counted in blocks that carried the flag."""
    UNHEARD = "unheard"
    """Agent audio discarded by a flush or after it; counted in milliseconds."""
    QUEUE_FULL = "queue full"
    """Agent audio beyond the limit of the playback queue; counted in milliseconds."""
    UNDECODABLE = "undecodable"
    """Messages that could not be understood at all."""
    LATE_TOOL_RESULT = "late tool result"
    """Results that came after the tool's time limit, and were not sent."""
    CALLBACK_FAILED = "callback failed"
    """Calls of callbacks that raised."""

    @property
    def unit(self) -> str:
        """What its amounts are."""
        return "ms" if self in (Loss.UNHEARD, Loss.QUEUE_FULL) else ""

    def told(self, amount: float) -> str:
        """What was lost and how much of it, in words."""
        return f"{self.value} {amount:,.0f} {self.unit}".rstrip()

    @property
    def is_fault(self) -> bool:
        """Whether it was lost against everybody's will."""
        return self not in (Loss.UNHEARD, Loss.WITHHELD)


class Condition(StrEnum):
    """What can be the matter with audio; each is told when it begins and, where it can end, when it is over."""

    STALLED = "stalled"
    """The device's callbacks stopped."""
    VANISHED = "vanished"
    """The device, or the sound server, is gone; it is looked for again."""
    ONLY_ZEROS = "only zeros"
    """Nothing but exact zeros comes from the microphone, since it was opened or after sound: muted, or refused."""
    ECHO = "echo"
    """The agent is hearing itself: what is played comes back on the microphone."""
    CLIPPED_START = "clipped start"
    """A reply starts above the noise floor in its first block: the first word may be cut."""
    CLIPPED_END = "clipped end"
    """A reply that was played to its end ends above the noise floor: the last word may be cut."""
    SPEECH_BEFORE_RECORDING = "speech before recording"
    """The user was speaking already when recording opened: the first word may be cut."""
    STREAM_NOT_OPENED = "user stream not opened"
    """The agent does not answer that the user speaks, and nothing of it may be sent before."""
    NOT_ANSWERED = "not answered"
    """The user has stopped speaking a while ago, and nothing of an answer has come."""
    ARRIVAL_STALL = "arrival stall"
    """Agent audio did not come for longer than what was queued could bridge."""

    @property
    def lasts(self) -> bool:
        """Whether it can end; a clipped word cannot."""
        return self not in (Condition.CLIPPED_START, Condition.CLIPPED_END, Condition.SPEECH_BEFORE_RECORDING)


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag_field="event"):
    """One record of the stream."""

    number: Count = 0
    """Position in the stream, from 1; given by `emit`."""
    at_ns: Instant


class SessionStarted(Event, frozen=True, kw_only=True, gc=False, tag="session"):
    """A call was asked for: what and how. Always the first event."""

    session_id: str
    started_utc: str
    target: str
    """The URL without credentials."""
    protocol: str
    title: str = ""
    """What to call the target: a profile's name, "demo", or the host."""
    log_rules: LogRules | None = None
    """How the log reads its messages, where the protocol is not built in."""


class StatusChanged(Event, frozen=True, kw_only=True, gc=False, tag="status"):
    """A step in the session's life."""

    old: Status
    new: Status
    reason: str = ""


class MessageLogged(Event, frozen=True, kw_only=True, gc=False, tag="message"):
    """One message on the wire, either way; its raw bytes are in the session file."""

    direction: Direction
    kind: str
    """The protocol's own name for it."""
    summary: str = ""
    size_bytes: Size = 0
    offset: Offset = -1
    """Where the raw message starts in the session file, `size_bytes` long; -1: not kept."""
    kept_bytes: Size = 0
    """How long it is there, where secrets or audio were taken out of it; 0: `size_bytes`."""
    audio_ms: float = 0.0
    known: bool = True


class ErrorRaised(Event, frozen=True, kw_only=True, gc=False, tag="error"):
    """Something failed. Folding it fires the error callbacks."""

    source: str
    """Who says so: "agent", "socket", "protocol", "audio", "callback NAME", "tool NAME"."""
    code: str
    message: str
    hint: str = ""
    """What to do about it, where something can be done."""
    fatal: bool = False
    about: Count = 0
    """Number of the event it is about; 0: none."""
    count: Count = 1
    """How many times by now, where repeats are folded into one report."""


class FindingRaised(Event, frozen=True, kw_only=True, gc=False, tag="finding"):
    """The agent strays from its protocol's specification: a warning."""

    rule: str
    text: str
    about: Count = 0
    """Number of the message it was first seen in since it was last told."""
    count: Count = 1
    """How many times by now; told at most once a second."""


class NoticeRaised(Event, frozen=True, kw_only=True, gc=False, tag="notice"):
    """Something the user should know that is no error: a fallback, a device, a hint."""

    text: str
    hint: str = ""
    of_call: bool = False
    """It is so while the call is up, and no longer."""
    of_opening: bool = False
    """It is about the saved session that is opened, and was no event of it."""


class AudioOpened(Event, frozen=True, kw_only=True, gc=False, tag="audio"):
    """Capture or playback is ready (again)."""

    capture: str
    """Name of the device or file, "caller lines", …"""
    playback: str
    capture_rate: Count = 0
    playback_rate: Count = 0
    latency_ms: float = 0.0
    """What the playback device says it holds; 0 without a device."""


class RecordingChanged(Event, frozen=True, kw_only=True, gc=False, tag="recording"):
    """Capture flows to the agent from now on, or no longer."""

    recording: bool


class MutedChanged(Event, frozen=True, kw_only=True, gc=False, tag="muted"):
    """The user is muted (silence is sent), or no longer."""

    muted: bool


class VolumeChanged(Event, frozen=True, kw_only=True, gc=False, tag="volume"):
    """Playback volume, 0..2; 1 leaves samples as they are."""

    volume: float


class LineChanged(Event, frozen=True, kw_only=True, gc=False, tag="line"):
    """A caller line (a recorded sentence) began or finished being spoken."""

    name: str
    text: str = ""
    finished: bool = False


class UserSpeech(Event, frozen=True, kw_only=True, gc=False, tag="user_speech"):
    """The agent says that the user's speech began, ended, or was handed to its model."""

    phase: SpeechPhase


class SpeechEdge(Event, frozen=True, kw_only=True, gc=False, tag="speech_edge"):
    """Speech began or ended on a track, measured here; ``at_ns`` is back-dated to the edge itself.

    On the agent's track also a sound that is no speech: a tone, music.
    """

    speaker: Party
    started: bool
    method: str
    """"silero" or "energy"; a sound that is no speech is always found by the latter."""
    captured_ns: Instant | None = None
    """User: when the block with the edge's sample came out of the device's callback."""
    sent_ns: Instant | None = None
    """User: when that block was given to the socket; None when it was not sent."""


class Transcribed(Event, frozen=True, kw_only=True, gc=False, tag="transcript"):
    """Words: a partial replaces the one before it with the same speaker and item, a final one stays."""

    speaker: Party
    text: str
    final: bool
    item: str = ""
    """The reply (stream id) for the agent's words; empty for the user's current turn."""
    confidence: float | None = None
    typed: bool = False
    """The user wrote it: the turn ends here, and no speech goes before."""


class KeysPressed(Event, frozen=True, kw_only=True, gc=False, tag="keys"):
    """The user pressed DTMF keys: the turn ends here, as far as it has come."""

    digits: str


class ReplyStarted(Event, frozen=True, kw_only=True, gc=False, tag="reply_started"):
    """The agent began to send a reply."""

    reply: str
    format: str


class ReplyEnded(Event, frozen=True, kw_only=True, gc=False, tag="reply_ended"):
    """The agent has sent all of a reply; it may be far from heard."""

    reply: str
    received_ms: float


class PlaybackStarted(Event, frozen=True, kw_only=True, gc=False, tag="playback_started"):
    """The first sample of a reply leaves the speaker."""

    reply: str
    arrived_ns: Instant | None = None
    """When its first byte of audio arrived."""
    handed_ns: Instant | None = None
    """When its first sample was handed to the device."""


class PlaybackEnded(Event, frozen=True, kw_only=True, gc=False, tag="playback_ended"):
    """The last sample of a reply that will be heard has left the speaker."""

    reply: str
    heard_ms: float
    unheard_ms: float = 0.0
    """Discarded by a flush; 0 when it was played to its end."""


class Flushed(Event, frozen=True, kw_only=True, gc=False, tag="flushed"):
    """Queued playback was dropped: barge-in, or the user's interrupt key."""

    reason: str
    unheard_ms: float
    by_agent: bool = False
    """The agent asked for it; otherwise the user did."""
    asked_ns: Instant | None = None
    """When it was asked for: the arrival of the agent's message, or the key."""
    silent_ns: Instant | None = None
    """When the speaker was silent."""


class LossCounted(Event, frozen=True, kw_only=True, gc=False, tag="loss"):
    """Something was lost, and how much of it since the last such event."""

    loss: Loss
    count: float
    detail: str = ""
    reply: str = ""
    """UNHEARD: the reply that was cut off, where it is a single one and the audio came after the cut."""


class ConditionChanged(Event, frozen=True, kw_only=True, gc=False, tag="condition"):
    """Something is the matter with audio, or no longer. Folding it shows or clears a warning."""

    condition: Condition
    path: str
    """"capture" or "playback"."""
    active: bool = True
    """False: it is over. Conditions of one moment (a clipped word) are never over."""
    text: str = ""
    """One sentence: what, where, with figures."""
    hint: str = ""
    reply: str = ""
    """The reply concerned, where it is one."""
    since_ns: Instant | None = None
    """Since when it has been so, where that was before ``at_ns`` and is known."""


class LatenessSeen(Event, frozen=True, kw_only=True, gc=False, tag="lateness"):
    """The program itself was late: figures taken around this instant cannot be vouched for."""

    what: str
    """Of it: "the event loop", "sending", "the speaker's clock, which is settling,"."""
    late_ms: float
    since_ns: Instant
    """The lateness lies between this and ``at_ns``."""


class LatencyReported(Event, frozen=True, kw_only=True, gc=False, tag="latency_reported"):
    """A latency figure that the agent itself reports, under its own name."""

    name: str
    reported_ms: float
    reply: str = ""


class SendingMeasured(Event, frozen=True, kw_only=True, gc=False, tag="sending"):
    """How long blocks took from the capture callback to the socket, over the whole call; told at its end."""

    blocks: Count
    p50_ms: float
    p99_ms: float
    worst_ms: float


class RoundTripMeasured(Event, frozen=True, kw_only=True, gc=False, tag="round_trip"):
    """A websocket ping was answered."""

    round_trip_ms: float


class ToolChanged(Event, frozen=True, kw_only=True, gc=False, tag="tool"):
    """A tool call began, or ended with a result or an error."""

    call: str
    name: str
    arguments: str = ""
    result: str = ""
    error: str = ""
    finished: bool = False
    duration_ms: float | None = None


class UsageReported(Event, frozen=True, kw_only=True, gc=False, tag="usage"):
    """What the agent says the session has cost, or what its limits leave."""

    what: str
    figures: dict[str, float] = {}


SessionEvent = (
    SessionStarted
    | StatusChanged
    | MessageLogged
    | ErrorRaised
    | FindingRaised
    | NoticeRaised
    | AudioOpened
    | RecordingChanged
    | MutedChanged
    | VolumeChanged
    | LineChanged
    | UserSpeech
    | SpeechEdge
    | Transcribed
    | KeysPressed
    | ReplyStarted
    | ReplyEnded
    | PlaybackStarted
    | PlaybackEnded
    | Flushed
    | LossCounted
    | ConditionChanged
    | LatenessSeen
    | LatencyReported
    | SendingMeasured
    | RoundTripMeasured
    | ToolChanged
    | UsageReported
)
"""Every kind of event, as one type for decoders and `match`."""
