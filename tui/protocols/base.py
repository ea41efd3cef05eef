"""The interface of a wire protocol: two ends without sockets, clocks or globals.

A protocol consists of a `CallerEnd` (the side that this program plays), an `AgentEnd` (the side that the
local agent plays) and a `Protocol` value that names them. All three are defined in one file or package, which
a line in `tui.protocols.registry` registers. Both ends turn received frames into telephony events and frames
to send, so tests need no sockets, only literal frames.

All methods are called from one thread, which runs the engine's or the agent's event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, runtime_checkable
from typing import Protocol as Shape

import msgspec

from tui.audio.formats import AudioFormat
from tui.protocols.log_rules import LogRules
from tui.protocols.signs import Signs

INTERFACE = 1
"""The version of this interface. It is incremented when existing protocol files would no longer work."""


class ProtocolError(Exception):
    """Raised if a frame cannot be decoded, because it is not a JSON object, has no type, or is binary.

    ``code`` is a short, stable word ("not-json", "too-deep", "wrong-type", …) by which errors are counted.
    ``findings`` lists the rules of the specification that the frame breaks.
    """

    def __init__(self, code: str, message: str, findings: tuple[Finding, ...] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.findings = findings


class TelephonyEventType(StrEnum):
    """What a message can mean for a call, in any protocol."""

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
    """The cost so far, or a limit: ``text`` names the quantity, and ``params`` contains the figures."""
    LATENCY = "latency"
    """The delays of an answer as reported by the agent: ``params`` contains them in ms, under the agent's names."""
    TOOL_CALL = "tool.call"
    """The agent calls a tool: ``text`` is the tool's name, ``params`` are the arguments, and ``stream_id`` identifies
    the call.

    Without a ``stream_id`` no result is expected. Protocols with ``realtime_functions`` use their own
    messages to call tools."""
    TOOL_CALL_CANCELLED = "tool.call_cancelled"
    """The agent no longer wants the result of the call ``stream_id``."""
    PLAY_HELD = "play.held"
    """Playback of all replies pauses; queued audio is kept."""
    PLAY_CONTINUED = "play.continued"
    """Playback continues where it was paused."""
    PLAY_STREAM_DISCARDED = "play_stream.discarded"
    """Audio that arrived after its reply was cut off: counted, but not played."""
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
    """The caller discards its audio since the last turn."""
    RESPONSE_WANTED = "response.wanted"
    """The caller requests an answer.

    ``params`` are the options of the request; ``text`` is the text to answer, if the request contains one. If
    the option ``conversation`` is "none", the answer is separate from the conversation.
    """
    RESPONSE_CANCELLED = "response.cancelled"
    """The caller sent a message that cancels the answer."""
    TOOL_OUTPUT = "tool.output"
    """The result of a tool: ``stream_id`` identifies the call, and ``text`` is the output."""


class TelephonyEvent(msgspec.Struct, frozen=True, kw_only=True):
    """The meaning of a message. ``type`` determines which fields are set; the others have their defaults."""

    type: TelephonyEventType
    stream_id: str = ""
    """Id of the play stream (the reply), or of the user's item, to which the event belongs."""
    part: int = 0
    """AGENT_TEXT: the content part of the reply, for protocols whose replies have several parts."""
    written: bool = False
    """AGENT_TEXT: whether the words are text without audio, in addition to or instead of speech."""
    format: AudioFormat | None = None
    """The format of the user stream (SESSION_ACCEPTED, …) or of a play stream (PLAY_STREAM_START)."""
    audio: bytes = b""
    """Audio in the ``format`` of its stream, as on the wire but decoded from base64 and without a WAV header."""
    text: str = ""
    """The text of the event: hypothesis, recognition, alternative text, digits, transfer target or mark name."""
    final: bool = True
    """AGENT_TEXT: False for partial text, which the next event of the stream replaces."""
    confidence: float | None = None
    reason: str = ""
    """The reason for an error, hang-up or clear."""
    code: str = ""
    fatal: bool = False
    """SESSION_ERROR and AGENT_ERROR: whether the call cannot continue."""
    answer_failed: bool = False
    """AGENT_ERROR: whether the expected answer failed and no other answer is requested or in progress."""
    params: Mapping[str, Any] = {}
    """Members of the message that a handler may need (CONFIG, CALL_STARTED, SESSION_INITIATE)."""


