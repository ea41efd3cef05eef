"""The shape of a wire protocol: two ends, no sockets, no clocks of its own, no globals.

A protocol is a `CallerEnd` (the side this program plays), an `AgentEnd` (the side the local agent plays) and a
`Protocol` value that names them, in one file or a package; it is added by one line in `tui.protocols.registry`.
Frames go in, telephony events and frames to send come out; everything is testable with literals.

Both ends are called from one thread (the engine's or the agent's event loop).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, runtime_checkable
from typing import Protocol as Shape

import msgspec

from tui.audio.formats import AudioFormat
from tui.protocols.log_rules import LogRules
from tui.protocols.signs import Signs

INTERFACE = 1
"""The version of this interface. It rises when an existing protocol file would no longer work."""


class ProtocolError(Exception):
    """A frame that cannot be understood at all: not JSON, not an object, no type, binary where text is due.

    ``code`` is a short stable word ("not-json", "too-deep", "wrong-type", …), so that each kind is counted;
    ``findings`` is what the specification says of such a frame.
    """

    def __init__(self, code: str, message: str, findings: tuple[Finding, ...] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.findings = findings


class TelephonyEventType(StrEnum):
    """What a message can mean to a call, whichever protocol carried it."""

    # from the agent
    SESSION_ACCEPTED = "session.accepted"
    SESSION_ERROR = "session.error"
    HANG_UP = "hang_up"
    TRANSFER = "transfer"
    CONFIG = "config"
    CONNECTION_VALIDATED = "connection.validated"
    USER_STREAM_STARTED = "user_stream.started"
    USER_STREAM_STOPPED = "user_stream.stopped"
    SPEECH_STARTED = "speech.started"
    SPEECH_STOPPED = "speech.stopped"
    SPEECH_COMMITTED = "speech.committed"
    SPEECH_HYPOTHESIS = "speech.hypothesis"
    SPEECH_RECOGNITION = "speech.recognition"
    PLAY_STREAM_START = "play_stream.start"
    PLAY_STREAM_CHUNK = "play_stream.chunk"
    PLAY_STREAM_STOP = "play_stream.stop"
    CLEAR = "clear"
    MARK = "mark"
    AGENT_TEXT = "agent.text"
    AGENT_ERROR = "agent.error"
    USAGE = "usage"
    """What it cost, or may still cost: ``text`` says of what, ``params`` holds the figures."""
    PLAY_STREAM_DISCARDED = "play_stream.discarded"
    """Audio that came too late, for a reply that was cut off: not to be played, but counted."""
    # from the caller
    SESSION_INITIATE = "session.initiate"
    SESSION_RESUME = "session.resume"
    SESSION_END = "session.end"
    CALL_STARTED = "call.started"
    USER_STREAM_START = "user_stream.start"
    USER_STREAM_CHUNK = "user_stream.chunk"
    USER_STREAM_STOP = "user_stream.stop"
    DTMF = "dtmf"
    PLAY_FINISHED = "play.finished"
    MARK_REACHED = "mark.reached"
    CONNECTION_VALIDATE = "connection.validate"
    USER_TEXT = "user.text"
    USER_STREAM_CLEARED = "user_stream.cleared"
    """What was heard since the last turn is to be forgotten."""
    RESPONSE_WANTED = "response.wanted"
    """The caller asks for an answer; ``params`` are its wishes."""
    RESPONSE_CANCELLED = "response.cancelled"
    """The caller wants no more of the answer: it was ended on the wire."""
    TOOL_OUTPUT = "tool.output"
    """What a tool gave: ``stream_id`` is the call, ``text`` the output."""


class TelephonyEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What a message means. Which fields are set depends on ``type``; the others keep their defaults."""

    type: TelephonyEventType
    stream_id: str = ""
    """The play stream (the reply) it belongs to."""
    format: AudioFormat | None = None
    """Of the user stream (SESSION_ACCEPTED, …) or of a play stream (PLAY_STREAM_START)."""
    audio: bytes = b""
    """Audio as on the wire (``format`` of its stream), base64 and WAV header removed."""
    text: str = ""
    """Hypothesis, recognition, alternative text, digits, transfer target, mark name: the words of it."""
    final: bool = True
    """AGENT_TEXT: False for words of which more will come; the next event of that stream replaces them."""
    confidence: float | None = None
    reason: str = ""
    """Why (errors, hang-ups, clears)."""
    code: str = ""
    fatal: bool = False
    """SESSION_ERROR and AGENT_ERROR: the call cannot go on."""
    params: Mapping[str, Any] = {}
    """The message's own members where a handler may want more (CONFIG, CALL_STARTED, SESSION_INITIATE)."""


