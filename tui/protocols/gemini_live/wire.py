"""Definitions for both ends of Gemini Live: formats, names of messages, and decoding."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tui.audio.formats import AudioFormat, Encoding
from tui.protocols.base import Outgoing, ProtocolError
from tui.protocols.json_frames import Members, Message, cut, decode_loose_base64, encode

FORMATS: Mapping[str, AudioFormat] = {
    f"audio/pcm;rate={rate}": AudioFormat(Encoding.PCM16, rate) for rate in (16_000, 24_000, 48_000, 8_000)
}
"""The usual formats, by MIME type; the service accepts user audio at any rate and answers at 24 kHz."""
USER_FORMAT, PLAY_FORMAT = "audio/pcm;rate=16000", "audio/pcm;rate=24000"
FROM_CALLER = ("setup", "clientContent", "realtimeInput", "toolResponse", "contextUpdate")
"""Members that name a message; each message from the caller has exactly one of these members."""
FROM_AGENT = (
    "setupComplete",
    "serverContent",
    "toolCall",
    "toolCallCancellation",
    "goAway",
    "sessionResumptionUpdate",
    "voiceActivity",
    "voiceActivityDetectionSignal",
    "usageMetadata",
    "error",
)
"""Members that name a message; each message from the agent has at least one, and the first is its name."""
_SPLIT = frozenset({"realtimeInput", "serverContent"})
"""Members with several meanings; such a message is named after the member and its first inner member."""
_KNOWN = frozenset({*FROM_CALLER, *FROM_AGENT})
_NAMES = re.compile(r"[A-Za-z]{1,40}")
_SNAKE = re.compile(r"_+([a-z0-9])")
_OPAQUE = frozenset({"args", "response", "parameters", "parametersJsonSchema"})
"""Objects whose members belong to the user's tools."""
_RATE = re.compile(r"rate\s*=\s*([0-9]{4,6})\b")
_LOWEST_RATE, _HIGHEST_RATE = 4_000, 192_000


class GeminiMessage(Message):
    """A message from either end.

    The service sends JSON in binary frames, and SDKs mix snake_case with camelCase; both ends accept all
    these forms.
    """

    def __init__(self, frame: str | bytes) -> None:
        if isinstance(frame, bytes) and frame.lstrip()[:1] == b"{":
            try:
                frame = frame.decode()
            except UnicodeDecodeError as error:
                raise ProtocolError("not-utf8", "the binary frame does not contain UTF-8 JSON") from error
        super().__init__(frame)
        self.body = _camel_case(self.body)

    def kind(self) -> str:
        """Returns the name of the message. Raises `ProtocolError` if the message has no member."""
        return kind_of(self.body)


def kind_of(body: Mapping[str, Any]) -> str:
    """Returns the name of a message, such as "realtimeInput.audio".

    Raises `ProtocolError` if the message has none.
    """
    known = (member for member in (*FROM_CALLER, *FROM_AGENT) if member in body)
    name = next(known, next(iter(body), None))
    if name is None:
        raise ProtocolError("no-type", "the message is an empty object")
    inner = body[name]
    if name in _SPLIT and isinstance(inner, dict):
        first = next((member for member in inner if _NAMES.fullmatch(member)), "")
        return f"{name}.{first}" if first else name
    return name


def is_known(body: Mapping[str, Any]) -> bool:
    """Returns whether the protocol defines any member of the message."""
    return any(member in _KNOWN for member in body)


def outgoing(body: Mapping[str, Any], summary: str, audio_ms: float = 0.0) -> Outgoing:
    """Returns the frame for a message."""
    return Outgoing(encode(body), kind_of(body), cut(summary), audio_ms)


def audio_in(blob: Members, default: AudioFormat) -> tuple[bytes, AudioFormat]:
    """Returns the samples in a blob (``data``, ``mimeType``) and their format. Faults become findings."""
    mime_type = blob.text("mimeType")
    data = blob.text("data", required=True)
    audio = decode_loose_base64(data)
    if audio is None:
        blob.find("bad-base64", f"“data” is not base64; its audio ({len(data)} characters) was lost.")
        return b"", default
    if not mime_type.lower().startswith("audio/pcm"):
        shown = cut(mime_type, 60) or "missing"
        blob.find("other-mime-type", f"mimeType is {shown}; expected audio/pcm;rate={default.rate}.")
        return (audio if not mime_type else b""), default
    found = _RATE.search(mime_type)
    rate = int(found[1]) if found else default.rate
    if not _LOWEST_RATE <= rate <= _HIGHEST_RATE:
        blob.find("strange-rate", f"The rate is {rate}; expected {_LOWEST_RATE} to {_HIGHEST_RATE} Hz.")
        rate = default.rate
    return audio, AudioFormat(Encoding.PCM16, rate)


def _camel_case(value: Any) -> Any:
    match value:
        case dict():
            camel: dict[str, Any] = {}
            for name, inner in value.items():
                spelt = _SNAKE.sub(lambda found: found[1].upper(), name) if "_" in name else name
                camel[spelt] = inner if spelt in _OPAQUE else _camel_case(inner)
            return camel
        case list():
            return [_camel_case(inner) for inner in value]
        case _:
            return value
