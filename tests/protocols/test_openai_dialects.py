"""Tests services that use OpenAI Realtime with their own additional messages and members."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.protocols.shown import advice, bodies, kinds, rules, types
from tui.audio.formats import AudioFormat, Encoding
from tui.protocols.base import CallerSettings, Handshake, Incoming
from tui.protocols.base import TelephonyEventType as T
from tui.protocols.openai_realtime import OPENAI_REALTIME, OpenAIAgent, OpenAICaller
from tui.protocols.openai_realtime.dialects import dialect_of

AUDIO = "AAAAAAAAAAAA"
VOICE_LIVE = "/voice-live/realtime"
AVA = "en-US-AvaNeural"
DETECTIONS = "server_vad, azure_semantic_vad, azure_semantic_vad_en, azure_semantic_vad_multilingual"
PCM_8K, PCM_16K, PCM_48K = (AudioFormat(Encoding.PCM16, rate) for rate in (8_000, 16_000, 48_000))


def an_agent(path: str) -> OpenAIAgent:
    agent = OpenAIAgent(lambda: "id", lambda: "now")
    agent.admit(Handshake(path=path))
    return agent


def ask(agent: OpenAIAgent, kind: str, **members: Any) -> Incoming:
    return agent.receive(json.dumps({"type": kind, **members}))


def a_caller(dialect: str, **options: str) -> OpenAICaller:
    settings = CallerSettings(options={"dialect": dialect, **options})
    return OpenAICaller(settings, lambda: "id", lambda: "now")


def say(caller: OpenAICaller, kind: str, **members: Any) -> Incoming:
    return caller.receive(json.dumps({"type": kind, "event_id": "e", **members}))


def in_call(dialect: str, **options: str) -> OpenAICaller:
    caller = a_caller(dialect, **options)
    say(caller, "session.created", session={})
    say(caller, "session.updated", session={})
    return caller


class TestAzureVoiceLive:
    def test_other_voices_and_dialects_have_names(self) -> None:
        for dialect, voice in (("azure-voice-live", "alloy"), ("beta", "en-US-AvaNeural")):
            (update,) = bodies(say(a_caller(dialect, voice=voice), "session.created", session={}).replies)
            assert update["session"]["voice"] == voice

    def test_the_names_of_the_beta_break_no_rule(self) -> None:
        caller = in_call("azure-voice-live")
        say(caller, "response.created", response={"id": "r"})
        incoming = say(caller, "response.audio.delta", response_id="r", item_id="i", delta=AUDIO)
        assert (rules(incoming), types(incoming)) == ([], [T.PLAY_STREAM_START, T.PLAY_STREAM_CHUNK])

    @pytest.mark.parametrize(
        "kind",
        ["response.audio_timestamp.delta", "session.avatar.connecting", "response.animation_viseme.done"],
    )
    def test_its_own_messages_are_known_only_in_its_dialect(self, kind: str) -> None:
        own, other = say(in_call("azure-voice-live"), kind), say(in_call("beta"), kind)
        assert (own.known, rules(own)) == (True, [])
        assert (other.known, rules(other)) == (False, ["unknown-type"])

    def test_its_rates_are_its_own(self) -> None:
        caller = a_caller("azure-voice-live", format="pcm16_16000hz", output_format="pcm16-8000hz")
        (update,) = bodies(say(caller, "session.created", session={"model": "m"}).replies)
        assert {name: value for name, value in update["session"].items() if "audio_" in name} == {
            "input_audio_format": "pcm16",
            "input_audio_sampling_rate": 16_000,
            "output_audio_format": "pcm16_8000hz",
            "input_audio_transcription": {"model": "gpt-4o-mini-transcribe"},
        }
        given = {"input_audio_format": "pcm16", "input_audio_sampling_rate": 16_000}
        accepted = say(caller, "session.updated", session={**given, "output_audio_format": "pcm16_8000hz"})
        assert (rules(accepted), caller.user_format, caller.play_format) == ([], PCM_16K, PCM_8K)
        with pytest.raises(ValueError, match="Unknown audio format 'pcm16_16000hz'"):
            a_caller("beta", format="pcm16_16000hz")

    def test_another_rate_than_asked_is_a_finding(self) -> None:
        caller = a_caller("azure-voice-live", format="pcm16_16000hz")
        say(caller, "session.created", session={"model": "m"})
        accepted = say(caller, "session.updated", session={"input_audio_sampling_rate": 8_000})
        assert (rules(accepted), caller.user_format) == (["format-not-asked"], PCM_8K)

    def test_a_warning_is_advice(self) -> None:
        warning = {"message": "the region is slow", "code": "slow"}
        incoming = say(in_call("azure-voice-live"), "warning", warning=warning)
        assert advice(incoming) == ["agent-warning"]
        assert incoming.findings[0].text == "The agent warns: slow the region is slow"


class TestXai:
    def test_the_conversation_comes_first_and_is_answered_with_the_settings(self) -> None:
        caller = a_caller("xai", voice="ara")
        first = say(caller, "conversation.created", conversation={"id": "c"})
        assert (rules(first), kinds(first)) == ([], ["session.update"])
        assert bodies(first.replies)[0]["session"]["audio"]["output"]["voice"] == "ara"
        again = say(caller, "session.created", session={"type": "realtime"})
        assert (rules(again), again.replies) == ([], ())
        accepted = say(caller, "session.updated", session={"type": "realtime"})
        assert types(accepted) == [T.SESSION_ACCEPTED]

    def test_openai_sends_the_session_first(self) -> None:
        incoming = say(a_caller("ga"), "conversation.created", conversation={"id": "c"})
        assert (rules(incoming), incoming.replies) == (["before-session-created"], ())

    def test_its_pings_are_known_only_in_its_dialect(self) -> None:
        assert rules(say(in_call("xai"), "ping", timestamp=1)) == []
        assert rules(say(in_call("ga"), "ping", timestamp=1))[-1] == "unknown-type"

    def test_the_local_agent_answers_it(self) -> None:
        caller, agent = a_caller("xai", format="pcm16_48000hz"), an_agent("/xai/v1/realtime")
        (created,) = agent.opened()
        assert created.kind == "conversation.created"
        (update,) = caller.receive(created.frame).replies
        assert (rules(agent.receive(update.frame)), agent.user_format) == ([], PCM_48K)
        refused = an_agent("/v1/realtime").receive(update.frame)
        assert refused.refused == "Invalid value for 'session.audio.input.format.rate': PCM must be 24000 Hz."

    @pytest.mark.parametrize(
        ("options", "reported"),
        [
            ({"dialect": "xai"}, ["response.cancel"]),
            ({"dialect": "xai", "truncate": "on"}, ["response.cancel", "conversation.item.truncate"]),
            ({"dialect": "ga"}, ["response.cancel", "conversation.item.truncate"]),
            ({"dialect": "ga", "truncate": "off"}, ["response.cancel"]),
        ],
    )
    def test_whether_it_hears_how_much_was_heard_is_a_setting(
        self, options: dict[str, str], reported: list[str]
    ) -> None:
        caller = in_call(**options)
        say(caller, "response.created", response={"id": "r"})
        say(caller, "response.output_audio.delta", response_id="r", item_id="i", content_index=0, delta=AUDIO)
        frames = caller.interrupted("i", heard_ms=0.1, received_ms=0.2)
        assert [frame.kind for frame in frames] == reported


class TestVoiceLiveAtTheAgentsEnd:
    def test_a_session_is_flat_and_keeps_the_members_that_only_azure_has(self) -> None:
        agent = an_agent(VOICE_LIVE)
        (created,) = bodies(agent.opened())
        assert created["session"]["modalities"] == ["text", "audio"]
        assert created["session"]["output_audio_format"] == "pcm16"
        assert "audio" not in created["session"]
        change = {"input_audio_sampling_rate": 8_000, "temperature": 0.7, "voice": {"type": "azure-standard"}}
        (updated,) = bodies(ask(agent, "session.update", session=change).replies)
        assert updated["session"]["temperature"] == 0.7
        assert updated["session"]["voice"] == {"type": "azure-standard"}
        assert agent.user_format == PCM_8K
        (again,) = bodies(ask(agent, "session.update", session={"input_audio_format": "g711_alaw"}).replies)
        assert (again["session"]["temperature"], again["session"]["input_audio_sampling_rate"]) == (
            0.7,
            8_000,
        )

    @pytest.mark.parametrize(
        ("change", "error"),
        [
            ({"audio": {}}, "Unknown parameter: 'session.audio'."),
            (
                {"input_audio_sampling_rate": 44_100},
                "Invalid value for 'session.audio.input.format.rate': PCM must be 8000 or 16000 or 24000 Hz.",
            ),
            (
                {"turn_detection": {"type": "semantic_vad"}},
                f"Invalid value for 'session.audio.input.turn_detection.type': expected one of {DETECTIONS}.",
            ),
        ],
    )
    def test_what_it_does_not_have_is_refused(self, change: dict[str, Any], error: str) -> None:
        incoming = ask(an_agent(VOICE_LIVE), "session.update", session=change)
        assert incoming.refused == error
        assert kinds(incoming) == ["error"]

    def test_a_new_item_is_one_event_and_a_reply_has_the_names_of_the_beta(self) -> None:
        agent = an_agent(VOICE_LIVE)
        content = [{"type": "text", "text": "Hello."}]
        item = {"type": "message", "role": "assistant", "content": content}
        created = ask(agent, "conversation.item.create", item=item)
        assert kinds(created) == ["conversation.item.created"]
        assert bodies(created.replies)[0]["item"]["content"] == content
        output = {"id": "o", "type": "function_call_output", "call_id": "c", "output": "x"}
        added = ask(agent, "conversation.item.create", item=output)
        assert "status" not in bodies(added.replies)[0]["item"]
        said = [*agent.say_start("s", "Yes."), *agent.say_audio("s", bytes(960)), *agent.say_stop("s")]
        assert [frame.kind for frame in said] == [
            "response.created",
            "response.output_item.added",
            "conversation.item.created",
            "response.content_part.added",
            "response.audio_transcript.delta",
            "response.audio.delta",
            "response.audio.done",
            "response.audio_transcript.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.done",
        ]
        response = json.loads(said[-1].frame)["response"]
        assert response["output"][0]["content"] == [{"type": "audio", "transcript": "Yes."}]
        assert (response["status_details"], response["modalities"]) == (None, ["text", "audio"])

    def test_a_request_for_an_answer_cancels_the_one_before(self) -> None:
        agent = an_agent(VOICE_LIVE)
        ask(agent, "response.create")
        again = ask(agent, "response.create")
        assert types(again) == [T.RESPONSE_CANCELLED, T.RESPONSE_WANTED]
        assert kinds(again) == ["response.done", "response.created"]
        kept = ask(agent, "response.create", response={"cancel_previous": False})
        assert "already has an active response" in kept.refused
        other = an_agent("/v1/realtime")
        ask(other, "response.create")
        assert "already has an active response" in ask(other, "response.create").refused

    def test_the_caller_may_set_the_limits_of_a_turn(self) -> None:
        agent = an_agent(VOICE_LIVE)
        assert ask(agent, "input_audio.turn.start", turn_id="t").known
        heard = ask(agent, "input_audio.turn.append", turn_id="t", audio=AUDIO * 900)
        assert types(heard) == [T.USER_STREAM_CHUNK]
        assert types(ask(agent, "input_audio.turn.end", turn_id="t")) == [T.SPEECH_COMMITTED]
        assert types(ask(agent, "input_audio.turn.cancel", turn_id="t")) == [T.USER_STREAM_CLEARED]
        assert not ask(an_agent("/v1/realtime"), "input_audio.turn.start", turn_id="t").known

    def test_it_may_clear_the_output(self) -> None:
        assert kinds(ask(an_agent(VOICE_LIVE), "output_audio_buffer.clear")) == [
            "output_audio_buffer.cleared"
        ]
        assert ask(an_agent("/v1/realtime"), "output_audio_buffer.clear").refused


@pytest.mark.parametrize(
    ("url", "dialect"),
    [
        ("wss://r.services.ai.azure.com/voice-live/realtime?api-version=1", "azure-voice-live"),
        ("wss://proxy.example/base/voice-live/realtime/", "azure-voice-live"),
        ("wss://api.x.ai/v1/realtime", "xai"),
        ("ws://127.0.0.1:9000/xai/v1/realtime", "xai"),
        ("wss://notx.ai/v1/realtime", "auto"),
        ("wss://api.openai.com/v1/realtime", "auto"),
        ("wss://[half/realtime", "auto"),
        ("", "auto"),
    ],
)
def test_the_url_shows_the_dialect(url: str, dialect: str) -> None:
    assert dialect_of(url) == dialect


def test_an_option_overrides_the_url() -> None:
    for options, voice in (({}, {"type": "azure-standard", "name": AVA}), ({"dialect": "beta"}, AVA)):
        wishes = CallerSettings(options={"voice": AVA, **options}, url=f"wss://h{VOICE_LIVE}")
        caller = OpenAICaller(wishes, lambda: "id", lambda: "now")
        (update,) = bodies(say(caller, "session.created", session={}).replies)
        assert update["session"]["voice"] == voice


def test_a_key_of_azure_has_a_header_of_its_own() -> None:
    for path, header in ((VOICE_LIVE, "api-key"), ("/v1/realtime", "Authorization")):
        assert list(OPENAI_REALTIME.headers("key", f"ws://127.0.0.1{path}")) == [header]