class Finding(msgspec.Struct, frozen=True):
    """Where the far side strays from its specification: a warning, never fatal."""

    rule: str
    """Short and stable, e.g. "format-not-offered"."""
    text: str
    """One sentence: what was seen, what is due."""


class Outgoing(msgspec.Struct, frozen=True):
    """One frame to send, and how it reads in the log."""

    frame: str | bytes
    kind: str
    """The protocol's own name for the message, e.g. "userStream.chunk"."""
    summary: str = ""
    """One line for a person, without base64: "user audio 20 ms"."""
    audio_ms: float = 0.0
    """How much audio it carries; 0 for everything else."""


class Incoming(msgspec.Struct, frozen=True):
    """One received frame, understood."""

    kind: str
    summary: str = ""
    audio_ms: float = 0.0
    body: Mapping[str, Any] = {}
    """The decoded message (what realtime handlers get)."""
    events: tuple[TelephonyEvent, ...] = ()
    replies: tuple[Outgoing, ...] = ()
    """What the protocol itself answers (acknowledgements), to be sent at once, in order."""
    findings: tuple[Finding, ...] = ()
    known: bool = True
    """False for a message type the protocol does not know: logged and counted, never fatal."""


class CallerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller's end may be told; each protocol uses what applies to it."""

    formats: tuple[str, ...] = ()
    """Audio formats to offer, in order of preference, by the protocol's own names; empty: its default."""
    barge_in: bool = True
    agent_name: str = "opusagent-tui"
    caller: str = "+15550100"
    params: Mapping[str, str] = {}
    options: Mapping[str, str] = {}
    """Protocol-specific settings by name; unknown names are refused by the protocol with a `ValueError`."""

    def check_options(self, protocol: str, known: Collection[str]) -> None:
        """Refuse an option that the protocol, by its name in a sentence, does not have: `ValueError`."""
        for name in self.options:
            if name not in known:
                raise ValueError(f"{protocol} has no option {name!r}. Choose from {', '.join(known)}.")


def check_formats(protocol: str, names: Iterable[str], known: Collection[str]) -> None:
    """Refuse an audio format that the protocol, by its name in a sentence, does not have: `ValueError`."""
    for name in names:
        if name not in known:
            raise ValueError(f"{protocol} has no audio format {name!r}. Choose from {', '.join(known)}.")


class CallerEnd(Shape):
    """The caller's side of one call (AudioCodes: VoiceAI Connect; Twilio: Twilio; OpenAI: the client).

    Made by `Protocol.caller`. Methods that return frames change the state as if they had been sent.
    """

    @property
    def user_format(self) -> AudioFormat | None:
        """What `user_audio` carries; None until it is agreed."""
        ...

    @property
    def user_stream_open(self) -> bool:
        """Whether `user_audio` would be sent now rather than withheld."""
        ...

    @property
    def barge_in(self) -> bool:
        """Whether the user may interrupt: user audio keeps flowing while the agent plays."""
        ...

    def opened(self) -> list[Outgoing]:
        """The socket is open: the first messages."""
        ...

    def resumed(self) -> list[Outgoing] | None:
        """A new socket after a dropped one: the first messages, or None where the protocol cannot resume."""
        ...

    def receive(self, frame: str | bytes) -> Incoming:
        """Understand one frame. Raises `ProtocolError` and nothing else."""
        ...

    def start_user_stream(self) -> list[Outgoing]:
        """The user wants to be heard from now on."""
        ...

    def user_audio(self, audio: bytes) -> list[Outgoing]:
        """User audio in `user_format`; no frames where the stream is not open or is withheld."""
        ...

    def stop_user_stream(self) -> list[Outgoing]:
        """The user is done: no audio follows."""
        ...

    def dtmf(self, digits: str) -> list[Outgoing]:
        """Keys pressed, ``0-9 * # A-D``."""
        ...

    def user_text(self, text: str) -> list[Outgoing]:
        """A typed turn; no frames where the protocol has none."""
        ...

    def playback_finished(self, stream_id: str, *, heard_ms: float, received_ms: float) -> list[Outgoing]:
        """The last sample of a reply has left the speaker, or was flushed (then heard < received)."""
        ...

    def mark_reached(self, name: str) -> list[Outgoing]:
        """The audio before a MARK event has left the speaker, or was flushed."""
        ...

    def interrupted(self, stream_id: str, *, heard_ms: float, received_ms: float) -> list[Outgoing]:
        """Playback of a reply was flushed after ``heard_ms``."""
        ...

    def hang_up(self, reason: str = "Client Side") -> list[Outgoing]:
        """The last messages before the socket is closed."""
        ...


