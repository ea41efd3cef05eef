"""The table of Twilio Media Streams, and the two ends that use it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

from tui.audio.formats import AudioFormat, Encoding
from tui.protocols.base import Finding, NewId, ProtocolError
from tui.protocols.json_frames import Members, cut
from tui.protocols.telephony.agent import TelephonyAgent
from tui.protocols.telephony.caller import TelephonyCaller
from tui.protocols.telephony.dialect import (
    MULAW_8K,
    Check,
    Content,
    StreamCall,
    TelephonyDialect,
    as_sent,
    first_format,
)
from tui.protocols.telephony.faults import StreamFaults
from tui.protocols.telephony.message import StreamMessage

_VIOLATIONS = frozenset(
    {
        "extra-member",
        "foreign-spelling",
        "missing-member",
        "missing-stream-sid",
        "twilios-own-message",
        "unknown-type",
        "wrong-stream-sid",
        "wrong-type-member",
    }
)
_WARNINGS = {
    "31950": "Twilio warning 31950: a message cannot be decoded; only JSON text frames are allowed.",
    "31951": "Twilio warning 31951: messages violate the protocol; see the other findings.",
}


class TwilioFaults(StreamFaults):
    """Reports faults of the user's server, with the warnings that Twilio logs for them."""

    def warn(self, message: StreamMessage) -> None:
        """Adds Twilio's warning, if Twilio logs one for the message's findings."""
        if any(finding.rule in _VIOLATIONS for finding in message.findings):
            self.report(message, "31951", _WARNINGS["31951"])

    def warned(self, error: ProtocolError) -> ProtocolError:
        """Returns the error for an unreadable message, with Twilio's warning."""
        code = "31950" if error.code == "binary" else "31951"
        findings = (Finding(code, _WARNINGS[code]),) if self.is_new(_WARNINGS[code]) else ()
        return ProtocolError(error.code, str(error), findings)


# The ids of all Twilio objects: two capital letters followed by 32 lower-case hex digits.
_SID = re.compile(r"[A-Z]{2}[a-f0-9]{32}")
_HEX_ID = re.compile(r"[a-f0-9]{32}")


def new_sid(prefix: str) -> Callable[[NewId], str]:
    """Returns a function that converts an id to a SID with this prefix. Keeps hex digits if the id has 32."""

    def make(new_id: NewId) -> str:
        made = new_id()
        digits = made.replace("-", "").lower()
        return prefix + (digits if _HEX_ID.fullmatch(digits) else sha256(made.encode()).hexdigest()[:32])

    return make


def is_sid(prefix: str) -> Check:
    """Returns a check for an option whose value must be a SID with this prefix."""
    due = f"{prefix} followed by 32 lower-case hex digits"
    return lambda value: "" if _SID.fullmatch(value) and value.startswith(prefix) else due


def check_sids(message: Members, start: Members) -> None:
    """Reports malformed SIDs, and different SIDs for the same stream."""
    for name in ("streamSid", "accountSid", "callSid"):
        sid = start.body.get(name)
        if isinstance(sid, str) and sid and not _SID.fullmatch(sid):
            text = f"{name} is {cut(sid, 60)}; expected two capital letters and 32 lower-case hex digits."
            start.find("bad-sid", text)
    inner, outer = start.body.get("streamSid"), message.body.get("streamSid")
    if isinstance(inner, str) and inner and outer is not None and inner != outer:
        start.find("wrong-stream-sid", "“start” contains two different values of “streamSid”.")


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
    key=lambda call, digit: call.numbered("dtmf", {"dtmf": {"track": "inbound_track", "digit": digit}}),
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