class Finding(msgspec.Struct, frozen=True):
    """A violation of the protocol by the far side, or advice about its behavior. A finding never ends the call."""

    rule: str
    """A short and stable name, such as "format-not-offered"."""
    text: str
    """One sentence that states what was received and what was expected."""
    advice: bool = False
    """Whether this is advice (about a guess or something allowed but unwise), which never counts for ``--strict``."""


class Outgoing(msgspec.Struct, frozen=True):
    """A frame to send, with its line in the log."""

    frame: str | bytes
    kind: str
    """The protocol's own name for the message, e.g. "userStream.chunk"."""
    summary: str = ""
    """A one-line description without base64, such as "user audio 20 ms"."""
    audio_ms: float = 0.0
    """Duration of the message's audio; 0 if there is none."""


class Incoming(msgspec.Struct, frozen=True):
    """A decoded frame from the far side."""

    kind: str
    summary: str = ""
    audio_ms: float = 0.0
    body: Mapping[str, Any] = {}
    """The decoded message, which realtime handlers receive."""
    events: tuple[TelephonyEvent, ...] = ()
    replies: tuple[Outgoing, ...] = ()
    """Answers that the protocol itself requires (acknowledgements), to be sent at once, in order."""
    findings: tuple[Finding, ...] = ()
    known: bool = True
    """False for a message type that the protocol does not define, which is logged and counted but never fatal."""
    refused: str = ""
    """Why the agent's end refuses the request in the message; empty if it accepts the request."""


class CallerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of a call. Each protocol uses only some of them."""

    formats: tuple[str, ...] = ()
    """Audio formats to offer, by the protocol's own names, in order of preference; empty for the default."""
    barge_in: bool = True
    agent_name: str = "opusagent-tui"
    caller: str = "+15550100"
    params: Mapping[str, str] = {}
    options: Mapping[str, str] = {}
    """Protocol-specific settings by name; the protocol raises `ValueError` for unknown names."""
    url: str = ""
    """The URL to dial, as given; some protocols have settings in its query."""

    def check_options(self, protocol: str, known: Collection[str]) -> None:
        """Raises `ValueError` if an option is not in ``known``. ``protocol`` is the name to use in the message."""
        for name in self.options:
            if name not in known:
                raise ValueError(f"{protocol} has no option {name!r}. Choose from {', '.join(known)}.")


def check_formats(protocol: str, names: Iterable[str], known: Collection[str]) -> None:
    """Raises `ValueError` if an audio format is not in ``known``. ``protocol`` is the name to use in the message."""
    for name in names:
        if name not in known:
            supported = ", ".join(known)
            raise ValueError(f"Unsupported audio format {name!r} for {protocol}. Choose from {supported}.")


class HangUpReason(StrEnum):
    """Why the caller's side ends a call. The text appears in the log."""

    USER = "Client Side"
    """The user, or this program, hung up."""
    AGENT = "Bot Side"
    """The agent hung up."""
    TRANSFERRED = "Transferred"
    """The agent transferred the call."""
    FAILED = "Error"
    """The call failed."""