@runtime_checkable
class HasInstructions(Shape):
    """What a `CallerEnd` may be as well: it can tell the agent how to behave, in mid-call too."""

    def update_instructions(self, text: str) -> list[Outgoing]:
        """What the agent is to do from now on."""
        ...


@runtime_checkable
class RelaysToolMessages(Shape):
    """A `CallerEnd` with tools: it decides when the messages of a `FunctionHandler` can be sent."""

    def relay(self, message: Mapping[str, Any]) -> list[Outgoing]:
        """Returns the messages to send now; a request for an answer may have to wait for its turn."""
        ...


@runtime_checkable
class CanValidate(CallerEnd, Shape):
    """What a `CallerEnd` may be as well: it can ask whether the agent is well, without a call."""

    def validate(self) -> list[Outgoing]:
        """Ask; CONNECTION_VALIDATED answers, with ``success`` in its ``params``."""
        ...


@runtime_checkable
class KnowsTurns(Shape):
    """What a `CallerEnd` may be as well: of a protocol in which the agent need not find out about turns."""

    @property
    def agent_detects_turns(self) -> bool:
        """Whether the agent hears when a turn is over; otherwise `stop_user_stream` has to say so."""
        ...


def agent_detects_turns(caller: CallerEnd) -> bool:
    """Whether the agent hears when a turn is over, which it does unless the protocol says otherwise."""
    return caller.agent_detects_turns if isinstance(caller, KnowsTurns) else True


@runtime_checkable
class KnowsPlayFormat(Shape):
    """What a `CallerEnd` may be as well: of a protocol whose replies may come at another rate than user audio."""

    @property
    def play_format(self) -> AudioFormat | None:
        """What replies are expected in; None until it is known."""
        ...


def foreseen_play_format(caller: CallerEnd, user_format: AudioFormat | None) -> AudioFormat | None:
    """What the first reply is likely to come in: the user's format, unless the protocol knows better."""
    return caller.play_format if isinstance(caller, KnowsPlayFormat) else user_format


class AgentEnd(Shape):
    """The agent's side of one call, for the local agent. Same rules as `CallerEnd`."""

    @property
    def user_format(self) -> AudioFormat | None:
        """What the user's audio arrives in; None until it is agreed."""
        ...

    @property
    def play_format(self) -> AudioFormat | None:
        """What `say_audio` has to be given."""
        ...

    def opened(self) -> list[Outgoing]:
        """A caller has connected: messages due before it says anything."""
        ...

    def receive(self, frame: str | bytes) -> Incoming:
        """Understand one frame. Raises `ProtocolError` and nothing else."""
        ...

    def say_start(self, stream_id: str, text: str = "") -> list[Outgoing]:
        """A reply begins."""
        ...

    def say_audio(self, stream_id: str, audio: bytes) -> list[Outgoing]:
        """Reply audio in `play_format`, any length."""
        ...

    def say_stop(self, stream_id: str, *, interrupted: bool = False) -> list[Outgoing]:
        """The reply is complete (or was cut short)."""
        ...

    def speech_started(self) -> list[Outgoing]:
        """The user was heard to begin."""
        ...

    def speech_stopped(self) -> list[Outgoing]:
        """The user was heard to end."""
        ...

    def hypothesis(self, text: str) -> list[Outgoing]:
        """Partial text of the user's turn."""
        ...

    def recognition(self, text: str, confidence: float) -> list[Outgoing]:
        """Final text of the user's turn, handed to the model."""
        ...

    def hang_up(self, reason: str) -> list[Outgoing]:
        """The agent ends the call."""
        ...

    def end(self) -> list[Outgoing]:
        """The agent shuts down: whatever is polite before the close."""
        ...


