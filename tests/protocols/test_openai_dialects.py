"""Services that speak OpenAI Realtime with messages and members of their own."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.protocols.shown import advice, bodies, kinds, rules, types
from tui.protocols.base import CallerSettings, Incoming
from tui.protocols.base import TelephonyEventType as T
from tui.protocols.openai_realtime import OpenAIAgent, OpenAICaller

AUDIO = "AAAAAAAAAAA="


def a_caller(dialect: str, **options: str) -> OpenAICaller:
    settings = CallerSettings(options={"dialect": dialect, **options})
    return OpenAICaller(settings, lambda: "id", lambda: "now")


def say(caller: OpenAICaller, kind: str, **members: Any) -> Incoming:
    return caller.receive(json.dumps({"type": kind, "event_id": "e", **members}))


def in_call(dialect: str) -> OpenAICaller:
    caller = a_caller(dialect)
    say(caller, "session.created", session={})
    say(caller, "session.updated", session={})
    return caller


class TestAzureVoiceLive:
    def test_its_session_has_the_members_of_the_beta_and_azures_own(self) -> None:
        caller = a_caller(
            "azure-voice-live",
            voice="en-US-AvaNeural",
            turn_detection="azure_semantic_vad",
            transcription="azure-speech",
        )
        (update,) = bodies(say(caller, "session.created", session={"model": "m"}).replies)
        session = update["session"]
        assert session["voice"] == {"type": "azure-standard", "name": "en-US-AvaNeural"}
        assert session["turn_detection"]["type"] == "azure_semantic_vad"
        assert session["input_audio_format"] == session["output_audio_format"] == "pcm16"
        assert session["input_audio_transcription"] == {"model": "azure-speech"}
        assert "type" not in session

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
        caller, agent = a_caller("xai"), OpenAIAgent(lambda: "id", lambda: "now")
        (created,) = agent.opened()
        (update,) = caller.receive(created.frame).replies
        assert rules(agent.receive(update.frame)) == []


def test_an_unknown_dialect_is_a_sentence() -> None:
    with pytest.raises(ValueError, match="one of auto, ga, beta, azure-voice-live, xai, not 'grok'"):
        a_caller("grok")
