"""The events of a session: immutable, numbered records with monotonic timestamps.

The engine emits events, and models fold them. Events cross the pipe to the screen as msgpack and are saved as
JSON. The timestamp ``at_ns`` comes from `time.monotonic_ns` in the engine. For audio, ``at_ns`` is the time
of a sample at the microphone or the speaker, and may be earlier than in the previous event.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

from tui.audio.calibration import Timing
from tui.protocols.log_rules import LogRules

# Saved events may be damaged or forged. These bounds keep their values, and sums of the values, within 64
# bits.
Instant = Annotated[int, msgspec.Meta(ge=-(2**62), le=2**62)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Size = Annotated[int, msgspec.Meta(ge=0, le=2**40)]
Offset = Annotated[int, msgspec.Meta(ge=-1, le=2**53)]


class Status(StrEnum):
    """Stage of a session."""

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
        """Whether a call is being set up, active, or ending."""
        return self in _LIVE

    def may_become(self, new: Status) -> bool:
        """Returns whether the transition to ``new`` is legal; ``error`` may follow any other status."""
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
    """Direction of a message."""

    SENT = "sent"
    RECEIVED = "received"


class Party(StrEnum):
    """One of the two parties of a call."""

    USER = "user"
    AGENT = "agent"

    @property
    def other(self) -> Party:
        """The other party."""
        return Party.AGENT if self is Party.USER else Party.USER


class SpeechPhase(StrEnum):
    """Phase of the user's speech, as the agent reports it."""

    STARTED = "started"
    STOPPED = "stopped"
    COMMITTED = "committed"


class Loss(StrEnum):
    """Kinds of loss, each with a counter on the screen."""

    CAPTURE_OVERFLOW = "capture overflow"
    """PortAudio lost microphone samples. The count is the number of blocks with its overflow flag."""
    CAPTURE_DROPPED = "capture dropped"
    """Blocks that the engine processed too late or missed while it was reopening the microphone."""
    UNSENT = "unsent"
    """User audio captured while no user stream was open; counted in blocks."""
    WITHHELD = "withheld"
    """User audio withheld on purpose while the agent plays (barge-in off, --echo gate); counted in blocks.

    This is not a fault.
    """
    UNDERRUN = "underrun"
    """Playback ran dry during a reply. Occurrences are counted; the detail contains the duration."""
    DEVICE_UNDERFLOW = "device underflow"
    """PortAudio inserted a gap. The count is the number of blocks with its underflow flag."""
    UNHEARD = "unheard"
    """Agent audio discarded during or after a flush; counted in milliseconds."""
    QUEUE_FULL = "queue full"
    """Agent audio beyond the limit of the playback queue; counted in milliseconds."""
    UNDECODABLE = "undecodable"
    """Messages that could not be decoded."""
    LATE_TOOL_RESULT = "late tool result"
    """Tool results that arrived after the time limit and were not sent."""
    CALLBACK_FAILED = "callback failed"
    """Callbacks that raised an exception."""

    @property
    def unit(self) -> str:
        """The unit in which the loss is measured; empty for plain counts."""
        return "ms" if self in (Loss.UNHEARD, Loss.QUEUE_FULL) else ""

    @property
    def label(self) -> str:
        """The label on the screen; files contain the enum value."""
        return {"unheard": "unplayed", "underrun": "dropout"}.get(self.value, self.value)

    def in_words(self, amount: float) -> str:
        """Returns a phrase that names the loss and its amount."""
        return f"{self.label} {amount:,.0f} {self.unit}".rstrip()

    @property
    def is_fault(self) -> bool:
        """Whether the loss was unintended."""
        return self not in (Loss.UNHEARD, Loss.WITHHELD)


