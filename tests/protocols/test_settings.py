"""Tests that each protocol refuses settings that it does not have, in a sentence."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tui.protocols.base import CallerSettings
from tui.protocols.registry import protocol_named

ONE_OF_FIVE = "one of auto, ga, beta, azure-voice-live, xai, not 'grok'"
DETECTIONS = "one of on, server_vad, semantic, semantic_vad, azure_semantic_vad"
NO_TOOLS = "must be a JSON array of tool objects"
A_RATE = "The rate option must be a whole number from 4000 to 192000 (Hz)"
OPTIONS = [
    ("asterisk", "control", "xml", "The control option must be json or plain, not 'xml'."),
    ("asterisk", "flush_ends_pause", "1", "The flush_ends_pause option must be on or off, not '1'."),
    ("asterisk", "connection", "a b", "The connection option must be text without spaces"),
    ("asterisk", "channel_id", "", "The channel_id option must be text without spaces"),
    ("asterisk", "rate", "1", "Asterisk has no option 'rate'. Choose from control"),
    ("audiocodes", "dtmf", "x", "no option 'dtmf'. Choose from dtmf_event, play_finished"),
    ("audiocodes", "play_finished", "maybe", "on or off, not 'maybe'"),
    ("deepgram", "speed", "1", "no option 'speed'"),
    ("deepgram", "play_format", "mp3", "Unsupported audio format 'mp3' for the Deepgram Voice Agent"),
    ("deepgram", "tools", "[1]", NO_TOOLS),
    ("deepgram", "settings", "[]", "must be a JSON object with Settings fields"),
    ("deepgram", "settings", "{", "is not JSON"),
    ("elevenlabs", "voice", "x", "no option 'voice'. Choose from first_message, language"),
    ("gemini", "speed", "1", "no option 'speed'"),
    ("gemini", "activity", "maybe", "The activity option must be one of on, off, not 'maybe'"),
    ("gemini", "tools", "{}", NO_TOOLS),
    ("gemini", "tools", "[1]", NO_TOOLS),
    ("gemini", "setup", "[", "The setup option is not JSON"),
    ("genesys", "speed", "1", "no option 'speed'"),
    ("genesys", "organization", "me", "The organization option must be a UUID, not 'me'"),
    ("genesys", "signed_query", "no", "The signed_query option must be on or off, not 'no'"),
    ("genesys", "burst", "0", "The burst option must be a number above 0, not '0'"),
    ("genesys", "rate_limit", "x", "The rate_limit option must be a number above 0, not 'x'"),
    ("openai", "pitch", "1", "OpenAI Realtime has no option 'pitch'. Choose from model, instructions"),
    ("openai", "turn_detection", "x", f"turn_detection option must be {DETECTIONS}"),
    ("openai", "greet", "yes", "The greet option must be one of on, off, not 'yes'."),
    ("openai", "format", "audio/opus", "Unknown audio format 'audio/opus' for OpenAI Realtime."),
    ("openai", "format", "pcm16_16000hz", "Unknown audio format 'pcm16_16000hz'"),
    ("openai", "tools", "[", "The tools option is not JSON:"),
    ("openai", "tools", "{}", f"The tools option {NO_TOOLS}."),
    ("openai", "session", "[]", "The session option must be a JSON object"),
    ("openai", "dialect", "grok", ONE_OF_FIVE),
    ("openai-live", "speed", "1", "no option 'speed'"),
    ("openai-live", "delegation", "me", "The delegation option must be client or responses, not 'me'"),
    ("openai-live", "tools", "{}", NO_TOOLS),
    ("openai-live", "session", "[", "The session option is not JSON"),
    ("openai-live", "session", "[]", "must be a JSON object"),
    ("pcm", "x", "1", "no option 'x'. Choose from rate, play_rate, hello, end"),
    ("pcm", "rate", "fast", f"{A_RATE}, not 'fast'"),
    ("pcm", "rate", "²", A_RATE),
    ("pcm", "rate", "9" * 5_000, A_RATE),
    ("pcm", "play_rate", "3999", "The play_rate option must be a whole number"),
    ("pcm", "hello", "yes", "The hello option must be on or off, not 'yes'"),
    ("signalwire", "byte_order", "middle", "The byte_order option must be one of little, big"),
    ("signalwire", "flushed_marks", "dropped", "SignalWire"),
    ("telnyx", "reply_format", "OPUS", "The reply_format option must be one of PCMU"),
    ("twilio", "x", "1", "no option 'x'. Choose from account_sid, call_sid"),
    ("twilio", "call_sid", "CA1", "The call_sid option must be CA followed by 32 lower-case hex digits"),
    ("twilio", "call_sid", "AC" + "a" * 32, "The call_sid option must be CA followed by 32"),
]
OTHERS: list[tuple[str, dict[str, Any], str]] = [
    ("asterisk", {"formats": ("opus",)}, "Unsupported audio format 'opus' for Asterisk. Choose from ulaw"),
    (
        "asterisk",
        {"options": {"control": "plain"}, "params": {"a": "1"}},
        "Asterisk's plain-text control messages cannot carry parameters",
    ),
    (
        "audiocodes",
        {"formats": ("mp3",)},
        "Unsupported audio format 'mp3' for AudioCodes. Choose from raw/lpcm16",
    ),
    ("elevenlabs", {"formats": ("pcm_8000",)}, "chooses the audio formats in its own settings"),
    ("openai", {"formats": ("raw/lpcm16",)}, "raw/lpcm16"),
    ("pcm", {"formats": ("raw/lpcm16",)}, "Choose from pcm_8000, pcm_16000"),
    ("twilio", {"formats": ("raw/lpcm16",)}, "Choose from audio/x-mulaw"),
    ("twilio", {"params": {"a": "x" * 499}}, "'a' is too long for Twilio"),
    ("vonage", {"params": {"event": "x"}}, "'event' has the same name as a member"),
]
GIVEN = [(protocol, {"options": {name: value}}, text) for protocol, name, value, text in OPTIONS] + OTHERS


@pytest.mark.parametrize(("protocol", "given", "sentence"), GIVEN)
def test_settings_that_a_protocol_does_not_have(protocol: str, given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        protocol_named(protocol).caller(CallerSettings(**given), lambda: "id", lambda: "now")
