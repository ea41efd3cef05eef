"""TelephonyDialect: a table that describes the media stream of one telephony provider.

All media streams work in the same way: the provider dials the user's server, and audio flows both ways. The
server can discard unplayed audio and is notified when audio has been played. A table contains the names of
the messages, and functions for messages with a special structure. The two ends (`caller`, `agent`) know only
the table.

A message has a kind (its ``event``), and its content is at a path such as ``media.payload``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from tui.audio.formats import AudioFormat, Encoding
from tui.protocols.base import CallerSettings, Finding, NewId, UtcNow, unix_time
from tui.protocols.json_frames import Members, cut, encode

MULAW_8K = AudioFormat(Encoding.MULAW, 8_000)
RETURNED, DROPPED = "returned", "dropped"
"""Whether pending marks are returned or dropped when the server discards its unplayed audio."""
TIMESTAMP = "timestamp"
"""The option for the meaning of timestamps, if sources disagree: "elapsed" or "epoch"."""
BYTE_ORDER = "byte_order"
"""The option for the order of the bytes in 16-bit samples, if it is not documented."""
REPLY_FORMAT = "reply_format"
"""The option for the format of replies, if it may differ from that of the user's audio."""

Content = Mapping[str, Any]
"""The members of a message, or of an object in one."""
Check = Callable[[str], str]
"""Checks the value of an option: returns what the value must be, or "" if it is valid."""


class Verb(NamedTuple):
    """A kind of message, and the path of its content. The kind is empty if the dialect does not have the message."""

    kind: str = ""
    path: str = ""

    def holding(self, value: Any, beside: Content = MappingProxyType({})) -> dict[str, Any]:
        """Returns the members of a message with ``value`` at the path, and ``beside`` as further members."""
        *outer, name = self.path.split(".")
        members = {**beside, name: value}
        for member in reversed(outer):
            members = {member: members}
        return members

    def place(self, message: Members) -> tuple[Members, str]:
        """Returns the object in ``message`` that contains the content, and the name of the content in it."""
        *outer, name = self.path.split(".")
        for member in outer:
            message = message.inside(member)
        return message, name


class Sizes(NamedTuple):
    """How many bytes of audio a message from the server may contain."""

    least: int
    most: int
    unit: int = 1
    """Sizes must be multiples of this number."""

    def fit(self, size: int) -> bool:
        """Returns whether a message may contain ``size`` bytes."""
        return self.least <= size <= self.most and size % self.unit == 0

    def __str__(self) -> str:
        size = f"{self.least}" if self.least == self.most else f"{self.least} to {self.most}"
        return f"{size} bytes" if self.unit == 1 else f"{size} bytes, in multiples of {self.unit}"


class StreamCall:
    """The contents of the caller's messages in one call: settings, ids, formats and counters."""

    def __init__(
        self, dialect: TelephonyDialect, settings: CallerSettings, new_id: NewId, utc_now: UtcNow
    ) -> None:
        self.dialect = dialect
        self.settings = settings
        self.new_id = new_id
        self.utc_now = utc_now
        self.format_name = next(iter(settings.formats), "") or dialect.preferred_format(settings)
        self.ids = {name: settings.options.get(name) or make(new_id) for name, make in dialect.ids.items()}
        self.frames_sent = 0
        self._numbered = 0

    @property
    def user_format(self) -> AudioFormat:
        """The format of the user's audio."""
        return self.dialect.formats[self.format_name]

    @property
    def play_format(self) -> AudioFormat:
        """The format that replies must have, unless a message specifies another."""
        return self.dialect.formats[self.settings.options.get(REPLY_FORMAT, self.format_name)]

    @property
    def at_ms(self) -> int:
        """Time since the call started, in ms, computed from the number of frames sent."""
        return self.dialect.frame_ms * self.frames_sent

    @property
    def timestamp(self) -> str:
        """Time since the call started in ms; with the option `TIMESTAMP` set to "epoch", ms since 1970."""
        if self.settings.options.get(TIMESTAMP) != "epoch":
            return str(self.at_ms)
        return f"{1_000 * unix_time(self.utc_now):.0f}"

    @property
    def encoding(self) -> str:
        """Name of the user's encoding on the wire."""
        return self.format_name.partition(";")[0]

    @property
    def named_format(self) -> Content:
        """The user's format as a start message contains it."""
        return {"encoding": self.encoding, self.dialect.rate: self.dialect.rate_type(self.user_format.rate)}

    def numbered(self, kind: str, content: Content) -> dict[str, Any]:
        """Returns a message with its kind and content and, if the dialect has them, its number and the stream id."""
        dialect = self.dialect
        body: dict[str, Any] = {dialect.kind_member: kind}
        if dialect.sequence:
            self._numbered += 1
            body[dialect.sequence] = dialect.number(self._numbered)
        if dialect.stream_id and kind not in dialect.without_stream_id:
            body[dialect.stream_id] = self.ids["stream"]
        return {**body, **content}

    def reply(self, verb: Verb, value: Any = None) -> dict[str, Any]:
        """Returns a message of the kind in ``verb``, with ``value`` as its content."""
        return self.numbered(verb.kind, verb.holding(value) if verb.path else {})