class Condition(StrEnum):
    """Audio problems. An event reports when a problem begins; for a lasting problem, another reports its end."""

    STALLED = "stalled"
    """The device's callbacks stopped."""
    VANISHED = "vanished"
    """The device or the sound server has disappeared; the engine keeps looking for it."""
    ONLY_ZEROS = "only zeros"
    """The microphone sends only exact zeros: it may be muted, or permission may be missing."""
    ECHO = "echo"
    """The agent hears itself: the microphone picks up the playback."""
    CLIPPED_START = "clipped start"
    """A reply starts above the noise floor: its first word may be cut off."""
    CLIPPED_END = "clipped end"
    """A reply that was played completely ends above the noise floor: its last word may be cut off."""
    SPEECH_BEFORE_RECORDING = "speech before recording"
    """The user was already speaking when recording started: the first word may be cut off."""
    STREAM_NOT_OPENED = "user stream not opened"
    """The agent has not opened the user stream, so no user audio may be sent yet."""
    NOT_ANSWERED = "not answered"
    """The user stopped speaking some time ago, and no answer has arrived."""
    NO_PONGS = "no pongs"
    """The agent does not answer websocket pings; the call continues."""
    ARRIVAL_STALL = "arrival stall"
    """Agent audio paused for longer than the queue could bridge."""

    @property
    def is_advice(self) -> bool:
        """Whether the condition is only a guess.

        For example, a tone in intact audio can look like a clipped word.
        """
        return self in (Condition.CLIPPED_START, Condition.CLIPPED_END)

    @property
    def lasts(self) -> bool:
        """Whether the problem lasts until an event reports its end. A clipped word, for example, does not last."""
        return self not in (Condition.CLIPPED_START, Condition.CLIPPED_END, Condition.SPEECH_BEFORE_RECORDING)


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag_field="event"):
    """One record in the event stream."""

    number: Count = 0
    """Position in the stream, from 1; set by `emit`."""
    at_ns: Instant


class SessionStarted(Event, frozen=True, kw_only=True, gc=False, tag="session"):
    """A call was requested. This event always comes first."""

    session_id: str
    started_utc: str
    target: str
    """The URL without credentials."""
    protocol: str
    title: str = ""
    """Name of the target: the profile's name, "demo", or the host."""
    log_rules: LogRules | None = None
    """Rules by which the log interprets messages of a custom protocol."""


class StatusChanged(Event, frozen=True, kw_only=True, gc=False, tag="status"):
    """The status of the session has changed."""

    old: Status
    new: Status
    reason: str = ""


class MessageLogged(Event, frozen=True, kw_only=True, gc=False, tag="message"):
    """A message was sent or received. Its raw bytes are in the session file."""

    direction: Direction
    kind: str
    """Type of the message, as named by the protocol."""
    summary: str = ""
    size_bytes: Size = 0
    offset: Offset = -1
    """Position of the raw message in the session file; -1 if it is not there."""
    kept_bytes: Size = 0
    """Length of the message in the session file if secrets or audio were removed; 0 if the length is `size_bytes`."""
    audio_ms: float = 0.0
    known: bool = True
    count: Count = 1
    """Number of messages that this event sums up in size and duration; more than 1 only for audio in load tests."""


class ErrorRaised(Event, frozen=True, kw_only=True, gc=False, tag="error"):
    """An error occurred. Applying the event fires the error callbacks."""

    source: str
    """Source: "agent", "socket", "protocol", "audio", "callback NAME", "tool NAME"."""
    code: str
    message: str
    hint: str = ""
    """What the user can do about the error; empty if there is no advice."""
    fatal: bool = False
    answer_failed: bool = False
    """Whether the agent has abandoned the answer that was due, so that nobody need wait for it."""
    about: Count = 0
    """Number of the event that caused the error; 0 if unknown."""
    count: Count = 1
    """Total occurrences so far, if repeats are reported together."""


class FindingRaised(Event, frozen=True, kw_only=True, gc=False, tag="finding"):
    """The agent broke a rule of its protocol, or did something that this program advises against."""

    rule: str
    text: str
    advice: bool = False
    """Allowed but unwise behavior, or a guess by this program; never counts for ``--strict``."""
    about: Count = 0
    """Number of the first message that has caused the finding since the previous report."""
    count: Count = 1
    """Total occurrences so far; reported at 1, 10, 100 … and at the end of the call."""


class NoticeRaised(Event, frozen=True, kw_only=True, gc=False, tag="notice"):
    """Information for the user, for example about a fallback or a device."""

    text: str
    hint: str = ""
    of_call: bool = False
    """Whether the notice applies only while the call is active."""
    of_opening: bool = False
    """Whether the notice is about opening a saved session. Such a notice is not an event of that session."""


class AudioOpened(Event, frozen=True, kw_only=True, gc=False, tag="audio"):
    """Capture or playback is ready, for the first time or again."""

    capture: str
    """Name of the device or file, or a description such as "caller lines"."""
    playback: str
    capture_rate: Count = 0
    playback_rate: Count = 0
    latency_ms: float = 0.0
    """Buffer length that the playback device reports; 0 if there is no device."""
    timing: Timing | None = None
    """Accuracy of times from this event on. Without devices, times are exact, and the value is None."""


