"""Implements both ends of SignalWire ``<Stream>`` (bidirectional).

The facts come from SignalWire's documentation (Compatibility API, cXML, ``<Stream>``), which uses Twilio's
names. The documentation has no example of L16. The name ``audio/x-l16`` and the byte order (little-endian
unless ``byte_order=big`` is set) are therefore assumptions. The unit of a key's duration is not documented.
"""

from __future__ import annotations

from tui.audio.formats import AudioFormat, Encoding
from tui.protocols.telephony.dialect import (
    BYTE_ORDER,
    MULAW_8K,
    Content,
    StreamCall,
    TelephonyDialect,
    any_id,
    first_format,
    one_of,
    swapped_if_asked,
)
from tui.protocols.telephony.protocol import telephony_protocol
from tui.protocols.twilio.dialect import TWILIO_NAMES, call_sids

FORMATS = {
    "audio/x-mulaw": MULAW_8K,
    **{f"audio/x-l16;{rate}": AudioFormat(Encoding.PCM16, rate) for rate in (16_000, 24_000)},
}
_KEY_DURATION = 2_080
"""The duration of a key in the documented example."""


def _opening(call: StreamCall) -> list[Content]:
    start = {
        "streamSid": call.ids["stream"],
        **call_sids(call),
        "tracks": ["inbound"],
        "mediaFormat": {**call.named_format, "channels": 1},
        "customParameters": call.settings.params,
    }
    connected = {"event": "connected", "protocol": "Call", "version": "0.2.0"}
    return [connected, call.numbered("start", {"start": start})]


def _user_audio(call: StreamCall, audio: bytes) -> Content:
    """Returns a frame of user audio. The timestamp is the end of the frame in ms: 20 for the first frame."""
    number = call.frames_sent + 1
    counted = {"chunk": str(number), "timestamp": str(call.dialect.frame_ms * number)}
    return call.numbered("media", {"media": {"track": "inbound", **counted, "payload": audio}})


SIGNALWIRE_DIALECT = TelephonyDialect(
    vendor="SignalWire",
    **TWILIO_NAMES,
    ids=dict.fromkeys(("stream", "account_sid", "call_sid"), any_id),
    options={BYTE_ORDER: one_of("little", "big")},
    formats=FORMATS,
    preferred_format=first_format(FORMATS),
    big_endian=swapped_if_asked("little"),
    opening=_opening,
    user_audio=_user_audio,
    key=lambda call, digit: call.numbered("dtmf", {"dtmf": {"duration": _KEY_DURATION, "digit": digit}}),
    tracks={"media": ("inbound",)},
)


SIGNALWIRE = telephony_protocol(
    SIGNALWIRE_DIALECT,
    name="signalwire",
    title="SignalWire Stream",
    check_notice='SignalWire may play agent audio late unless its Stream has realtime="true".',
)