class CallerEnd(Shape):
    """The caller's side of one call (such as VoiceAI Connect, Twilio or an OpenAI client).

    `Protocol.caller` creates this object. Methods return the frames to send, and change the state as if the
    frames had been sent.
    """

    @property
    def user_format(self) -> AudioFormat | None:
        """The audio format for `user_audio`; None until it has been negotiated."""

    @property
    def user_stream_open(self) -> bool:
        """Whether user audio may be sent now; otherwise, `user_audio` returns no frames."""

    @property
    def barge_in(self) -> bool:
        """Whether the user may interrupt, so that user audio is sent even while the agent's audio plays."""

    def opened(self) -> list[Outgoing]:
        """Called once the socket is open; returns the first messages."""

    def resumed(self) -> list[Outgoing] | None:
        """Called once a new socket has replaced a lost socket; returns the first messages to send.

        Returns None if the session cannot be resumed.
        """

    def receive(self, frame: str | bytes) -> Incoming:
        """Decodes one frame. Raises only `ProtocolError`."""

    def start_user_stream(self) -> list[Outgoing]:
        """Opens the user stream."""

    def user_audio(self, audio: bytes) -> list[Outgoing]:
        """Sends user audio in `user_format`. Returns no frames while audio must not be sent."""

    def stop_user_stream(self) -> list[Outgoing]:
        """Closes the user stream, because no more audio follows."""

    def dtmf(self, digits: str) -> list[Outgoing]:
        """Sends the pressed keys, ``0-9 * # A-D``."""

    def user_text(self, text: str) -> list[Outgoing]:
        """Sends a typed turn. Returns no frames if the protocol has no message for typed turns."""

    def playback_finished(self, stream_id: str, *, heard_ms: float, received_ms: float) -> list[Outgoing]:
        """Called when a reply was played completely, or was flushed (then ``heard_ms`` < ``received_ms``)."""

    def mark_reached(self, name: str) -> list[Outgoing]:
        """Called when the audio before a mark was played or flushed. ``name`` comes from the MARK event."""

    def interrupted(self, stream_id: str, *, heard_ms: float, received_ms: float) -> list[Outgoing]:
        """Called when playback of a reply was flushed after ``heard_ms``."""

    def hang_up(self, reason: str = HangUpReason.USER) -> list[Outgoing]:
        """Returns the last messages before the socket is closed. ``reason`` is one of `HangUpReason`."""


@runtime_checkable
class HasInstructions(Shape):
    """A `CallerEnd` that can change the agent's instructions during a call."""

    def update_instructions(self, text: str) -> list[Outgoing]:
        """Sends new instructions to the agent."""


@runtime_checkable
class RelaysToolMessages(Shape):
    """A `CallerEnd` that decides when messages of a `FunctionHandler` are sent, and in which form."""

    def relay(self, message: Mapping[str, Any]) -> list[Outgoing]:
        """Takes a message of the `FunctionHandler`; returns the messages to send now.

        Other messages may have to wait.
        """


@runtime_checkable
class MaySilenceResults(Shape):
    """A `CallerEnd` whose settings can keep the agent from answering the results of tools."""

    @property
    def results_are_answered(self) -> bool:
        """Whether the agent is expected to answer the result of a tool."""


@runtime_checkable
class CanValidate(CallerEnd, Shape):
    """A `CallerEnd` that can ask the agent whether it is ready, without a call."""

    def validate(self) -> list[Outgoing]:
        """Asks whether the agent is ready.

        The answer is CONNECTION_VALIDATED, whose ``params`` contain ``success``.
        """


@runtime_checkable
class SendsHeaders(CallerEnd, Shape):
    """A `CallerEnd` that adds the ids of its call to the upgrade request."""

    def request_headers(self, url: str, token: str) -> Mapping[str, str]:
        """Returns headers to send in addition to the headers for the token.

        Raises `ValueError` if the token is unsuitable.
        """


@runtime_checkable
class PassesTime(Shape):
    """A `CallerEnd` whose clock is the user's audio, even audio that is not sent."""

    def withheld(self, audio: bytes) -> list[Outgoing]:
        """Advances the clock by user audio that is not sent; returns the messages that are due."""


