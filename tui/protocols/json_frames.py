"""Decodes JSON text frames: objects, typed members, and audio in base64.

The far side is not trusted. A frame that cannot be decoded raises `ProtocolError`. A member of the wrong type
counts as absent and is reported as a `Finding`.
"""

from __future__ import annotations

import binascii
import math
import re
from base64 import b64decode
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from tui.audio.formats import AudioFormat
from tui.protocols.base import Finding, Incoming, Outgoing, ProtocolError, TelephonyEvent, TelephonyEventType

MAX_FRAME_CHARS = 64 * 1024 * 1024
"""The longest frame that is decoded: about seventeen minutes of 24 kHz PCM in one message."""
MAX_DEPTH = 64
"""The deepest nesting of arrays and objects; no known protocol needs ten levels."""
SUMMARY_CHARS = 120
_EXCERPT_CHARS = 24
_MAX_MENDED_CHARS = 1024 * 1024

_Kind = TypeVar("_Kind")


def decode_object(frame: str | bytes) -> tuple[dict[str, Any], tuple[Finding, ...]]:
    """Returns the JSON object in a text frame, with findings about repaired errors. Raises `ProtocolError`."""
    if isinstance(frame, bytes):
        raise ProtocolError("binary", f"got a {len(frame)}-byte binary frame, expected JSON text")
    if len(frame) > MAX_FRAME_CHARS:
        raise ProtocolError(
            "too-big", f"the frame has {len(frame)} characters; the limit is {MAX_FRAME_CHARS}"
        )
    body, findings = _decode_tolerantly(frame)
    if not isinstance(body, dict):
        raise ProtocolError("not-an-object", f"got {_kind_of(body)}, expected a JSON object")
    if _is_deeper_than(body, MAX_DEPTH):
        raise ProtocolError("too-deep", f"the JSON is nested deeper than {MAX_DEPTH} levels")
    return body, findings


def encode(message: Mapping[str, Any]) -> str:
    """Returns compact JSON. Members keep their order; ``bytes`` become padded base64."""
    return msgspec.json.encode(message).decode()


def outgoing(message: Mapping[str, Any], summary: str, audio_ms: float = 0.0) -> Outgoing:
    """Returns the frame for a message with a ``type``."""
    return Outgoing(encode(message), message["type"], cut(summary), audio_ms)


def audio_frame(audio: bytes, coding: AudioFormat, whose: str) -> Outgoing:
    """Returns a binary frame with audio. ``whose`` is "user" or "agent"."""
    audio_ms = coding.duration_ms(len(audio))
    return Outgoing(audio, "audio", f"{whose} audio {audio_ms:.0f} ms", audio_ms)


def kind_in(body: Mapping[str, Any], member: str, hint: str = "") -> str:
    """Returns the type of a message from ``member``. ``hint`` says why the type may be missing.

    Raises `ProtocolError`.
    """
    match body.get(member):
        case str() as kind:
            return kind
        case None:
            raise ProtocolError(f"no-{member}", f"the message has no “{member}” member{hint}")
        case _:
            raise ProtocolError(f"wrong-{member}", f"the “{member}” member of the message is not text")


def cut(text: str, limit: int = SUMMARY_CHARS) -> str:
    """Returns the text on one line, cut to ``limit`` characters."""
    shown = text if len(text) <= limit else text[: limit - 1] + "…"
    return shown.replace("\n", " ")


