"""The table of Twilio Media Streams, and the two ends that use it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tui.audio.formats import AudioFormat, Encoding
from tui.protocols.json_frames import Members, cut
from tui.protocols.telephony.agent import TelephonyAgent
from tui.protocols.telephony.caller import TelephonyCaller
from tui.protocols.telephony.dialect import (
    MULAW_8K,
    Content,
    StreamCall,
    TelephonyDialect,
    as_sent,
    first_format,
)
from tui.protocols.twilio.faults import TwilioFaults
from tui.protocols.twilio.sids import check_sids, is_sid, new_sid

FORMATS = {"audio/x-mulaw": MULAW_8K}
_MAX_PARAMETER_CHARS = 499
# Names used by similar services: Telnyx lets the server choose among these; Exotel always sends the last.
_OTHER_ENCODINGS = {
    "pcmu": Encoding.MULAW,
    "pcma": Encoding.ALAW,
    "l16": Encoding.PCM16,
    "raw/slin": Encoding.PCM16,
}


def _check_params(params: Mapping[str, str]) -> str:
    for name, value in params.items():
        if len(name) + len(value) > _MAX_PARAMETER_CHARS:
            limit = f"name and value together may have at most {_MAX_PARAMETER_CHARS} characters"
            return f"The parameter {cut(name, 60)!r} is too long for Twilio: {limit}."
    return ""


def _opening(call: StreamCall) -> list[Content]:
    start = {
        "streamSid": call.ids["stream"],
        **call_sids(call),
        "tracks": ["inbound"],
        "customParameters": call.settings.params,
        "mediaFormat": {**call.named_format, "channels": 1},
    }
    connected = {"event": "connected", "protocol": "Call", "version": "1.0.0"}
    return [connected, call.numbered("start", {"start": start})]


def _key(call: StreamCall, digit: str) -> Content:
    return call.numbered("dtmf", {"dtmf": {"track": "inbound_track", "digit": digit}})


def call_sids(call: StreamCall) -> dict[str, str]:
    """Returns the ids of the account and of the call, as messages contain them."""
    return {"accountSid": call.ids["account_sid"], "callSid": call.ids["call_sid"]}


def _stop(call: StreamCall) -> Content:
    return call.numbered("stop", {"stop": call_sids(call)})


TWILIO_NAMES: Mapping[str, Any] = {
    "stream_id": "streamSid",
    "stream_id_due": ("media", "mark", "clear"),
    "sequence": "sequenceNumber",
    "media_format": "mediaFormat",
    "rate": "sampleRate",
    "params": "customParameters",
    "connected": "connected",
    "stop": _stop,
    "stopped": "stop",
    "required": {
        "connected": ("protocol", "version"),
        "start": ("start.streamSid", "start.accountSid", "start.callSid"),
        "stop": ("stop.accountSid", "stop.callSid"),
    },
}
"""The names in Twilio's messages, as members of a `TelephonyDialect`; SignalWire uses the same names."""


def _read_format(dialect: TelephonyDialect, message: Members, start: Members) -> AudioFormat:
    """Returns the format in a start message, even in a similar service's form; mu-law if it is unreadable."""
    described = start.inside(dialect.media_format)
    name, rate = described.text("encoding", required=True), described.number(dialect.rate)
    if name not in FORMATS or rate != MULAW_8K.rate or described.number("channels") != 1:
        text = f"mediaFormat is {as_sent(described.body)}; expected audio/x-mulaw, 8000 Hz, 1 channel."
        described.find("other-media-format", text)
    encoding = Encoding.MULAW if name in FORMATS else _OTHER_ENCODINGS.get(name.lower())
    if encoding is None or rate is None or not (4_000 <= rate <= 192_000):
        return MULAW_8K
    return AudioFormat(encoding, int(rate))


TWILIO_DIALECT = TelephonyDialect(
    vendor="Twilio",
    **TWILIO_NAMES,
    ids={"stream": new_sid("MZ"), "account_sid": new_sid("AC"), "call_sid": new_sid("CA")},
    media_members={"track": "inbound"},
    options={"account_sid": is_sid("AC"), "call_sid": is_sid("CA")},
    check_params=_check_params,
    formats=FORMATS,
    preferred_format=first_format(FORMATS),
    opening=_opening,
    key=_key,
    tracks={"media": ("inbound",), "dtmf": ("inbound_track",)},
    check_start=check_sids,
    read_format=_read_format,
    server_members={"media": {"media": ("payload",)}, "mark": {"mark": ("name",)}, "clear": {}},
    own_message_rule="twilios-own-message",
)


class TwilioCaller(TelephonyCaller):
    """Acts as Twilio in one call. ``settings.params`` become the stream's custom parameters."""

    dialect = TWILIO_DIALECT
    faults = TwilioFaults


class TwilioAgent(TelephonyAgent):
    """Acts as the server that Twilio dials."""

    dialect = TWILIO_DIALECT