@runtime_checkable
class AwaitsGoodbye(Shape):
    """A `CallerEnd` that waits for an answer to its last message before the socket is closed."""

    @property
    def goodbye_answered(self) -> bool:
        """Whether the agent has answered the last message, or need not answer it."""

    @property
    def missing_goodbye(self) -> Finding:
        """The finding to report if the agent does not answer."""


@runtime_checkable
class KnowsTurns(Shape):
    """A `CallerEnd` of a protocol in which the caller may have to announce turns."""

    @property
    def agent_detects_turns(self) -> bool:
        """Whether the agent detects the end of a turn; otherwise, `stop_user_stream` announces the end."""


def agent_detects_turns(caller: CallerEnd) -> bool:
    """Returns whether the agent detects the end of a turn; true if ``caller`` is not a `KnowsTurns`."""
    return caller.agent_detects_turns if isinstance(caller, KnowsTurns) else True


@runtime_checkable
class AcknowledgesUserStream(Shape):
    """A `CallerEnd` of a protocol in which the agent acknowledges each start and stop of the user stream."""

    @property
    def user_stream_opening(self) -> bool:
        """Whether a request to open the user stream awaits the agent's acknowledgment."""

    @property
    def user_stream_closing(self) -> bool:
        """Whether a request to close the user stream awaits the agent's acknowledgment."""


@runtime_checkable
class KnowsPlayFormat(Shape):
    """A `CallerEnd` of a protocol in which replies may have a different sample rate from user audio."""

    @property
    def play_format(self) -> AudioFormat | None:
        """The format expected for replies; None until it is known."""


def foreseen_play_format(caller: CallerEnd, user_format: AudioFormat | None) -> AudioFormat | None:
    """Returns the format expected for the first reply, which by default is the format of user audio."""
    return caller.play_format if isinstance(caller, KnowsPlayFormat) else user_format


class AgentEnd(Shape):
    """The agent's side of one call, used by the local agent.

    Methods return the frames to send, and change the state as if the frames had been sent.
    """

    @property
    def user_format(self) -> AudioFormat | None:
        """The format of the user's audio; None until it has been negotiated."""

    @property
    def play_format(self) -> AudioFormat | None:
        """The audio format for `say_audio`."""

    def opened(self) -> list[Outgoing]:
        """Called when a caller has connected; returns messages to send before the caller's first message."""

    def receive(self, frame: str | bytes) -> Incoming:
        """Decodes one frame. Raises only `ProtocolError`."""

    def say_start(self, stream_id: str, text: str = "") -> list[Outgoing]:
        """Starts a reply. ``text`` contains the words of the reply."""

    def say_audio(self, stream_id: str, audio: bytes) -> list[Outgoing]:
        """Sends audio of a reply, in `play_format` and of any length."""

    def say_stop(self, stream_id: str, *, interrupted: bool = False) -> list[Outgoing]:
        """Ends a reply, which is complete unless ``interrupted``."""

    def speech_started(self) -> list[Outgoing]:
        """Announces that the user has started to speak."""

    def speech_stopped(self) -> list[Outgoing]:
        """Announces that the user has stopped speaking."""

    def hypothesis(self, text: str) -> list[Outgoing]:
        """Sends partial text of the user's turn."""

    def recognition(self, text: str, confidence: float) -> list[Outgoing]:
        """Sends the final text of the user's turn."""

    def hang_up(self, reason: str) -> list[Outgoing]:
        """Ends the call."""

    def end(self) -> list[Outgoing]:
        """Called when the agent shuts down; returns the last messages before the socket is closed."""


class Handshake(msgspec.Struct, frozen=True):
    """The HTTP request with which a caller opened its websocket, without secrets."""

    query: Mapping[str, str] = {}
    """The URL's query parameters; for a repeated parameter, the last value."""
    path: str = ""
    """The URL's path, without a trailing slash."""
    beta: str = ""
    """The ``OpenAI-Beta`` header."""
    subprotocols: tuple[str, ...] = ()
    """The websocket subprotocols that the caller offered."""


