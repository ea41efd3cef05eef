from __future__ import annotations

import json
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.protocols.mine import MINE
from tui.protocols import detect
from tui.protocols.base import Protocol
from tui.protocols.detect import LISTEN_MS, from_first_frame, from_url
from tui.protocols.registry import BUILT_IN, by_path
from tui.protocols.signs import Signs


@pytest.mark.parametrize(
    ("url", "protocol"),
    [
        ("wss://api.openai.com/v1/realtime?model=gpt-realtime", "openai"),
        ("wss://API.OpenAI.com/v1/realtime/", "openai"),
        ("wss://my.openai.azure.com/openai/v1/realtime?model=x", "openai"),
        ("wss://my.openai.azure.com/openai/realtime?api-version=1&deployment=x", "openai"),
        ("wss://r.services.ai.azure.com/voice-live/realtime?api-version=2026-07-15&model=x", "openai"),
        ("wss://api.x.ai/v1/realtime", "openai"),
        ("ws://localhost:8000/v1/realtime", "openai"),
        ("ws://localhost:8000/openai", "openai"),
        ("wss://api.openai.com/v1/live/sessions", "openai-live"),
        ("wss://my.openai.azure.com/openai/v1/live", "openai-live"),
        ("ws://localhost:8000/v1/live/sessions", "openai-live"),
        ("wss://api.elevenlabs.io/v1/convai/conversation?agent_id=x", "elevenlabs"),
        ("wss://api.eu.residency.elevenlabs.io/v1/convai/conversation", "elevenlabs"),
        ("ws://127.0.0.1:1/v1/convai/conversation", "elevenlabs"),
        (
            "wss://generativelanguage.googleapis.com/ws/google.ai.x.v1.Generative.BidiGenerateContent",
            "gemini",
        ),
        (
            "wss://us-central1-aiplatform.googleapis.com/ws/google.cloud.x.LlmService/BidiGenerateContent",
            "gemini",
        ),
        ("ws://127.0.0.1:1/gemini", "gemini"),
        ("wss://bot.example/api/v1/audiohook/ws", "genesys"),
        ("wss://agent.deepgram.com/v1/agent/converse", "deepgram"),
        ("ws://127.0.0.1:1/v1/agent/converse", "deepgram"),
        ("wss://bot.example/twilio-agent", "twilio"),
        ("wss://bot.example/telnyx", "telnyx"),
        ("wss://bot.example/v1/plivo/stream", "plivo"),
        ("wss://bot.example/exotel?sample-rate=16000", "exotel"),
        ("wss://bot.example/nexmo/socket", "vonage"),
        ("wss://bot.example/signalwire/stream", "signalwire"),
        ("ws://bot.example/asterisk/media", "asterisk"),
        ("wss://bot.example/v2/twilio/stream", "twilio"),
        ("wss://bot.example/media-stream", "twilio"),
        ("https://bot.example/incoming-call", "twilio"),
        ("http://localhost:5050/voice?x=1", "twilio"),
        ("ws://localhost:8000/ws/telephony", "audiocodes"),
        ("ws://localhost:8000/AudioCodes", "audiocodes"),
        ("wss://bot.example/pcm/", "pcm"),
    ],
)
def test_a_url_is_a_sign_of_its_protocol(url: str, protocol: str) -> None:
    guess = from_url(url)
    assert guess
    assert guess.protocol == protocol
    assert guess.sentence.startswith("Using the ")
    assert "?" not in guess.sentence


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        (
            "ws://localhost:8000/AudioCodes",
            "Using the AudioCodes Bot API protocol (the URL path contains “audiocodes”).",
        ),
        (
            "wss://bot.example/media-stream",
            "Using the Twilio Media Streams protocol (the URL path ends in /media-stream, as in Twilio's samples).",
        ),
        (
            "wss://my.openai.azure.com/",
            "Using the OpenAI Realtime protocol (my.openai.azure.com is Azure OpenAI).",
        ),
        (
            "ws://127.0.0.1:9000/voice-live/realtime",
            "Using the OpenAI Realtime protocol (the URL path ends in /voice-live/realtime, as in Azure Voice Live).",
        ),
    ],
)
def test_the_reason_is_shown(url: str, sentence: str) -> None:
    guess = from_url(url)
    assert guess
    assert guess.sentence == sentence


def test_the_first_word_of_a_path_counts_and_a_word_before_an_ending() -> None:
    found = [from_url(f"ws://h/{path}") for path in ("pcm/twilio", "twilio/pcm", "realtime/pcm/realtime")]
    assert [guess and guess.protocol for guess in found] == ["pcm", "twilio", "pcm"]