def media(call: StreamCall, audio: bytes) -> Content | bytes:
    """Returns the message for one frame of the user's audio, in the form that most dialects use."""
    dialect = call.dialect
    number = dialect.number(call.frames_sent + 1)
    counted = {"chunk": number, "timestamp": call.timestamp, "payload": audio}
    return call.numbered("media", {"media": {**dialect.media_members, **counted}})


def swapped_if_asked(default: str) -> Callable[[Mapping[str, str], AudioFormat], bool]:
    """Returns whether PCM is big-endian according to the option `BYTE_ORDER`, as a function for a dialect."""
    return lambda options, coding: (
        coding.encoding is Encoding.PCM16 and options.get(BYTE_ORDER, default) == "big"
    )


def first_format(dialect_formats: Mapping[str, AudioFormat]) -> Callable[[CallerSettings], str]:
    """Returns a function that chooses the table's first format for every call."""
    first = next(iter(dialect_formats))
    return lambda settings: first


def named_mark(members: Members, name: str) -> tuple[str, Any] | None:
    """Returns a mark's name as an id and as the value to send back; None if the mark has no name."""
    text = members.ident(name, required=True)
    return None if not text and members.body.get(name) != "" else (text, text)


def named_format(dialect: TelephonyDialect, message: Members, start: Members) -> AudioFormat:
    """Returns the format in ``media_format`` of a start message; the table's first format if it is unknown."""
    described = start.inside(dialect.media_format)
    name = described.text("encoding", required=True)
    if dialect.rate_type is int:
        number = described.number(dialect.rate)
        rate = "" if number is None else f"{number:.0f}"
    else:
        rate = described.ident(dialect.rate, required=True)
    for key, coding in dialect.formats.items():
        if (key.partition(";")[0], str(coding.rate)) == (name, rate):
            return coding
    text = f"{dialect.media_format} is {as_sent(described.body)}; expected {describe(dialect.formats)}."
    described.find("other-media-format", text)
    return next(iter(dialect.formats.values()))


def named_params(dialect: TelephonyDialect, message: Members, start: Members) -> Content:
    """Returns the custom parameters in a start message."""
    return start.inside(dialect.params).body if dialect.params else {}


def any_id(new_id: NewId) -> str:
    """Creates an id for dialects that require no specific form."""
    return new_id()


def _given(value: str) -> str:
    return "" if value else "text"


def one_of(*values: str) -> Check:
    """Returns a check for an option whose value must be one of ``values``."""
    return lambda value: "" if value in values else f"one of {', '.join(values)}, not {cut(value, 60)!r}"


def flushed_marks(default: str) -> Mapping[str, Check]:
    """Returns the option that sets what a flush does with pending marks, for providers that do not document it."""
    return {"flushed_marks": one_of(default, DROPPED if default == RETURNED else RETURNED)}