class Close(msgspec.Struct, frozen=True):
    """The code and reason with which the agent closes a websocket."""

    code: int = 1000
    reason: str = ""


@runtime_checkable
class ReadsHandshake(AgentEnd, Shape):
    """An `AgentEnd` that needs to know how the caller connected."""

    def admit(self, handshake: Handshake) -> Close | None:
        """Called before `opened`; returns None to admit the caller.

        To refuse the caller, returns how to close the socket once the messages from `opened` have been sent.
        """


@runtime_checkable
class AnswersUnreadable(AgentEnd, Shape):
    """An `AgentEnd` that answers frames that cannot be decoded."""

    def unreadable(self, error: ProtocolError) -> list[Outgoing]:
        """Returns the answer to a frame that `receive` rejected with ``error``."""


@runtime_checkable
class CallsTools(AgentEnd, Shape):
    """An `AgentEnd` that can call the caller's functions."""

    @property
    def tools(self) -> Sequence[Mapping[str, Any]]:
        """The functions that may be called now: ``name``, ``description``, ``parameters`` (a JSON schema)."""

    @property
    def must_call_tool(self) -> bool:
        """Whether the caller requires a tool call, regardless of what the user said."""

    def call_tool(self, name: str, arguments: Mapping[str, Any]) -> list[Outgoing]:
        """Calls a tool instead of answering. The caller's result arrives as a TOOL_OUTPUT event."""


@runtime_checkable
class RunsOnUserAudio(AgentEnd, Shape):
    """An `AgentEnd` whose time passes only while the caller sends audio.

    The output is one continuous track, as long as the audio that the agent has received.
    """

    @property
    def heard_ms(self) -> float:
        """Total duration of the user's audio; the upper limit of the agent's time."""

    def pass_time(self, now_ms: float) -> None:
        """Advances the agent's time. The agent's next speech begins at the new time."""

    def track(self) -> list[Outgoing]:
        """Sends the agent's audio up to the current time: speech, with silence in between."""


@runtime_checkable
class RealtimeAgentEnd(CallsTools, Shape):
    """An `AgentEnd` whose caller controls what the agent does without a request.

    Typed text (USER_TEXT) and tool outputs (TOOL_OUTPUT) are answered only on RESPONSE_WANTED.
    """

    @property
    def detects_turns(self) -> bool:
        """Whether the agent detects the end of a turn; otherwise, SPEECH_COMMITTED announces the end."""

    @property
    def answers_unasked(self) -> bool:
        """Whether the agent answers a detected turn at once; otherwise, the agent waits for RESPONSE_WANTED."""

    @property
    def yields_to_speech(self) -> bool:
        """Whether the agent stops speaking when the user starts."""

    @property
    def idle_timeout_ms(self) -> float | None:
        """How long the agent waits after a reply before it speaks again to a silent user; None means forever."""

    def idle(self) -> list[Outgoing]:
        """Announces that the user has been silent for `idle_timeout_ms`. The agent speaks next."""


NewId = Callable[[], str]
"""Creates the ids that a protocol needs (a UUID, 32 hex digits, …); tests pass fixed ids."""
UtcNow = Callable[[], str]
"""Returns the wall-clock time as ISO 8601 with milliseconds and ``Z``, for messages that carry a timestamp."""


def bearer(token: str, url: str) -> Mapping[str, str]:
    """Returns the ``Authorization`` header for a token; no header if the token is empty."""
    return {"Authorization": f"Bearer {token}"} if token else {}


def unix_time(utc_now: UtcNow) -> float:
    """Returns the seconds since 1970; 0 if ``utc_now`` does not return a date."""
    try:
        return datetime.fromisoformat(utc_now()).timestamp()
    except ValueError:
        return 0.0