class RecordingChanged(Event, frozen=True, kw_only=True, gc=False, tag="recording"):
    """Recording started or stopped."""

    recording: bool


class MutedChanged(Event, frozen=True, kw_only=True, gc=False, tag="muted"):
    """The user was muted (silence is sent) or unmuted."""

    muted: bool


class VolumeChanged(Event, frozen=True, kw_only=True, gc=False, tag="volume"):
    """Playback volume, 0..2; 1 leaves samples unchanged."""

    volume: float


class LineChanged(Event, frozen=True, kw_only=True, gc=False, tag="line"):
    """A recorded line started or finished playing."""

    name: str
    text: str = ""
    finished: bool = False


class UserSpeech(Event, frozen=True, kw_only=True, gc=False, tag="user_speech"):
    """The agent reported that user speech began, ended, or was passed to its model."""

    phase: SpeechPhase
    item: str = ""
    """The agent's id for this speech, which the transcript also refers to; empty if the protocol has none."""


class SpeechEdge(Event, frozen=True, kw_only=True, gc=False, tag="speech_edge"):
    """This program detected the start or end of speech on a track.

    ``at_ns`` is back-dated to the edge. On the agent's track, other sounds, such as tones or music, have edges too.
    """

    speaker: Party
    started: bool
    method: str
    """"silero" or "energy"; sounds other than speech are always found by "energy"."""
    captured_ns: Instant | None = None
    """For the user: when the block that contains the edge left the device's callback."""
    framed_ns: Instant | None = None
    """For the user: when the message with that block was complete; None if no later block was needed."""
    sent_ns: Instant | None = None
    """For the user: when that block was passed to the socket; None if it was not sent."""


class Transcribed(Event, frozen=True, kw_only=True, gc=False, tag="transcript"):
    """Words were transcribed.

    The new words replace earlier words with the same speaker, item and part, even final ones.
    """

    speaker: Party
    text: str
    final: bool
    item: str = ""
    """For the agent's words, the stream id of the reply; for the user's words, the id of the speech. If it is empty,
    the words are ordered by time."""
    part: Count = 0
    """The content part of the item to which the words belong."""
    written: bool = False
    """Whether the agent sent the words as text, in addition to or instead of speech; such words have no audio."""
    confidence: float | None = None
    typed: bool = False
    """Whether the user typed the words. If so, the turn ends here, without speech."""


class KeysPressed(Event, frozen=True, kw_only=True, gc=False, tag="keys"):
    """The user pressed DTMF keys. Pressing a key ends the user's part of the turn."""

    digits: str


class ReplyStarted(Event, frozen=True, kw_only=True, gc=False, tag="reply_started"):
    """The agent began to send a reply."""

    reply: str
    format: str


class ReplyEnded(Event, frozen=True, kw_only=True, gc=False, tag="reply_ended"):
    """The agent has sent a whole reply. Much of the reply may not have been played yet."""

    reply: str
    received_ms: float


class PlaybackStarted(Event, frozen=True, kw_only=True, gc=False, tag="playback_started"):
    """The first sample of a reply left the speaker."""

    reply: str
    arrived_ns: Instant | None = None
    """When the reply's first byte of audio arrived."""
    handed_ns: Instant | None = None
    """When the reply's first sample was handed to the device."""


class PlaybackEnded(Event, frozen=True, kw_only=True, gc=False, tag="playback_ended"):
    """The last sample of a reply, or the last one before a cut, has left the speaker."""

    reply: str
    heard_ms: float
    unheard_ms: float = 0.0
    """Milliseconds discarded by a flush; 0 if the reply was played completely."""


class Flushed(Event, frozen=True, kw_only=True, gc=False, tag="flushed"):
    """Queued playback was dropped because of a barge-in or the user's interrupt key."""

    reason: str
    unheard_ms: float
    by_agent: bool = False
    """Whether the agent, rather than the user, requested the flush."""
    asked_ns: Instant | None = None
    """When the flush was requested by the agent's message or by the key."""
    silent_ns: Instant | None = None
    """When the speaker became silent."""


class LossCounted(Event, frozen=True, kw_only=True, gc=False, tag="loss"):
    """Audio or other data was lost; ``count`` is the amount since the previous event for this loss."""

    loss: Loss
    count: float
    detail: str = ""
    reply: str = ""
    """For UNHEARD: the reply that was cut off, if there is only one and the audio arrived after the cut."""