class Members:
    """Typed access to the members of a JSON object.

    ``null`` counts as absent. A member of the wrong type also counts as absent, and is reported as a finding.
    """

    def __init__(self, body: Mapping[str, Any], findings: list[Finding], path: str = "") -> None:
        self.body = body
        self.findings = findings
        self._path = path

    def find(self, rule: str, text: str) -> None:
        """Reports a finding: the far side violates the specification."""
        self.findings.append(Finding(rule, text))

    def advise(self, rule: str, text: str) -> None:
        """Reports advice: the far side did something unwise, or this program had to guess."""
        self.findings.append(Finding(rule, text, advice=True))

    def has(self, name: str) -> bool:
        """Returns whether the member is present and not null."""
        return self.body.get(name) is not None

    def text(self, name: str, *, required: bool = False) -> str:
        """Returns a string member; "" if it is absent."""
        return self._member(name, str, "text", required=required) or ""

    def ident(self, name: str, *, required: bool = False) -> str:
        """Returns a string member. Converts an integer to a string and reports it."""
        value = self.body.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            self._note_type(name, "text")
            return str(value)
        return self.text(name, required=required)

    def flag(self, name: str) -> bool | None:
        """Returns a boolean member; None if it is absent."""
        return self._member(name, bool, "true or false")

    def number(self, name: str) -> float | None:
        """Returns a numeric member; None if it is absent. Converts a number in a string and reports it."""
        value = self.body.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return _finite(value)
        if value is not None:
            self._note_type(name, "a number")
        return _finite(value) if isinstance(value, str) else None

    def arguments(self, *, required: bool = False) -> dict[str, Any]:
        """Parses a call's ``arguments``, a JSON object in a string; returns {} if it is blank or not an object."""
        text = self.text("arguments", required=required)
        try:
            value = msgspec.json.decode(text) if text.strip() else {}
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            value = None
        if isinstance(value, dict):
            return value
        problem = (
            f"“arguments” is not a JSON object, so the function is called without arguments: {cut(text, 60)}."
        )
        self.find("bad-arguments", problem)
        return {}

    def code(self) -> str:
        """Returns the ``code`` of an error, which may be text or a number; "" if absent."""
        code = self.body.get("code")
        return cut(str(code), 60) if isinstance(code, str | int) else ""

    def texts(self, name: str, *, required: bool = False) -> list[str]:
        """Returns an array of strings. Elements of other types are dropped and reported."""
        values = self._member(name, list, "an array", required=required) or []
        texts = [value for value in values if isinstance(value, str)]
        if len(texts) < len(values):
            self.find("wrong-type-member", f"{self._path}{name} contains an element that is not text.")
        return texts

    def objects(self, name: str, *, required: bool = False) -> list[Members]:
        """Returns an array of objects. Elements of other types are dropped and reported."""
        values = self._member(name, list, "an array", required=required) or []
        objects = [
            Members(value, self.findings, f"{self._path}{name}[{index}].")
            for index, value in enumerate(values)
            if isinstance(value, dict)
        ]
        if len(objects) < len(values):
            self.find("wrong-type-member", f"{self._path}{name} contains an element that is not an object.")
        return objects

    def inside(self, name: str) -> Members:
        """Returns an object member; an empty object if it is absent."""
        value = self._member(name, dict, "an object")
        return Members(value or {}, self.findings, f"{self._path}{name}.")

    def audio(self, name: str) -> bytes:
        """Decodes a base64 member. Base64 with minor errors is decoded and reported."""
        text = self.text(name, required=True)
        try:
            return b64decode(text, validate=True)
        except ValueError:
            mended = decode_loose_base64(text)
        if mended is None:
            lost = f"its audio ({len(text)} characters) was lost"
            self.find("bad-base64", f"{self._path}{name} is not base64; {lost}.")
            return b""
        self.find(
            "loose-base64", f"{self._path}{name} is not standard, padded base64; it was decoded anyway."
        )
        return mended

    def _member(self, name: str, kind: type[_Kind], due: str, *, required: bool = False) -> _Kind | None:
        value = self.body.get(name)
        if isinstance(value, kind):
            return value
        if value is not None:
            self._note_type(name, due)
        elif required:
            self.find("missing-member", f"{self._path}{name} is missing; expected {due}.")
        return None

    def _note_type(self, name: str, due: str) -> None:
        seen = _kind_of(self.body[name])
        self.find("wrong-type-member", f"{self._path}{name} is {seen}; expected {due}.")