def no_agent(new_id: NewId, utc_now: UtcNow) -> AgentEnd:
    """Raises `NotImplementedError`, because the protocol has no agent's end. The default of `Protocol.agent`."""
    raise NotImplementedError("this protocol does not implement the agent's side")


class Protocol(msgspec.Struct, frozen=True):
    """A wire protocol: its names, its two ends, and its properties."""

    name: str
    """The name to use with ``--protocol NAME``."""
    title: str
    """The name shown to the user, such as "AudioCodes Bot API"."""
    path: str
    """The path at which the local agent serves the protocol, e.g. "/audiocodes"."""
    caller: Callable[[CallerSettings, NewId, UtcNow], CallerEnd]
    formats: Mapping[str, AudioFormat]
    """The audio formats that the protocol supports, by the protocol's names for them."""
    other_paths: tuple[str, ...] = ()
    """Additional paths at which the local agent serves the protocol, for clients that cannot choose the path."""
    headers: Callable[[str, str], Mapping[str, str]] = bearer
    """Returns the request headers that carry or prove a token, for the dialed URL."""
    proves_token: Callable[[Callable[[str], str], str, str], bool] | None = None
    """Returns whether a request's headers, which are looked up by name, prove the token for the URL.

    The local agent uses this for headers that differ from request to request; by default, a request must have
    the `headers` of the token.
    """
    agent: Callable[[NewId, UtcNow], AgentEnd] = no_agent
    """Creates the agent's end. By default, the local agent does not serve the protocol."""
    token_subprotocols: tuple[str, ...] = ()
    """Prefixes of websocket subprotocols that carry the token, for callers that cannot set headers (browsers)."""
    dialled_url: Callable[[str, Mapping[str, str]], str] = lambda url, options: url
    """Returns the URL to dial, for the given URL and options."""
    wire_options: tuple[str, ...] = ()
    """Options that change the bytes on the wire; the local agent reads them from the query of its URL."""
    log_of: Callable[[Mapping[str, str]], LogRules] | None = None
    """Returns the value of ``log`` for a call with the given options; None if it does not depend on options."""
    log: LogRules = LogRules()
    """How the event log folds, pairs and plays the protocol's messages."""
    signs: Signs = Signs()
    """The signs by which ``--protocol auto`` recognizes the protocol."""
    interface: int = 0
    """The `INTERFACE` version that the protocol was written for, checked on loading; 0 skips the check."""
    has_words: bool = True
    """Whether messages contain words; if not, there is no transcript."""
    checked_by_opening: bool = False
    """Whether `check` may open a session and end it at once, because a session without audio costs nothing."""
    calls_tools: bool = False
    """Whether the agent calls tools with TOOL_CALL events; `RelaysToolMessages.relay` sends their results."""
    offers_tools: bool = False
    """Whether a caller with ``calls_tools`` announces its tools to the agent.

    The tools are passed to the caller's end in the option ``tools``: a JSON array in the format of OpenAI
    Realtime.
    """
    realtime_functions: bool = False
    """Whether the agent calls functions with the events of OpenAI Realtime, which `FunctionHandler` answers."""
    check_notice: str = ""
    """A sentence that `check` prints about a setting of the user's account that neither `check` nor a call can
    verify."""
    url_notice: Callable[[str], str] = lambda url: ""
    """Returns a sentence about a part of a URL that the protocol does not allow; "" if the URL is allowed."""
    accepted_on_open: bool = False
    """Whether a call counts as accepted, with its `user_format`, once the messages from `opened` have been sent."""
    continuous: bool = False
    """Whether user audio flows from acceptance to hang-up, as silence while the microphone is off.

    The caller's end withholds audio that must not be sent (``user_stream_open``).
    """
    reply_ends_after_ms: float = 0.0
    """How long playback must be idle before a reply ends, in protocols that have no message for the end of a reply.

    When a reply ends, the session calls `CallerEnd.playback_finished` before it handles another message, and
    later audio starts another reply. 0 if the agent announces the end.
    """
