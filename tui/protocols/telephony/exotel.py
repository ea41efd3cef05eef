"""Implements both ends of Exotel AgentStream (the Voicebot applet, bidirectional).

The facts come from Exotel's documentation of AgentStream and from pipecat 1.14 (serializers/exotel.py). The
sample rate and the custom parameters are in the URL's query. Exotel does not document what a flush does with
pending marks; they are returned unless ``flushed_marks=dropped`` is set.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

from tui.audio.formats import AudioFormat, Encoding
from tui.protocols.base import CallerSettings
from tui.protocols.telephony.dialect import (
    MULAW_8K,
    RETURNED,
    Content,
    Sizes,
    StreamCall,
    TelephonyDialect,
    flushed_marks,
)
from tui.protocols.telephony.protocol import telephony_protocol

_RAW, _RATES = "audio/x-raw", (8_000, 16_000, 24_000)
FORMATS = {
    **{f"{_RAW};{rate}": AudioFormat(Encoding.PCM16, rate) for rate in _RATES},
    "audio/x-mulaw": MULAW_8K,
}
_SIZES = Sizes(3_200, 102_400, 320)
_MAX_PARAMETERS, _MAX_PARAMETER_CHARS = 3, 256


def _query(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))


def _preferred_format(settings: CallerSettings) -> str:
    named = f"{_RAW};{_query(settings.url).get('sample-rate', '')}"
    return named if named in FORMATS else f"{_RAW};8000"


def _url_notice(url: str) -> str:
    query = _query(url)
    rate = query.pop("sample-rate", "8000")
    chars = sum(len(name) + len(value) for name, value in query.items())
    if f"{_RAW};{rate}" not in FORMATS:
        return f"sample-rate must be one of {', '.join(map(str, _RATES))} for Exotel; 8000 is used."
    if len(query) > _MAX_PARAMETERS or chars > _MAX_PARAMETER_CHARS:
        limits = f"{_MAX_PARAMETERS} custom parameters, {_MAX_PARAMETER_CHARS} characters in total"
        return f"Exotel passes at most {limits}."
    return ""


def _opening(call: StreamCall) -> list[Content]:
    ids = {"stream_sid": call.ids["stream"], **_call_ids(call)}
    params = {**_query(call.settings.url), **call.settings.params}
    media_format = {**call.named_format, "bit_rate": "16"}
    numbers = {"from": call.settings.caller, "to": call.settings.agent_name}
    start = {**ids, **numbers, "custom_parameters": params, "media_format": media_format}
    return [{"event": "connected"}, call.numbered("start", {"start": start})]


def _call_ids(call: StreamCall) -> dict[str, str]:
    return {name: call.ids[name] for name in ("call_sid", "account_sid")}


def _stop(call: StreamCall) -> Content:
    return call.numbered("stop", {"stop": {**_call_ids(call), "reason": "callended"}})


def _headers(token: str, url: str) -> Mapping[str, str]:
    return {"Authorization": f"Basic {b64encode(token.encode()).decode()}"} if token else {}


EXOTEL_DIALECT = TelephonyDialect(
    vendor="Exotel",
    stream_id="stream_sid",
    stream_id_due=("media", "mark", "clear"),
    sequence="sequence_number",
    numbers_vary=True,
    media_format="media_format",
    rate="sample_rate",
    rate_type=str,
    params="custom_parameters",
    ids=dict.fromkeys(("stream", "call_sid", "account_sid"), lambda new_id: new_id().replace("-", "")),
    options=flushed_marks(RETURNED),
    formats=FORMATS,
    preferred_format=_preferred_format,
    frame_ms=100,
    reply_sizes=lambda coding: _SIZES,
    opening=_opening,
    key=lambda call, digit: call.numbered("dtmf", {"dtmf": {"digit": digit, "duration": "100"}}),
    connected="connected",
    stop=_stop,
    stopped="stop",
    required={
        "start": ("start.stream_sid", "start.call_sid", "start.account_sid"),
        "stop": ("stop.call_sid", "stop.account_sid"),
    },
)


EXOTEL = telephony_protocol(
    EXOTEL_DIALECT,
    name="exotel",
    title="Exotel AgentStream",
    headers=_headers,
    url_notice=_url_notice,
)