class Message(Members):
    """A received frame that is being decoded. Collects the resulting events, replies and findings.

    Without ``frame``, the message stands for a binary frame of audio and has the type "audio".
    """

    def __init__(self, frame: str | bytes | None = None) -> None:
        body, findings = ({"type": "audio"}, ()) if frame is None else decode_object(frame)
        super().__init__(body, list(findings))
        self.events: list[TelephonyEvent] = []
        self.replies: list[Outgoing] = []
        self.audio_ms = 0.0
        self.known = True

    def kind(self) -> str:
        """Returns the type of the message. Raises `ProtocolError` if the message has none."""
        kind = self.body.get("type")
        if kind is None:
            raise ProtocolError("no-type", "the message has no “type” member")
        if not isinstance(kind, str):
            raise ProtocolError("wrong-type", f"the type of the message is {_kind_of(kind)}; expected text")
        return kind

    def ignore_repeated(self, rule: str, when: str = " during the call") -> None:
        """Reports that a message was ignored because its type may be received only once."""
        self.find(rule, f"Received another “{self.kind()}” message{when}; it was ignored.")

    def event(self, meaning: TelephonyEventType, **fields: Any) -> None:
        """Adds a telephony event to the result. ``fields`` are fields of `TelephonyEvent`."""
        self.events.append(TelephonyEvent(type=meaning, **fields))

    def unknown(self) -> str:
        """Reports that the protocol does not define the message's type; returns the log summary."""
        self.known = False
        kind = cut(self.kind(), 60)
        self.find("unknown-type", f"“{kind}” is not a message of this protocol; it was ignored.")
        return f"unknown message type {kind}"

    def incoming(self, summary: str) -> Incoming:
        """Returns the result of decoding, with ``summary`` for the log."""
        return Incoming(
            kind=cut(self.kind()),
            summary=cut(summary),
            audio_ms=self.audio_ms,
            body=self.body,
            events=tuple(self.events),
            replies=tuple(self.replies),
            findings=tuple(self.findings),
            known=self.known,
        )


_URL_ALPHABET = str.maketrans({"-": "+", "_": "/", " ": None, "\t": None, "\r": None, "\n": None})


def decode_loose_base64(text: str) -> bytes | None:
    """Decodes base64 that uses the URL alphabet, lacks padding or has line breaks; returns None for other text."""
    bare = text.translate(_URL_ALPHABET).rstrip("=")
    try:
        return b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


# Matches any escape, so that an escaped backslash before "ud800" is not mistaken for a surrogate; pairs come first.
_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}|u[dD][89a-fA-F][\da-fA-F]{2}|.)", re.DOTALL
)


def _decode_tolerantly(frame: str) -> tuple[Any, tuple[Finding, ...]]:
    try:
        return _decode(frame), ()
    except ProtocolError:
        if len(frame) > _MAX_MENDED_CHARS:
            raise
        mended = _ESCAPE.sub(_replace_lone_surrogate, frame)
        if mended == frame:
            raise
    text = "Half of a surrogate pair (a character cut in two) was replaced."
    return _decode(mended), (Finding("lone-surrogate", text),)


def _decode(frame: str) -> Any:
    try:
        return msgspec.json.decode(frame)
    except msgspec.DecodeError as error:
        end = f"{len(frame):,} characters that end in {frame[-_EXCERPT_CHARS:]!r}"
        raise ProtocolError("not-json", f"not JSON: {error} ({end})") from error
    except UnicodeError as error:
        raise ProtocolError("not-utf8", "the text is not valid Unicode") from error
    except RecursionError as error:
        raise ProtocolError("too-deep", f"the JSON is nested deeper than {MAX_DEPTH} levels") from error


def _replace_lone_surrogate(escape: re.Match[str]) -> str:
    is_lone = len(escape[0]) == len(r"\ud800")
    return r"\ufffd" if is_lone else escape[0]


def _is_deeper_than(value: Any, levels: int) -> bool:
    match value:
        case dict():
            return levels == 0 or any(_is_deeper_than(child, levels - 1) for child in value.values())
        case list():
            return levels == 0 or any(_is_deeper_than(child, levels - 1) for child in value)
        case _:
            return False


def _kind_of(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case str():
            return "text"
        case int() | float():
            return "a number"
        case list():
            return "an array"
        case _:
            return "an object"


def _finite(value: str | float) -> float | None:
    try:
        number = float(value)
    except (ValueError, OverflowError):  # JSON allows integers of any length
        return None
    return number if math.isfinite(number) else None