class TelephonyDialect(msgspec.Struct, frozen=True, kw_only=True):
    """The table of one provider. An empty entry, or None, means that the provider does not have the feature."""

    vendor: str
    """The provider's name in sentences, such as "Twilio"."""

    # Names.
    kind_member: str = "event"
    """The name of the member that contains the kind of the caller's messages."""
    server_kind_member: str = "event"
    """The name of the member that contains the kind of the server's messages."""
    stream_id: str = ""
    """The top-level member of every message that identifies the stream."""
    without_stream_id: tuple[str, ...] = ()
    """Kinds of the caller's messages that have no top-level stream id."""
    stream_id_due: tuple[str, ...] = ()
    """Kinds of the server's messages that must have the stream id."""
    sequence: str = ""
    """The member that counts the caller's messages from 1."""
    media_format: str = ""
    rate: str = ""
    params: str = ""
    """The members of ``start`` that contain the format, its rate and the custom parameters."""
    ids: Mapping[str, Callable[[NewId], str]] = {}
    """The functions that create the ids of a call; all ids but ``stream`` are options as well."""
    number: type[str] | type[int] = str
    """How the counters are written; a ``timestamp`` is always text."""
    numbers_vary: bool = False
    """Whether counters that should be text may also be numbers."""
    ordered: bool = True
    """Whether messages arrive in the order of their numbers."""
    rate_type: type[str] | type[int] = int
    media_members: Content = {}
    """Members of each frame of the user's audio besides counters and payload."""

    # Settings.
    options: Mapping[str, Check] = {}
    check_params: Callable[[Mapping[str, str]], str] = lambda params: ""
    """Returns a sentence about custom parameters that the provider would not accept."""

    # Audio.
    formats: Mapping[str, AudioFormat]
    """Audio formats by their wire names. The part after a ``;`` distinguishes formats with the same name and
    is not sent."""
    preferred_format: Callable[[CallerSettings], str]
    frame_ms: int = 20
    big_endian: Callable[[Mapping[str, str], AudioFormat], bool] = lambda options, audio_format: False
    """Returns whether samples are sent with their high byte first."""
    reply_sizes: Callable[[AudioFormat], Sizes | None] = lambda coding: None
    reply_format: Callable[[Members], AudioFormat | None] = lambda message: None
    """Returns the audio format that a server's message specifies."""
    reply_members: Callable[[AudioFormat], Content] = lambda coding: {}
    """Returns what a server's audio message carries in addition to its payload."""

    # Messages from the caller.
    opening: Callable[[StreamCall], list[Content]]
    """Returns the caller's complete first messages; the last message starts the stream."""
    user_audio: Callable[[StreamCall, bytes], Content | bytes] = media
    key: Callable[[StreamCall, str], Content]
    """Returns the complete message for a pressed key."""
    connected: str = ""
    start: str = "start"
    media: Verb = Verb("media", "media.payload")
    dtmf: Verb = Verb("dtmf", "dtmf.digit")
    played: Verb = Verb("mark", "mark.name")
    """The message that reports a mark as reached."""
    cleared: Verb = Verb()
    """The message that reports that unplayed audio was dropped."""
    stop: Callable[[StreamCall], Content | None] = lambda call: None
    """Returns the complete last message."""
    stopped: str = ""
    refusal: Callable[[StreamCall, list[Finding]], Content | None] = lambda call, findings: None
    """Returns the answer to a message with these findings."""
    error: str = ""
    """Kind of the message that answers a refused message."""
    required: Mapping[str, tuple[str, ...]] = {}
    """Paths of the strings that the caller's messages must contain, by kind."""
    tracks: Mapping[str, tuple[str, ...]] = {}
    """The values that ``track`` may have, by kind."""
    check_start: Callable[[Members, Members], None] = lambda message, start: None
    """Reports errors in a start message and its content."""
    read_format: Callable[[TelephonyDialect, Members, Members], AudioFormat] = named_format
    """Returns the format given in a start message and its content."""
    read_params: Callable[[TelephonyDialect, Members, Members], Content] = named_params
    """Returns the custom parameters of a start message and its content."""

    # Messages from the server.
    say: Verb = Verb("media", "media.payload")
    """The message with audio; an empty kind means binary frames."""
    mark: Verb = Verb("mark", "mark.name")
    clear: str = "clear"
    send_keys: Verb = Verb()
    """The message that asks for keys to be pressed in the call."""
    read_mark: Callable[[Members, str], tuple[str, Any] | None] = named_mark
    """Returns a mark's name and the value to send back for it; None if it has no name."""
    mark_value: Callable[[str], Any] = lambda name: name
    """Returns the value that stands for a mark with that name in a message."""
    flushed: str = RETURNED
    """Whether pending marks are returned or dropped on a flush: `RETURNED` or `DROPPED`.

    The option ``flushed_marks`` overrides it.
    """
    server_members: Mapping[str, Mapping[str, tuple[str, ...]]] = {}
    """The members that the server's messages may have, by kind; any other member is a fault."""
    own_message_rule: str = "callers-own-message"

    def check(self, settings: CallerSettings) -> None:
        """Raises `ValueError` for settings that the provider does not support."""
        ids = (name for name in self.ids if name != "stream")
        options: dict[str, Check] = {**dict.fromkeys(ids, _given), **self.options}
        settings.check_options(self.vendor, options)
        for name, value in settings.options.items():
            if due := options[name](value):
                raise ValueError(f"The {name} option must be {due}.")
        if fault := self.check_params(settings.params):
            raise ValueError(fault)

    def names_foreign(self) -> dict[str, str]:
        """Returns a mapping from other vendors' spellings to this vendor's."""
        own = {self.stream_id, self.sequence, self.media_format, self.rate, self.params, *self.ids_in_start}
        return {name: due for group in _SPELLINGS for due in group & own for name in group - own}

    @property
    def stream_id_rule(self) -> str:
        """The stream id as part of a finding's name, such as "stream-sid"."""
        return _WORD_START.sub("-", self.stream_id).lower()

    @property
    def ids_in_start(self) -> tuple[str, ...]:
        """The ids that ``start`` contains."""
        return tuple(path.rpartition(".")[2] for path in self.required.get(self.start, ()))


_WORD_START = re.compile("_|(?<=[a-z])(?=[A-Z])")
STREAM_IDS = frozenset(("streamSid", "stream_sid", "stream_id", "streamId"))
"""The names that different vendors use for the stream id."""
_SPELLINGS = tuple(
    map(
        frozenset,
        (
            STREAM_IDS,
            ("sequenceNumber", "sequence_number"),
            ("accountSid", "account_sid"),
            ("callSid", "call_sid"),
            ("customParameters", "custom_parameters"),
            ("mediaFormat", "media_format"),
            ("sampleRate", "sample_rate"),
        ),
    )
)


def describe(formats: Mapping[str, AudioFormat]) -> str:
    """Returns the formats as text for a sentence, such as "audio/x-mulaw, 8000 Hz"."""
    each = (f"{name.partition(';')[0]}, {coding.rate} Hz" for name, coding in formats.items())
    return " or ".join(each)


def as_sent(content: Content) -> str:
    """Returns the content as a short line of JSON for a sentence."""
    return cut(encode(content))
