"""Tests every format of every built-in protocol against literals.

Both ends share a table, and would not notice a mistake in it.
"""

from __future__ import annotations

import pytest

from tui.audio.formats import AudioFormat, Encoding
from tui.protocols.registry import BUILT_IN, protocol_named

PCM16, MULAW, ALAW = Encoding.PCM16, Encoding.MULAW, Encoding.ALAW
FORMATS: dict[str, dict[str, tuple[Encoding, int]]] = {
    "audiocodes": {
        f"{container}/{name}": media_format
        for container in ("raw", "wav")
        for name, media_format in {
            "lpcm16": (PCM16, 16_000),
            "lpcm16_24": (PCM16, 24_000),
            "lpcm16_8": (PCM16, 8_000),
            "mulaw": (MULAW, 8_000),
        }.items()
    },
    "twilio": {"audio/x-mulaw": (MULAW, 8_000)},
    "openai": {"audio/pcm": (PCM16, 24_000), "audio/pcmu": (MULAW, 8_000), "audio/pcma": (ALAW, 8_000)},
    "openai-live": {
        **{f"audio/pcm;rate={rate}": (PCM16, rate) for rate in (24_000, 16_000)},
        "audio/pcmu": (MULAW, 8_000),
        "audio/pcma": (ALAW, 8_000),
    },
    "pcm": {f"pcm_{rate}": (PCM16, rate) for rate in (8_000, 16_000, 22_050, 24_000, 44_100, 48_000)},
    "elevenlabs": {
        **{f"pcm_{rate}": (PCM16, rate) for rate in (8_000, 16_000, 22_050, 24_000, 44_100, 48_000)},
        "ulaw_8000": (MULAW, 8_000),
    },
    "genesys": {"PCMU": (MULAW, 8_000), "L16": (PCM16, 8_000)},
    "telnyx": {
        "PCMU": (MULAW, 8_000),
        "PCMA": (ALAW, 8_000),
        **{f"L16;{rate}": (PCM16, rate) for rate in (8_000, 16_000, 22_050, 24_000, 48_000)},
    },
    "plivo": {
        "audio/x-mulaw": (MULAW, 8_000),
        **{f"audio/x-l16;{rate}": (PCM16, rate) for rate in (8_000, 16_000)},
    },
    "exotel": {
        **{f"audio/x-raw;{rate}": (PCM16, rate) for rate in (8_000, 16_000, 24_000)},
        "audio/x-mulaw": (MULAW, 8_000),
    },
    "vonage": {f"audio/l16;rate={rate}": (PCM16, rate) for rate in (8_000, 16_000, 24_000)},
    "signalwire": {
        "audio/x-mulaw": (MULAW, 8_000),
        **{f"audio/x-l16;{rate}": (PCM16, rate) for rate in (16_000, 24_000)},
    },
    "asterisk": {
        "ulaw": (MULAW, 8_000),
        "alaw": (ALAW, 8_000),
        "slin": (PCM16, 8_000),
        "slin44": (PCM16, 44_100),
        **{f"slin{khz}": (PCM16, khz * 1_000) for khz in (12, 16, 24, 32, 48)},
    },
    "deepgram": {
        **{f"linear16_{rate}": (PCM16, rate) for rate in (8_000, 16_000, 24_000, 32_000, 48_000)},
        "mulaw_8000": (MULAW, 8_000),
        "alaw_8000": (ALAW, 8_000),
    },
    "gemini": {f"audio/pcm;rate={rate}": (PCM16, rate) for rate in (8_000, 16_000, 24_000, 48_000)},
}


@pytest.mark.parametrize("protocol", BUILT_IN)
def test_each_name_of_a_format_stands_for_a_coding_and_a_rate(protocol: str) -> None:
    expected = {name: AudioFormat(*media_format) for name, media_format in FORMATS[protocol].items()}
    assert protocol_named(protocol).formats == expected


@pytest.mark.parametrize(
    ("protocol", "has_words", "accepted_on_open", "continuous", "realtime_functions", "reply_ends_after_ms"),
    [
        ("audiocodes", True, False, False, False, 0),
        ("twilio", False, True, True, False, 500),
        ("openai", True, False, False, True, 0),
        ("openai-live", True, False, True, False, 500),
        ("pcm", True, True, True, False, 500),
        ("elevenlabs", True, False, True, False, 500),
        ("gemini", True, False, True, False, 0),
        ("deepgram", True, False, True, False, 0),
        ("genesys", True, False, True, False, 500),
        ("telnyx", False, True, True, False, 500),
        ("plivo", False, True, True, False, 500),
        ("exotel", False, True, True, False, 500),
        ("vonage", False, True, True, False, 500),
        ("signalwire", False, True, True, False, 500),
        ("asterisk", False, True, True, False, 500),
    ],
)
def test_what_a_protocol_has(
    protocol: str,
    has_words: bool,
    accepted_on_open: bool,
    continuous: bool,
    realtime_functions: bool,
    reply_ends_after_ms: float,
) -> None:
    found = protocol_named(protocol)
    assert found.has_words is has_words
    assert found.accepted_on_open is accepted_on_open
    assert found.continuous is continuous
    assert found.realtime_functions is realtime_functions
    assert found.calls_tools is (protocol in ("elevenlabs", "gemini", "deepgram", "openai-live"))
    assert found.offers_tools is (protocol in ("gemini", "deepgram", "openai-live"))
    assert found.reply_ends_after_ms == reply_ends_after_ms
