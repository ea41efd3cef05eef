"""Implements both ends of Plivo audio streams (bidirectional).

The facts come from plivo-stream-sdk 0.1.1 (plivo_stream/types.py) and from Plivo's documentation. Plivo does
not document what a flush does with pending checkpoints. By default checkpoints are dropped, as implementers
report (option ``flushed_marks``).
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Callable, Mapping
from hashlib import sha256
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from tui.audio.formats import AudioFormat, Encoding
from tui.protocols.json_frames import Members, cut
from tui.protocols.telephony.caller import TelephonyCaller
from tui.protocols.telephony.dialect import (
    DROPPED,
    MULAW_8K,
    TIMESTAMP,
    Content,
    Sizes,
    StreamCall,
    TelephonyDialect,
    Verb,
    any_id,
    first_format,
    flushed_marks,
    one_of,
)
from tui.protocols.telephony.message import pairs_in
from tui.protocols.telephony.protocol import ends_of, telephony_protocol


def signature(token: str, url: str, nonce: str) -> str:
    """Returns version 3 of the signature of a GET request (plivo-python, utils/signature_v3.py).

    ``token`` is the account's auth token; the query must be sorted.
    """
    parts = urlsplit(url)
    members = sorted(parse_qsl(parts.query, keep_blank_values=True))
    query = "&".join(f"{name}={value}" for name, value in members)
    bare = urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
    signed = f"{bare}?{query}.{nonce}" if query else f"{bare}.{nonce}"
    return b64encode(hmac.new(token.encode(), signed.encode(), sha256).digest()).decode()


_SIGNATURE, _NONCE = "X-Plivo-Signature-V3", "X-Plivo-Signature-V3-Nonce"


def signature_headers(token: str, url: str, nonce: str) -> Mapping[str, str]:
    """Returns the headers that sign a GET request for the URL."""
    return {_SIGNATURE: signature(token, url, nonce), _NONCE: nonce}


def is_signed(header: Callable[[str], str], token: str, url: str) -> bool:
    """Returns whether the request's headers contain a valid signature for the URL."""
    due = signature(token, url, header(_NONCE)).encode()
    return any(hmac.compare_digest(due, seen.encode()) for seen in header(_SIGNATURE).split(","))


_L16 = "audio/x-l16"
FORMATS = {
    "audio/x-mulaw": MULAW_8K,
    f"{_L16};8000": AudioFormat(Encoding.PCM16, 8_000),
    f"{_L16};16000": AudioFormat(Encoding.PCM16, 16_000),
}


def _opening(call: StreamCall) -> list[Content]:
    ids = {"callId": call.ids["call_id"], "streamId": call.ids["stream"], "accountId": call.ids["account_id"]}
    start = {**ids, "tracks": ["inbound"], "mediaFormat": call.named_format}
    headers = ";".join(f"{name}={value}" for name, value in call.settings.params.items())
    return [call.numbered("start", {"start": start, "extra_headers": headers})]


def _reply_format(message: Members) -> AudioFormat | None:
    media = message.inside("media")
    name, rate = media.text("contentType"), media.number("sampleRate")
    found = FORMATS.get(f"{name};{rate:.0f}" if name == _L16 and rate is not None else name)
    if found is None or found.rate != rate:
        shown = "no sampleRate" if rate is None else f"sampleRate {rate:g}"
        text = f"Received {f'contentType {cut(name, 60)}' if name else 'no contentType'} and {shown}"
        media.advise("content-type", f"{text}; expected {' or '.join(FORMATS)}.")
    return found


def _reply_members(coding: AudioFormat) -> Content:
    name = next(name for name, known in FORMATS.items() if known == coding)
    return {"contentType": name.partition(";")[0], "sampleRate": coding.rate}


PLIVO_DIALECT = TelephonyDialect(
    vendor="Plivo",
    stream_id="streamId",
    without_stream_id=("start",),
    stream_id_due=("checkpoint", "clearAudio"),
    sequence="sequenceNumber",
    media_format="mediaFormat",
    rate="sampleRate",
    ids=dict.fromkeys(("stream", "call_id", "account_id"), any_id),
    number=int,
    media_members={"track": "inbound"},
    options={**flushed_marks(DROPPED), TIMESTAMP: one_of("elapsed", "epoch")},
    formats=FORMATS,
    preferred_format=first_format(FORMATS),
    reply_sizes=lambda coding: Sizes(0, 12_288),
    reply_format=_reply_format,
    reply_members=_reply_members,
    opening=_opening,
    key=lambda call, digit: call.numbered(
        "dtmf", {"dtmf": {"track": "inbound", "digit": digit, "timestamp": call.timestamp}}
    ),
    played=Verb("playedStream", "name"),
    cleared=Verb("clearedAudio"),
    required={"start": ("start.callId", "start.streamId", "start.accountId")},
    tracks={"media": ("inbound",), "dtmf": ("inbound",)},
    read_params=lambda dialect, message, start: pairs_in(message.text("extra_headers")),
    say=Verb("playAudio", "media.payload"),
    mark=Verb("checkpoint", "name"),
    clear="clearAudio",
    send_keys=Verb("sendDTMF", "dtmf"),
    flushed=DROPPED,
)


class PlivoCaller(TelephonyCaller):
    """Acts as Plivo in one call. ``settings.params`` become ``extra_headers``."""

    dialect = PLIVO_DIALECT

    def request_headers(self, url: str, token: str) -> Mapping[str, str]:
        """Returns the headers that sign the request with the account's auth token; none without a token."""
        return signature_headers(token, url, self._call.new_id()) if token else {}


PLIVO = telephony_protocol(
    PLIVO_DIALECT,
    name="plivo",
    title="Plivo Audio Streaming",
    ends=(PlivoCaller, ends_of(PLIVO_DIALECT)[1]),
    headers=lambda token, url: {},
    proves_token=is_signed,
)
