"""Tests where each protocol's messages contain audio, against literals and the messages of its own ends."""

from __future__ import annotations

import json
from base64 import b64encode

import pytest

from tui.protocols.payload import audio_payload
from tui.protocols.registry import BUILT_IN, protocol_named

PCM = bytes(range(64))
BASE64 = b64encode(PCM).decode()
MESSAGES: dict[str, list[dict[str, object]]] = {
    "audiocodes": [
        {"type": "playStream.chunk", "streamId": "1", "audioChunk": BASE64},
        {"type": "userStream.chunk", "audioChunk": BASE64},
    ],
    "twilio": [{"event": "media", "streamSid": "MZ1", "media": {"track": "inbound", "payload": BASE64}}],
    "openai": [
        {"type": "response.output_audio.delta", "item_id": "i", "delta": BASE64},
        {"type": "input_audio_buffer.append", "audio": BASE64},
    ],
    "openai-live": [
        {"type": "session.output_audio.delta", "delta": BASE64},
        {"type": "session.input_audio.append", "audio": BASE64},
    ],
    "elevenlabs": [
        {"type": "audio", "audio_event": {"audio_base_64": BASE64, "event_id": 3}},
        {"user_audio_chunk": BASE64},
    ],
    "deepgram": [],  # its audio is in binary frames
    "genesys": [],
    "telnyx": [{"event": "media", "stream_id": "s", "media": {"chunk": "1", "payload": BASE64}}],
    "plivo": [
        {"event": "media", "streamId": "s", "media": {"chunk": 1, "payload": BASE64}},
        {"event": "playAudio", "media": {"contentType": "audio/x-mulaw", "payload": BASE64}},
    ],
    "exotel": [{"event": "media", "stream_sid": "s", "media": {"payload": BASE64}}],
    "vonage": [],
    "signalwire": [{"event": "media", "streamSid": "s", "media": {"chunk": "1", "payload": BASE64}}],
    "asterisk": [],
    "gemini": [
        {
            "serverContent": {
                "modelTurn": {"parts": [{"inlineData": {"mimeType": "audio/pcm", "data": BASE64}}]}
            }
        },
        {"realtimeInput": {"audio": {"data": BASE64, "mimeType": "audio/pcm;rate=16000"}}},
    ],
    "pcm": [{"type": "audio", "audio": BASE64}, {"type": "audio", "data": BASE64}],
}


@pytest.mark.parametrize("name", BUILT_IN)
def test_audio_is_found_in_the_messages_of_every_protocol(name: str) -> None:
    members = protocol_named(name).log.audio_members
    for message in MESSAGES[name]:
        assert audio_payload(json.dumps(message).encode(), members) == PCM


def test_a_binary_frame_is_audio_as_a_whole() -> None:
    assert audio_payload(PCM, ()) == PCM
    assert audio_payload(b"{\x00" + PCM, ("audio",)) == b"{\x00" + PCM
    assert audio_payload(b"\xff\xfe" * 8, ()) == b"\xff\xfe" * 8


def test_a_wav_header_is_not_audio() -> None:
    header = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\x00\x00\x00" + bytes(16) + b"data\xff\xff\xff\xff"
    assert audio_payload(header + PCM, ()) == PCM
    framed = json.dumps({"audioChunk": b64encode(header + PCM).decode()}).encode()
    assert audio_payload(framed, ("audioChunk",)) == PCM


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"{}",
        b"[1]",
        b"a word",
        b'{"audio": 3}',
        b'{"audio": ""}',
        b'{"audio": "(856 characters)"}',
        b'{"audio": {"audio": "AAAA"}}',
        b"[" * 5000,
        b'{"a":' * 5000,
    ],
)
def test_a_message_without_audio(frame: bytes) -> None:
    assert audio_payload(frame, ("audio",)) is None