class TestInstalledPackages:
    @pytest.fixture(autouse=True)
    def _installed(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """Installs a package whose protocol is broken, and one whose protocol claims other protocols' messages."""
        claims = Signs(
            path_words=("mine", "twilio"),
            first_message=lambda message: "it greets" if message == {"type": "hi"} else "",
        )
        mine = msgspec.structs.replace(MINE, signs=claims)
        fakes = [FakeEntryPoint("broken", None), FakeEntryPoint("mine", mine)]
        monkeypatch.setattr("importlib.metadata.entry_points", lambda group: fakes)
        detect._installed.cache_clear()
        yield
        detect._installed.cache_clear()

    def test_are_asked_when_no_built_in_protocol_matches(self) -> None:
        by_url, by_message = from_url("ws://h/mine"), from_first_frame('{"type":"hi"}')
        assert by_url
        assert by_message
        assert by_url.sentence == "Using the My agent's protocol protocol (the URL path contains “mine”)."
        assert (by_message.protocol, by_message.why) == ("mine", "it greets")

    def test_cannot_claim_what_is_a_sign_of_a_built_in_protocol(self) -> None:
        guess = from_url("ws://h/mine/twilio")
        assert guess
        assert guess.protocol == "twilio"


class FakeEntryPoint:
    def __init__(self, name: str, protocol: Protocol | None) -> None:
        self.name, self.value, self.dist, self._protocol = name, "package:X", None, protocol

    def load(self) -> Protocol | None:
        return self._protocol


@pytest.mark.parametrize(
    "url",
    [
        "ws://localhost:8765/",
        "wss://bot.example/ws",
        "wss://pcm.example/",
        "wss://bot.example/?protocol=twilio",
        "wss://api.openai.com/v1/other",
        "wss://api.elevenlabs.io/v1/text-to-speech/x/stream-input",
        "wss://speech.azure.com/other",
        "wss://speech.googleapis.com/v1/other",
        "wss://notopenai.com/x",
        "wss://[half/realtime",
        "",
        "x",
    ],
)
def test_a_url_without_signs(url: str) -> None:
    assert from_url(url) is None


def test_the_paths_of_the_local_agent_are_signs_of_their_protocols() -> None:
    for path, protocol in by_path().items():
        guess = from_url(f"ws://127.0.0.1:4000{path}")
        assert guess
        assert guess.protocol == protocol.name


@pytest.mark.parametrize(
    ("frame", "protocol"),
    [
        ('{"type":"session.created","event_id":"e","session":{}}', "openai"),
        ('{"type":"session.started","event_id":"e","session":{}}', "openai-live"),
        ('{"type":"conversation_initiation_metadata"}', "elevenlabs"),
        ('{"type":"Welcome","request_id":"x"}', "deepgram"),
        ('{"type":"playStream.start","streamId":"1"}', "audiocodes"),
        ('{"event":"media","streamSid":null,"media":{"payload":""}}', "twilio"),
        ('{"event":"media","media":{"payload":""}}', "twilio"),
        ('{"event":"media","stream_id":"s","media":{"payload":""}}', "telnyx"),
        ('{"event":"mark","stream_sid":"s","mark":{"name":"a"}}', "exotel"),
        ('{"event":"playAudio","media":{"payload":""}}', "plivo"),
        ('{"action":"clear"}', "vonage"),
        ('{"command":"ANSWER"}', "asterisk"),
        ('{"type":"ready","output_sample_rate":24000}', "pcm"),
        (b"\x01\x02", "pcm"),
    ],
)
def test_the_first_message_is_a_sign_of_its_protocol(frame: str | bytes, protocol: str) -> None:
    guess = from_first_frame(frame)
    assert guess
    assert guess.protocol == protocol
    assert guess.why


@pytest.mark.parametrize(
    "frame",
    [
        "",
        b"",
        b' {"setupComplete":{}}',
        "hello",
        "[]",
        '{"type":"ready"}',
        '{"type":["session.created"]}',
        '{"type":"session.started"}',
        '{"type":"Welcome"}',
        '{"event":7}',
        '{"event":"playAudio","streamSid":"s"}',
        '{"action":["clear"]}',
        '{"action":""}',
        '{"command":"DANCE"}',
        "[" * 100_000,
    ],
)
def test_a_first_message_without_signs(frame: str | bytes) -> None:
    assert from_first_frame(frame) is None


def test_the_opening_messages_of_the_local_agent_are_recognized() -> None:
    spoke_first = {}
    for protocol in by_path().values():
        frames = protocol.agent(lambda: "id", lambda: "now").opened()
        for frame in frames[:1]:
            guess = from_first_frame(frame.frame)
            assert guess
            spoke_first[protocol.name] = guess.protocol
    assert spoke_first == {name: name for name in ("openai", "pcm", "deepgram")}
    assert LISTEN_MS == 300


@settings(derandomize=True, max_examples=500, deadline=None)
@given(
    st.text(max_size=60)
    | st.from_regex(r"(ws|https?)://[a-z\[\]:@.%]{0,20}/[\w/%?#-]{0,20}")
    | st.dictionaries(st.sampled_from(["type", "event", "sample_rate"]), st.text() | st.integers()).map(
        json.dumps
    )
)
def test_any_input_is_a_built_in_protocol_or_none(text: str) -> None:
    for guess in (from_url(text), from_first_frame(text), from_first_frame(text.encode(errors="replace"))):
        assert guess is None or guess.protocol in BUILT_IN
