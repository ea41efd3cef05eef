"""The protocol of a telephony provider: one table for both ends."""

from __future__ import annotations

from tui.protocols.telephony.dialect import (
    MULAW_8K,
    Content,
    StreamCall,
    TelephonyDialect,
    Verb,
    any_id,
    first_format,
)
from tui.protocols.telephony.protocol import telephony_protocol

FORMATS = {"mulaw": MULAW_8K}


def opening(call: StreamCall) -> list[Content]:
    media_format = {"encoding": call.encoding, "rate": call.user_format.rate}
    start = {"call": call.ids["call"], "format": media_format, "params": call.settings.params}
    return [call.numbered("start", {"start": start})]


def key(call: StreamCall, digit: str) -> Content:
    return call.numbered("key", {"key": digit})


TABLE = TelephonyDialect(
    vendor="Ring",
    stream_id="stream",
    sequence="number",
    media_format="format",
    rate="rate",
    params="params",
    ids={"stream": any_id, "call": any_id},
    formats=FORMATS,
    preferred_format=first_format(FORMATS),
    opening=opening,
    key=key,
    dtmf=Verb("key", "key"),
    clear="flush",
    cleared=Verb("flushed"),
    stop=lambda call: call.numbered("bye", {}),
    stopped="bye",
)
RING = telephony_protocol(TABLE, name="ring", title="Ring Streams", interface=1)
