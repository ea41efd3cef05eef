"""Tests every format of every built-in protocol against literals.

Both ends share a table, and would not notice a mistake in it.
"""

from __future__ import annotations

import pytest

from tui.audio.formats import AudioFormat, Encoding
from tui.protocols.registry import BUILT_IN, protocol_named

FORMATS = [
    ("audiocodes", "raw/lpcm16", Encoding.PCM16, 16_000, 640),
    ("audiocodes", "raw/lpcm16_24", Encoding.PCM16, 24_000, 960),
    ("audiocodes", "raw/lpcm16_8", Encoding.PCM16, 8_000, 320),
    ("audiocodes", "raw/mulaw", Encoding.MULAW, 8_000, 160),
    ("audiocodes", "wav/lpcm16", Encoding.PCM16, 16_000, 640),
    ("audiocodes", "wav/lpcm16_24", Encoding.PCM16, 24_000, 960),
    ("audiocodes", "wav/lpcm16_8", Encoding.PCM16, 8_000, 320),
    ("audiocodes", "wav/mulaw", Encoding.MULAW, 8_000, 160),
    ("twilio", "audio/x-mulaw", Encoding.MULAW, 8_000, 160),
    ("openai", "audio/pcm", Encoding.PCM16, 24_000, 960),
    ("openai", "audio/pcmu", Encoding.MULAW, 8_000, 160),
    ("openai", "audio/pcma", Encoding.ALAW, 8_000, 160),
    ("openai-live", "audio/pcm;rate=24000", Encoding.PCM16, 24_000, 960),
    ("openai-live", "audio/pcm;rate=16000", Encoding.PCM16, 16_000, 640),
    ("openai-live", "audio/pcmu", Encoding.MULAW, 8_000, 160),
    ("openai-live", "audio/pcma", Encoding.ALAW, 8_000, 160),
    ("pcm", "pcm_8000", Encoding.PCM16, 8_000, 320),
    ("pcm", "pcm_16000", Encoding.PCM16, 16_000, 640),
    ("pcm", "pcm_22050", Encoding.PCM16, 22_050, 882),
    ("pcm", "pcm_24000", Encoding.PCM16, 24_000, 960),
    ("pcm", "pcm_44100", Encoding.PCM16, 44_100, 1_764),
    ("pcm", "pcm_48000", Encoding.PCM16, 48_000, 1_920),
    ("elevenlabs", "pcm_8000", Encoding.PCM16, 8_000, 320),
    ("elevenlabs", "pcm_16000", Encoding.PCM16, 16_000, 640),
    ("elevenlabs", "pcm_22050", Encoding.PCM16, 22_050, 882),
    ("elevenlabs", "pcm_24000", Encoding.PCM16, 24_000, 960),
    ("elevenlabs", "pcm_44100", Encoding.PCM16, 44_100, 1_764),
    ("elevenlabs", "pcm_48000", Encoding.PCM16, 48_000, 1_920),
    ("elevenlabs", "ulaw_8000", Encoding.MULAW, 8_000, 160),
    ("genesys", "PCMU", Encoding.MULAW, 8_000, 160),
    ("genesys", "L16", Encoding.PCM16, 8_000, 320),
    ("telnyx", "PCMU", Encoding.MULAW, 8_000, 160),
    ("telnyx", "PCMA", Encoding.ALAW, 8_000, 160),
    ("telnyx", "L16;8000", Encoding.PCM16, 8_000, 320),
    ("telnyx", "L16;16000", Encoding.PCM16, 16_000, 640),
    ("telnyx", "L16;22050", Encoding.PCM16, 22_050, 882),
    ("telnyx", "L16;24000", Encoding.PCM16, 24_000, 960),
    ("telnyx", "L16;48000", Encoding.PCM16, 48_000, 1_920),
    ("plivo", "audio/x-mulaw", Encoding.MULAW, 8_000, 160),
    ("plivo", "audio/x-l16;8000", Encoding.PCM16, 8_000, 320),
    ("plivo", "audio/x-l16;16000", Encoding.PCM16, 16_000, 640),
    ("exotel", "audio/x-raw;8000", Encoding.PCM16, 8_000, 320),
    ("exotel", "audio/x-raw;16000", Encoding.PCM16, 16_000, 640),
    ("exotel", "audio/x-raw;24000", Encoding.PCM16, 24_000, 960),
    ("exotel", "audio/x-mulaw", Encoding.MULAW, 8_000, 160),
    ("vonage", "audio/l16;rate=8000", Encoding.PCM16, 8_000, 320),
    ("vonage", "audio/l16;rate=16000", Encoding.PCM16, 16_000, 640),
    ("vonage", "audio/l16;rate=24000", Encoding.PCM16, 24_000, 960),
    ("signalwire", "audio/x-mulaw", Encoding.MULAW, 8_000, 160),
    ("signalwire", "audio/x-l16;16000", Encoding.PCM16, 16_000, 640),
    ("signalwire", "audio/x-l16;24000", Encoding.PCM16, 24_000, 960),
    ("asterisk", "ulaw", Encoding.MULAW, 8_000, 160),
    ("asterisk", "alaw", Encoding.ALAW, 8_000, 160),
    ("asterisk", "slin", Encoding.PCM16, 8_000, 320),
    ("asterisk", "slin12", Encoding.PCM16, 12_000, 480),
    ("asterisk", "slin16", Encoding.PCM16, 16_000, 640),
    ("asterisk", "slin24", Encoding.PCM16, 24_000, 960),
    ("asterisk", "slin32", Encoding.PCM16, 32_000, 1_280),
    ("asterisk", "slin44", Encoding.PCM16, 44_100, 1_764),
    ("asterisk", "slin48", Encoding.PCM16, 48_000, 1_920),
    ("deepgram", "linear16_8000", Encoding.PCM16, 8_000, 320),
    ("deepgram", "linear16_16000", Encoding.PCM16, 16_000, 640),
    ("deepgram", "linear16_24000", Encoding.PCM16, 24_000, 960),
    ("deepgram", "linear16_32000", Encoding.PCM16, 32_000, 1_280),
    ("deepgram", "linear16_48000", Encoding.PCM16, 48_000, 1_920),
    ("deepgram", "mulaw_8000", Encoding.MULAW, 8_000, 160),
    ("deepgram", "alaw_8000", Encoding.ALAW, 8_000, 160),
    ("gemini", "audio/pcm;rate=8000", Encoding.PCM16, 8_000, 320),
    ("gemini", "audio/pcm;rate=16000", Encoding.PCM16, 16_000, 640),
    ("gemini", "audio/pcm;rate=24000", Encoding.PCM16, 24_000, 960),
    ("gemini", "audio/pcm;rate=48000", Encoding.PCM16, 48_000, 1_920),
]


@pytest.mark.parametrize(("protocol", "name", "encoding", "rate", "bytes_of_20_ms"), FORMATS)
def test_a_name_stands_for_a_coding_a_rate_and_a_size(
    protocol: str, name: str, encoding: Encoding, rate: int, bytes_of_20_ms: int
) -> None:
    found = protocol_named(protocol).formats[name]
    assert found == AudioFormat(encoding, rate)
    assert found.duration_ms(bytes_of_20_ms) == 20


def test_the_table_is_complete() -> None:
    every = {(protocol, name) for protocol in BUILT_IN for name in protocol_named(protocol).formats}
    assert every == {(protocol, name) for protocol, name, *_ in FORMATS}


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