@runtime_checkable
class RealtimeAgentEnd(AgentEnd, Shape):
    """What an `AgentEnd` may be as well: the caller decides what the agent does by itself, and brings tools.

    Typed text (USER_TEXT) and tool outputs (TOOL_OUTPUT) are answered on RESPONSE_WANTED alone.
    """

    @property
    def detects_turns(self) -> bool:
        """Whether the agent finds out when a turn is over; otherwise SPEECH_COMMITTED says so."""
        ...

    @property
    def answers_unasked(self) -> bool:
        """Whether a turn that was heard is answered at once; otherwise on RESPONSE_WANTED."""
        ...

    @property
    def yields_to_speech(self) -> bool:
        """Whether the agent falls silent when the user begins to speak."""
        ...

    @property
    def tools(self) -> Sequence[Mapping[str, Any]]:
        """The functions the caller offers: ``name``, ``description``, ``parameters`` (a JSON schema)."""
        ...

    def call_tool(self, name: str, arguments: Mapping[str, Any]) -> list[Outgoing]:
        """Call one of the tools, in place of an answer; TOOL_OUTPUT and RESPONSE_WANTED follow."""
        ...


NewId = Callable[[], str]
"""Makes the ids a protocol needs (a UUID, 32 hex digits, …) so that tests can fix them."""
UtcNow = Callable[[], str]
"""The wall clock as ISO 8601 with milliseconds and ``Z``, for messages that carry a timestamp."""


def bearer(token: str, url: str) -> Mapping[str, str]:
    """The header that carries a token where the protocol has no other; none without a token."""
    return {"Authorization": f"Bearer {token}"} if token else {}


def _as_given(url: str, options: Mapping[str, str]) -> str:
    return url


def no_agent(new_id: NewId, utc_now: UtcNow) -> AgentEnd:
    """In place of the agent's end that a protocol does not have."""
    raise NotImplementedError("this protocol has no agent's end")


def _nothing_to_say(url: str) -> str:
    return ""


class Protocol(msgspec.Struct, frozen=True):
    """One wire protocol: its names and its two ends."""

    name: str
    """As in ``--protocol NAME``."""
    title: str
    """For people: "AudioCodes Bot API"."""
    path: str
    """Where the local agent answers it, e.g. "/audiocodes"."""
    caller: Callable[[CallerSettings, NewId, UtcNow], CallerEnd]
    formats: Mapping[str, AudioFormat]
    """Formats it can carry, by its own names."""
    headers: Callable[[str, str], Mapping[str, str]] = bearer
    """From a token and the URL that is dialled to the request headers that carry, or prove, the token."""
    agent: Callable[[NewId, UtcNow], AgentEnd] = no_agent
    """Left out where there is no agent's end: the local agent does not answer such a protocol."""
    dialled_url: Callable[[str, Mapping[str, str]], str] = _as_given
    """From the URL and the options to the URL that is dialled."""
    log: LogRules = LogRules()
    """How the event log folds, pairs and plays its messages."""
    signs: Signs = Signs()
    """What it is recognized by with ``--protocol auto``."""
    interface: int = 0
    """The `INTERFACE` that it was written for, checked when it is loaded; 0: not stated, not checked."""
    has_words: bool = True
    """False where no message can carry what is said: there is no transcript."""
    realtime_functions: bool = False
    """The agent calls functions with the events of OpenAI Realtime, which `FunctionHandler` answers."""
    url_notice: Callable[[str], str] = _nothing_to_say
    """From a URL to a sentence on what the protocol does not allow in it; "" where all is well."""
    accepted_on_open: bool = False
    """No message accepts a call: it is accepted, in the caller's `user_format`, once `opened` has been sent."""
    continuous: bool = False
    """User audio flows from the acceptance to the hang-up, as silence while the user does not record.

    What is not to be sent all the same, the caller's end withholds (``user_stream_open``).
    """
    reply_ends_after_ms: float = 0.0
    """For protocols whose agent need not say that a reply is complete: how long playback has to have run dry.

    Whoever plays then calls `CallerEnd.playback_finished`, before anything else is received; audio that comes
    later begins another reply. 0: the agent says it.
    """