class ConditionChanged(Event, frozen=True, kw_only=True, gc=False, tag="condition"):
    """An audio problem began or ended. Applying the event shows or clears a warning."""

    condition: Condition
    path: str
    """"capture" or "playback"."""
    active: bool = True
    """False if the problem has ended. Momentary problems (a clipped word) never end."""
    text: str = ""
    """One sentence that states where the problem is, with figures."""
    hint: str = ""
    reply: str = ""
    """The reply concerned, if there is one."""
    since_ns: Instant | None = None
    """When the problem began, if known and earlier than ``at_ns``."""


class LatenessSeen(Event, frozen=True, kw_only=True, gc=False, tag="lateness"):
    """This program was late, so figures measured around this time are uncertain."""

    what: str
    """The part that was late: "the event loop", "sending", a device or a device's clock."""
    late_ms: float
    since_ns: Instant
    """Start of the period of lateness, which ends at ``at_ns``."""
    path: str = ""
    """The path of the late device ("capture" or "playback"). Only edges of sound at this device may be inaccurate."""


class CheckedEdge(StrEnum):
    """The edges of sound from which response times are measured.

    Each enum value is the name of the edge on the screen.
    """

    USER_ENDED = "end of user speech"
    AGENT_BEGAN = "start of the answer"


class EdgeDisputed(Event, frozen=True, kw_only=True, gc=False, tag="edge_disputed"):
    """A second detector, which ran over the tracks after the call, did not confirm an edge of a turn."""

    turn: Count
    edge: CheckedEdge
    first_ns: Instant | None = None
    """Where the edge was found during the call; None if it was missed."""
    second_ns: Instant | None = None
    """Where the second detector finds it; None if it finds no sound nearby."""


class EdgesCompared(Event, frozen=True, kw_only=True, gc=False, tag="edges_compared"):
    """A second detector checked edges of turns. Emitted once, after all `EdgeDisputed` events."""

    compared: Count
    disputed: Count
    left_out: Count = 0
    """Number of edges that could not be compared, for lack of time or audio."""


class LatencyReported(Event, frozen=True, kw_only=True, gc=False, tag="latency_reported"):
    """The agent reported a latency figure, under a name that the agent chose."""

    name: str
    reported_ms: float
    reply: str = ""


class SendingMeasured(Event, frozen=True, kw_only=True, gc=False, tag="sending"):
    """The delay of blocks from capture callback to socket was measured over the whole call.

    Emitted at the end of the call.
    """

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
    withdrawn: bool = False
    """Whether the agent withdrew the call, so that no result was sent."""
    duration_ms: float | None = None


class UsageReported(Event, frozen=True, kw_only=True, gc=False, tag="usage"):
    """The agent reported the session's usage, or how much of its limits is left."""

    what: str
    figures: dict[str, float] = {}


class ScenarioPhase(StrEnum):
    """Phase of a scenario that runs in a call."""

    PLAYING = "playing"
    BY_HAND = "by hand"
    """The user has taken over the call; no steps are carried out."""
    OVER = "over"


class ScenarioChanged(Event, frozen=True, kw_only=True, gc=False, tag="scenario"):
    """A scenario began, was taken over or handed back by the user, or ended and was evaluated."""

    phase: ScenarioPhase
    name: str
    file: str = ""
    steps: tuple[str, ...] = ()
    """All steps, described in words; set only when the scenario begins."""
    verdict: str = ""
    """"passed", "failed" or "not measured" once the scenario is over; empty until then."""
    reason: str = ""
    """The reason for the verdict, as a sentence."""


class StepChanged(Event, frozen=True, kw_only=True, gc=False, tag="step"):
    """A step of a scenario began or was evaluated, or a limit of the scenario was checked."""

    step: Count
    """Number of the step, from 1; limits are numbered after the last step."""
    text: str
    """The step in words."""
    place: str = ""
    """Where the step is defined: "FILE, line N"."""
    verdict: str = ""
    """"passed", "failed", "not measured" or "done" (a step without a verdict); empty while the step is running."""
    reason: str = ""
    """The reason for the verdict, as a sentence."""


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
    | EdgeDisputed
    | EdgesCompared
    | LatencyReported
    | SendingMeasured
    | RoundTripMeasured
    | ToolChanged
    | UsageReported
    | ScenarioChanged
    | StepChanged
)
"""Union of all event types, for decoders and `match`."""
