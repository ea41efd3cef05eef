"""Implements both ends of Telnyx media streaming (bidirectional, ``stream_bidirectional_mode`` "rtp").

The facts come from Telnyx's documentation (media streaming over websockets, its AsyncAPI page) and from
pipecat 1.14 (serializers/telnyx.py). Implementations disagree about the byte order of L16; the default is
big-endian (option ``byte_order``).
"""

from __future__ import annotations

from tui.audio.formats import AudioFormat, Encoding
from tui.protocols.base import Finding
from tui.protocols.telephony.dialect import (
    BYTE_ORDER,
    MULAW_8K,
    REPLY_FORMAT,
    Content,
    Sizes,
    StreamCall,
    TelephonyDialect,
    any_id,
    first_format,
    one_of,
    swapped_if_asked,
)
from tui.protocols.telephony.protocol import telephony_protocol

_L16_RATES = (16_000, 8_000, 22_050, 24_000, 48_000)
FORMATS = {
    "PCMU": MULAW_8K,
    "PCMA": AudioFormat(Encoding.ALAW, 8_000),
    **{f"L16;{rate}": AudioFormat(Encoding.PCM16, rate) for rate in _L16_RATES},
}
_TOKEN = "x-telnyx-streaming-auth-token"
_CODES = {"unknown-type": (100_002, "Unknown event"), "bad-base64": (100_004, "Invalid media")}


def _opening(call: StreamCall) -> list[Content]:
    start = {
        "user_id": call.ids["user_id"],
        "call_control_id": call.ids["call_control_id"],
        "call_session_id": call.ids["call_session_id"],
        "from": call.settings.caller,
        "to": call.settings.agent_name,
        "client_state": "",
        "custom_parameters": call.settings.params,
        "media_format": {**call.named_format, "channels": 1},
    }
    return [{"event": "connected", "version": "1.0.0"}, call.numbered("start", {"start": start})]


def _stop(call: StreamCall) -> Content:
    ids = {name: call.ids[name] for name in ("user_id", "call_control_id")}
    return call.numbered("stop", {"stop": ids})


def _refusal(call: StreamCall, findings: list[Finding]) -> Content | None:
    for finding in findings:
        if finding.rule in _CODES:
            code, title = _CODES[finding.rule]
            payload = {"code": code, "title": title, "detail": finding.text}
            return {"event": "error", "stream_id": call.ids["stream"], "payload": payload}
    return None


TELNYX_DIALECT = TelephonyDialect(
    vendor="Telnyx",
    stream_id="stream_id",
    sequence="sequence_number",
    ordered=False,
    media_format="media_format",
    rate="sample_rate",
    params="custom_parameters",
    ids=dict.fromkeys(("stream", "user_id", "call_control_id", "call_session_id"), any_id),
    media_members={"track": "inbound"},
    options={REPLY_FORMAT: one_of(*FORMATS), BYTE_ORDER: one_of("big", "little")},
    formats=FORMATS,
    preferred_format=first_format(FORMATS),
    big_endian=swapped_if_asked("big"),
    reply_sizes=lambda coding: Sizes(coding.bytes_per_second // 50, 30 * coding.bytes_per_second),
    opening=_opening,
    key=lambda call, digit: call.numbered("dtmf", {"occurred_at": call.utc_now(), "dtmf": {"digit": digit}}),
    connected="connected",
    stop=_stop,
    stopped="stop",
    refusal=_refusal,
    error="error",
    required={"connected": ("version",), "start": ("start.user_id", "start.call_control_id")},
    tracks={"media": ("inbound", "inbound_track")},
)


TELNYX = telephony_protocol(
    TELNYX_DIALECT,
    name="telnyx",
    title="Telnyx Media Streaming",
    headers=lambda token, url: {_TOKEN: token} if token else {},
    check_notice='Telnyx drops all agent audio unless the call has stream_bidirectional_mode "rtp".',
)
