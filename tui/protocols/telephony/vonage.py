"""Implements both ends of Vonage Voice API websockets: JSON text for control, binary frames of 16-bit audio.

The facts come from Vonage's guide "WebSockets", from vonage-voice 1.5.1 (models/common.py) and from pipecat
1.14 (serializers/vonage.py). A flush drops pending notifications, as implementers report, unless
``flushed_marks=returned`` is set.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from tui.audio.formats import AudioFormat, Encoding
from tui.protocols.json_frames import Members, cut
from tui.protocols.telephony.dialect import (
    DROPPED,
    Content,
    Sizes,
    StreamCall,
    TelephonyDialect,
    Verb,
    first_format,
    flushed_marks,
)
from tui.protocols.telephony.protocol import telephony_protocol

_TYPE, _KEY_MS = "content-type", 100
FORMATS = {f"audio/l16;rate={rate}": AudioFormat(Encoding.PCM16, rate) for rate in (16_000, 8_000, 24_000)}
_OWN_MEMBERS = ("event", _TYPE)


def _opening(call: StreamCall) -> list[Content]:
    return [call.numbered("websocket:connected", {_TYPE: call.format_name, **call.settings.params})]


def _check_params(params: Mapping[str, str]) -> str:
    taken = next((name for name in params if name in _OWN_MEMBERS), "")
    return (
        f"The parameter {taken!r} has the same name as a member of Vonage's first message." if taken else ""
    )


def _read_format(dialect: TelephonyDialect, message: Members, start: Members) -> AudioFormat:
    name = message.text(_TYPE, required=True)
    coding = FORMATS.get(name.replace(" ", ""))
    if coding is None and name:
        message.find("other-media-format", f"{_TYPE} is {cut(name, 60)}; expected {' or '.join(FORMATS)}.")
    return coding or next(iter(FORMATS.values()))


def _read_mark(members: Members, name: str) -> tuple[str, Any] | None:
    """Returns a name for a notification, and its payload."""
    match members.body.get(name):
        case None:
            members.find("missing-member", f"{name} is missing; expected the value to send back.")
            return None
        case {"name": str() as text} as payload if len(payload) == 1:
            return text, payload
        case payload:
            return msgspec.json.encode(payload).decode(), payload


def _sizes(coding: AudioFormat) -> Sizes:
    frame_bytes = coding.bytes_per_second // 50
    return Sizes(frame_bytes, frame_bytes)


VONAGE_DIALECT = TelephonyDialect(
    vendor="Vonage",
    server_kind_member="action",
    options=flushed_marks(DROPPED),
    check_params=_check_params,
    formats=FORMATS,
    preferred_format=first_format(FORMATS),
    reply_sizes=_sizes,
    opening=_opening,
    user_audio=lambda call, audio: audio,
    key=lambda call, digit: call.numbered("websocket:dtmf", {"digit": digit, "duration": _KEY_MS}),
    start="websocket:connected",
    media=Verb(),
    dtmf=Verb("websocket:dtmf", "digit"),
    played=Verb("websocket:notify", "payload"),
    cleared=Verb("websocket:cleared"),
    read_format=_read_format,
    read_params=lambda dialect, message, start: {
        name: value for name, value in message.body.items() if name not in _OWN_MEMBERS
    },
    say=Verb(),
    mark=Verb("notify", "payload"),
    read_mark=_read_mark,
    mark_value=lambda name: {"name": name},
    flushed=DROPPED,
)


VONAGE = telephony_protocol(
    VONAGE_DIALECT,
    name="vonage",
    title="Vonage Voice API",
    signs={"path_words": ("vonage", "nexmo")},
)
