from __future__ import annotations

import base64
import itertools
import json
from typing import Any

import pytest

from tests.protocols.shown import advice, body, kinds, rules, types
from tui.audio.formats import AudioFormat, Encoding
from tui.audio.wav import wav_header
from tui.protocols.audiocodes import DEFAULT_OFFER, FORMATS, AudioCodesCaller
from tui.protocols.base import (
    CallerSettings,
    Incoming,
    TelephonyEventType,
)

T = TelephonyEventType
PCM_16 = AudioFormat(Encoding.PCM16, 16_000)
PCM_24 = AudioFormat(Encoding.PCM16, 24_000)
AUDIO_20_MS = bytes(range(256)) * 2 + bytes(128)
AUDIO_BASE64 = base64.b64encode(AUDIO_20_MS).decode()


def a_caller(*, barge_in: bool = True, formats: tuple[str, ...] = (), **options: str) -> AudioCodesCaller:
    ids = (f"id-{number}" for number in itertools.count())
    settings = CallerSettings(
        barge_in=barge_in, formats=formats, options=options, agent_name="demo-bot", params={"queue": "sales"}
    )
    return AudioCodesCaller(settings, lambda: next(ids), lambda: "2026-01-15T09:00:00.120Z")


def in_session(caller: AudioCodesCaller | None = None, media: str = "raw/lpcm16") -> AudioCodesCaller:
    caller = caller or a_caller()
    caller.opened()
    say(caller, "session.accepted", mediaFormat=media)
    return caller


def in_conversation(*, barge_in: bool = True) -> AudioCodesCaller:
    caller = in_session(a_caller(barge_in=barge_in))
    caller.start_user_stream()
    say(caller, "userStream.started")
    return caller


def say(caller: AudioCodesCaller, kind: str, **members: Any) -> Incoming:
    return caller.receive(json.dumps({"type": kind, **members}))


def do(caller: AudioCodesCaller, name: str, **members: Any) -> Incoming:
    return say(caller, "activities", activities=[{"type": "event", "name": name, **members}])


def play(
    caller: AudioCodesCaller, stream_id: str = "play-1", media: str = "raw/lpcm16", **members: Any
) -> Incoming:
    return say(caller, "playStream.start", streamId=stream_id, mediaFormat=media, **members)


def chunk(caller: AudioCodesCaller, stream_id: str = "play-1", audio: str = AUDIO_BASE64) -> Incoming:
    return say(caller, "playStream.chunk", streamId=stream_id, audioChunk=audio)


def stop(caller: AudioCodesCaller, stream_id: str = "play-1") -> Incoming:
    return say(caller, "playStream.stop", streamId=stream_id)


def finished(caller: AudioCodesCaller, stream_id: str = "play-1") -> list[str]:
    return kinds(caller.playback_finished(stream_id, heard_ms=20, received_ms=20))


class TestTheBeginning:
    def test_the_caller_initiates_with_its_offer(self) -> None:
        (frame,) = a_caller().opened()
        assert frame.frame == (
            '{"type":"session.initiate","conversationId":"id-0","botName":"demo-bot","caller":"+15550100",'
            '"expectAudioMessages":true,'
            '"supportedMediaFormats":["raw/lpcm16","raw/lpcm16_24","raw/lpcm16_8","raw/mulaw"]}'
        )

    def test_the_start_activity_answers_the_acceptance(self) -> None:
        caller = a_caller(language="de-DE")
        caller.opened()
        incoming = say(caller, "session.accepted", mediaFormat="raw/lpcm16")
        assert types(incoming) == [T.SESSION_ACCEPTED]
        assert incoming.events[0].format == caller.user_format == PCM_16
        assert incoming.summary == "accepted raw/lpcm16"
        (start,) = incoming.replies
        assert body(start) == {
            "type": "activities",
            "conversationId": "id-0",
            "activities": [
                {
                    "type": "event",
                    "name": "start",
                    "id": "id-1",
                    "timestamp": "2026-01-15T09:00:00.120Z",
                    "language": "de-DE",
                    "parameters": {
                        "vaigConversationId": "id-0",
                        "caller": "+15550100",
                        "callerHost": "localhost",
                        "callerDisplayName": "+15550100",
                        "callee": "demo-bot",
                        "calleeHost": "localhost",
                        "locale": "de-DE",
                        "queue": "sales",
                    },
                }
            ],
        }

    def test_a_user_stream_wanted_early_starts_after_the_start_activity(self) -> None:
        caller = a_caller()
        caller.opened()
        assert caller.start_user_stream() == []
        incoming = say(caller, "session.accepted", mediaFormat="raw/lpcm16")
        assert kinds(incoming.replies) == ["activities", "userStream.start"]

    def test_a_format_that_was_not_offered_is_used_and_reported(self) -> None:
        caller = a_caller(formats=("raw/mulaw",))
        caller.opened()
        incoming = say(caller, "session.accepted", mediaFormat="raw/lpcm16")
        assert caller.user_format == PCM_16
        assert rules(incoming) == ["format-not-offered"]

    def test_without_a_format_the_first_offered_is_assumed(self) -> None:
        caller = a_caller(formats=("raw/mulaw",))
        caller.opened()
        assert rules(say(caller, "session.accepted")) == ["missing-member"]
        assert caller.user_format == FORMATS["raw/mulaw"]

    def test_an_unknown_format_is_a_fatal_error_and_can_still_be_hung_up(self) -> None:
        caller = a_caller()
        caller.opened()
        incoming = say(caller, "session.accepted", mediaFormat="raw/opus")
        (event,) = incoming.events
        assert (event.type, event.fatal, event.code) == (T.SESSION_ERROR, True, "unknown-format")
        assert (incoming.replies, caller.user_format) == ((), None)
        assert kinds(caller.hang_up()) == ["session.end"]

    def test_a_second_acceptance_is_ignored_and_reported(self) -> None:
        incoming = say(in_session(), "session.accepted", mediaFormat="raw/mulaw")
        assert (rules(incoming), incoming.events, incoming.replies) == (
            ["unexpected-session-accepted"],
            (),
            (),
        )

    def test_a_refusal_is_fatal_and_ends_all_sending(self) -> None:
        caller = a_caller()
        caller.opened()
        incoming = say(caller, "session.error", reason="no capacity")
        (event,) = incoming.events
        assert (event.type, event.reason, event.fatal) == (T.SESSION_ERROR, "no capacity", True)
        assert caller.hang_up() == caller.start_user_stream() == []
        assert caller.resumed() is None


class TestTheUsersStream:
    def test_audio_flows_between_started_and_our_own_stop(self) -> None:
        caller = in_session()
        assert kinds(caller.start_user_stream()) == ["userStream.start"]
        assert caller.start_user_stream() == caller.user_audio(AUDIO_20_MS) == []
        incoming = say(caller, "userStream.started")
        assert (types(incoming), caller.user_stream_open) == ([T.USER_STREAM_STARTED], True)
        (frame,) = caller.user_audio(AUDIO_20_MS)
        assert body(frame) == {
            "type": "userStream.chunk",
            "conversationId": "id-0",
            "audioChunk": AUDIO_BASE64,
        }
        assert (frame.summary, frame.audio_ms) == ("user audio 20 ms", 20)
        assert caller.user_audio(b"") == []
        assert kinds(caller.stop_user_stream()) == ["userStream.stop"]
        assert caller.stop_user_stream() == caller.user_audio(AUDIO_20_MS) == []
        assert not caller.user_stream_open
        assert types(say(caller, "userStream.stopped")) == [T.USER_STREAM_STOPPED]

    def test_a_start_that_was_taken_back_does_not_open_the_stream(self) -> None:
        caller = in_session()
        caller.start_user_stream()
        caller.stop_user_stream()
        assert rules(say(caller, "userStream.started")) == []
        assert not caller.user_stream_open

    @pytest.mark.parametrize("answer", ["started", "stopped"])
    def test_an_answer_without_a_request_is_reported(self, answer: str) -> None:
        incoming = say(in_conversation(), f"userStream.{answer}")
        assert (rules(incoming), incoming.events) == ([f"unexpected-user-stream-{answer}"], ())

    def test_each_stream_of_a_wav_format_begins_with_a_header(self) -> None:
        caller = in_session(a_caller(formats=("wav/lpcm16",)), "wav/lpcm16")
        caller.start_user_stream()
        say(caller, "userStream.started")
        sent = [base64.b64decode(body(caller.user_audio(b"ab")[0])["audioChunk"]) for _ in range(2)]
        assert sent == [wav_header(PCM_16) + b"ab", b"ab"]


class TestReplies:
    def test_a_reply_in_a_format_of_its_own(self) -> None:
        caller = in_session()
        started = play(
            caller, media="raw/lpcm16_24", altText="We open at nine.", activityParams=None, participant=None
        )
        (event,) = started.events
        assert (event.type, event.stream_id) == (T.PLAY_STREAM_START, "play-1")
        assert (event.format, event.text) == (PCM_24, "We open at nine.")
        assert started.summary == "play-1 starts, raw/lpcm16_24: We open at nine."
        played = chunk(caller)
        (event,) = played.events
        assert (event.type, event.audio, event.format) == (T.PLAY_STREAM_CHUNK, AUDIO_20_MS, PCM_24)
        assert (played.summary, round(played.audio_ms, 1)) == ("agent audio 13 ms", 13.3)
        assert types(stop(caller)) == [T.PLAY_STREAM_STOP]
        assert rules(started) == rules(played) == []

    def test_a_reply_before_the_acceptance_is_played_and_reported(self) -> None:
        caller = a_caller()
        caller.opened()
        assert rules(play(caller)) == ["play-before-accepted"]
        assert types(chunk(caller)) == [T.PLAY_STREAM_CHUNK]
        assert rules(stop(caller)) == []
        assert finished(caller) == []

    def test_a_second_start_stops_the_first_whose_audio_is_played_in_its_own_format(self) -> None:
        caller = in_session()
        play(caller, "a", "raw/mulaw")
        second = play(caller, "b")
        assert types(second) == [T.PLAY_STREAM_STOP, T.PLAY_STREAM_START]
        assert [event.stream_id for event in second.events] == ["a", "b"]
        assert rules(second) == ["overlapping-play-streams"]
        late = chunk(caller, "a")
        assert (types(late), late.events[0].format) == ([T.PLAY_STREAM_CHUNK], FORMATS["raw/mulaw"])
        assert (
            rules(late)
            == rules(stop(caller, "a"))
            == rules(chunk(caller, "b"))
            == rules(stop(caller, "b"))
            == []
        )
        assert rules(stop(caller, "b")) == ["stop-outside-stream"]

    def test_audio_after_its_stop_is_played(self) -> None:
        caller = in_session()
        play(caller)
        stop(caller)
        finished(caller)
        incoming = chunk(caller)
        assert (types(incoming), rules(incoming)) == ([T.PLAY_STREAM_CHUNK], ["chunk-outside-stream"])

    def test_audio_without_a_start_begins_a_reply(self) -> None:
        caller = in_session()
        incoming = chunk(caller)
        assert types(incoming) == [T.PLAY_STREAM_START, T.PLAY_STREAM_CHUNK]
        assert rules(incoming) == ["chunk-outside-stream"]
        assert rules(chunk(caller)) == []
        assert rules(stop(caller)) == []

    def test_audio_of_an_unknown_stream_does_not_end_the_open_reply(self) -> None:
        caller = in_session()
        play(caller)
        incoming = chunk(caller, "stranger")
        assert (types(incoming), rules(incoming)) == ([T.PLAY_STREAM_CHUNK], ["chunk-outside-stream"])
        assert rules(chunk(caller)) == []

    def test_audio_and_stop_without_an_id_belong_to_the_open_reply(self) -> None:
        caller = in_session()
        play(caller)
        incoming = say(caller, "playStream.chunk", audioChunk=AUDIO_BASE64)
        assert (incoming.events[0].stream_id, rules(incoming)) == ("play-1", ["missing-member"])
        assert types(say(caller, "playStream.stop")) == [T.PLAY_STREAM_STOP]

    @pytest.mark.parametrize("stream_id", ["play-1", "other", None])
    def test_a_stop_without_an_open_reply_is_reported(self, stream_id: str | None) -> None:
        incoming = say(in_session(), "playStream.stop", streamId=stream_id)
        assert incoming.events == ()
        assert "stop-outside-stream" in rules(incoming)

    def test_a_reused_id_is_reported_and_played(self) -> None:
        caller = in_session()
        play(caller)
        stop(caller)
        incoming = play(caller)
        assert (types(incoming), rules(incoming)) == ([T.PLAY_STREAM_START], ["stream-id-reused"])

    def test_a_wav_header_in_a_raw_format_is_removed_and_reported(self) -> None:
        caller = in_session()
        play(caller)
        incoming = chunk(caller, audio=base64.b64encode(wav_header(PCM_16) + AUDIO_20_MS).decode())
        assert (incoming.events[0].audio, rules(incoming)) == (AUDIO_20_MS, ["wav-header-in-raw"])
        assert incoming.audio_ms == 20

    @pytest.mark.parametrize("header", [b"", wav_header(PCM_16)])
    def test_a_wav_format_may_have_a_header_in_any_chunk(self, header: bytes) -> None:
        caller = in_session(a_caller(formats=(*DEFAULT_OFFER, "wav/lpcm16")))
        play(caller, media="wav/lpcm16")
        incoming = chunk(caller, audio=base64.b64encode(header + AUDIO_20_MS).decode())
        assert (incoming.events[0].audio, rules(incoming)) == (AUDIO_20_MS, [])

    @pytest.mark.parametrize(
        ("media", "rule"),
        [("audio/mpeg", "unknown-format"), (None, "missing-member"), (7, "wrong-type-member")],
    )
    def test_without_a_known_format_the_accepted_one_is_assumed(self, media: object, rule: str) -> None:
        incoming = say(in_session(), "playStream.start", streamId="a", mediaFormat=media)
        assert (incoming.events[0].format, rules(incoming)) == (PCM_16, [rule])

    def test_lost_audio_is_reported(self) -> None:
        caller = in_session()
        play(caller)
        incoming = chunk(caller, audio="*")
        assert (incoming.events, rules(incoming), incoming.audio_ms) == ((), ["bad-base64"], 0)

    def test_play_finished_is_sent_when_a_reply_was_played(self) -> None:
        caller = in_session()
        play(caller)
        stop(caller)
        (frame,) = caller.playback_finished("play-1", heard_ms=20, received_ms=20)
        (activity,) = body(frame)["activities"]
        assert (activity["type"], activity["name"]) == ("event", "playFinished")
        assert frame.summary == "playFinished"

    def test_play_finished_can_be_turned_off(self) -> None:
        caller = in_session(a_caller(play_finished="off"))
        play(caller)
        assert finished(caller) == []

    def test_waiting_replies_are_bounded(self) -> None:
        caller = in_session()
        for number in range(1_000):
            play(caller, f"play-{number}")
            stop(caller, f"play-{number}")
        assert len(caller._replies._pending) == 100


class TestBargeIn:
    @pytest.mark.parametrize("signal", ["userStream.speech.started", "userStream.speech.hypothesis"])
    def test_speech_during_a_reply_clears_it_once(self, signal: str) -> None:
        caller = in_conversation()
        play(caller)
        incoming = say(caller, signal, alternatives=[{"text": "stop"}])
        clear = incoming.events[-1]
        assert (clear.type, clear.stream_id, clear.reason) == (T.CLEAR, "play-1", "barge-in")
        assert T.CLEAR not in types(say(caller, "userStream.speech.hypothesis", alternatives=[{"text": "x"}]))
        assert caller.user_stream_open
        play(caller, "next")
        assert say(caller, signal, alternatives=[{"text": "stop"}]).events[-1].stream_id == "next"

    def test_speech_clears_until_playback_has_ended(self) -> None:
        for is_over, expected in ((False, [T.SPEECH_STARTED, T.CLEAR]), (True, [T.SPEECH_STARTED])):
            caller = in_conversation()
            play(caller)
            stop(caller)
            if is_over:
                finished(caller)
            assert types(say(caller, "userStream.speech.started")) == expected

    def test_a_reply_the_user_cut_off_is_not_cleared_again(self) -> None:
        caller = in_conversation()
        play(caller)
        assert caller.interrupted("play-1", heard_ms=5, received_ms=20) == []
        finished(caller)
        assert types(say(caller, "userStream.speech.started")) == [T.SPEECH_STARTED]

    def test_off_the_stream_is_withheld_while_the_agent_plays(self) -> None:
        caller = in_conversation(barge_in=False)
        assert kinds(play(caller).replies) == ["userStream.stop"]
        assert caller.user_audio(AUDIO_20_MS) == []
        assert types(say(caller, "userStream.speech.started")) == [T.SPEECH_STARTED]
        stop(caller)
        assert caller.start_user_stream() == []
        assert finished(caller) == ["activities", "userStream.start"]
        say(caller, "userStream.started")
        assert kinds(caller.user_audio(AUDIO_20_MS)) == ["userStream.chunk"]

    def test_off_the_stream_stays_closed_if_the_user_is_done(self) -> None:
        caller = in_conversation(barge_in=False)
        play(caller)
        assert caller.stop_user_stream() == []
        stop(caller)
        assert finished(caller) == ["activities"]

    def test_off_a_recognition_closes_the_stream_until_the_answer_was_heard(self) -> None:
        caller = in_conversation(barge_in=False)
        incoming = say(
            caller, "userStream.speech.recognition", alternatives=[{"text": "hello", "confidence": 0.9}]
        )
        assert kinds(incoming.replies) == ["userStream.stop"]
        assert play(caller).replies == ()
        stop(caller)
        assert finished(caller) == ["activities", "userStream.start"]

    def test_off_the_user_can_open_the_stream_again_if_no_answer_comes(self) -> None:
        caller = in_conversation(barge_in=False)
        say(caller, "userStream.speech.recognition", alternatives=[{"text": "hello"}])
        assert kinds(caller.start_user_stream()) == ["userStream.start"]

    @pytest.mark.parametrize(
        "answer",
        [
            {"type": "message", "text": "At nine."},
            {"type": "event", "name": "playUrl", "activityParams": {"playUrlUrl": "https://a.example/x.wav"}},
        ],
    )
    def test_off_an_answer_without_sound_opens_the_stream_again(self, answer: dict[str, Any]) -> None:
        caller = in_conversation(barge_in=False)
        say(caller, "userStream.speech.recognition", alternatives=[{"text": "hello"}])
        assert kinds(say(caller, "activities", activities=[answer]).replies) == ["userStream.start"]

    def test_off_words_beside_a_reply_do_not_open_the_stream_before_it_was_heard(self) -> None:
        caller = in_conversation(barge_in=False)
        say(caller, "userStream.speech.recognition", alternatives=[{"text": "hello"}])
        play(caller)
        words = {"type": "message", "text": "At nine."}
        assert say(caller, "activities", activities=[words]).replies == ()
        stop(caller)
        assert finished(caller) == ["activities", "userStream.start"]

    def test_off_words_leave_a_stream_closed_that_the_user_closed(self) -> None:
        caller = in_conversation(barge_in=False)
        say(caller, "userStream.speech.recognition", alternatives=[{"text": "hello"}])
        caller.stop_user_stream()
        assert say(caller, "activities", activities=[{"type": "message", "text": "At nine."}]).replies == ()

    def test_the_agent_can_switch_it_during_a_reply(self) -> None:
        caller = in_conversation()
        play(caller)
        off = do(caller, "config", sessionParams={"bargeIn": False})
        assert (types(off), kinds(off.replies), caller.barge_in) == ([T.CONFIG], ["userStream.stop"], False)
        assert off.summary == 'config {"bargeIn":false}'
        assert types(say(caller, "userStream.speech.started")) == [T.SPEECH_STARTED]
        on = do(caller, "config", sessionParams={"bargeIn": True})
        assert (kinds(on.replies), caller.barge_in) == (["userStream.start"], True)
        assert on.events[0].params == {"bargeIn": True}
        assert types(say(caller, "userStream.speech.started")) == [T.SPEECH_STARTED, T.CLEAR]

    def test_the_setting_of_the_agent_overrides_that_of_the_user(self) -> None:
        caller = in_conversation(barge_in=False)
        do(caller, "config", sessionParams={"bargeIn": True})
        assert play(caller).replies == ()
        assert caller.user_stream_open

    def test_session_params_count_on_any_activity(self) -> None:
        caller = in_conversation()
        incoming = do(caller, "expectAnotherBotMessage", sessionParams={"bargeIn": False})
        assert not caller.barge_in
        assert incoming.summary == 'expectAnotherBotMessage; {"bargeIn":false}'
        words = {"type": "message", "text": "hi", "sessionParams": {"bargeIn": True}}
        assert say(caller, "activities", activities=[words]).summary == 'message: hi; {"bargeIn":true}'
        assert caller.barge_in

    @pytest.mark.parametrize(
        "setting",
        [
            {"directSTT": False},
            {"directTTS": False},
            {"expectAudioMessages": False},
            {"userNoInputTimeoutMS": 5000},
            {"sendEventsToBot": ["noUserInput"]},
            {"sendDTMF": False},
        ],
    )
    def test_settings_that_move_no_duty_here_are_shown_as_without_effect(
        self, setting: dict[str, Any]
    ) -> None:
        caller = in_conversation()
        incoming = do(caller, "config", sessionParams=setting)
        shown = json.dumps(setting, separators=(",", ":"))
        assert (incoming.replies, incoming.summary) == ((), f"config without effect here: {shown}")
        both = do(caller, "config", sessionParams={**setting, "bargeIn": True})
        assert both.summary == f'config {{"bargeIn":true}}; without effect here: {shown}'
        assert caller.user_stream_open
        assert kinds(caller.dtmf("1")) == ["activities"]
        play(caller)
        assert T.CLEAR in types(say(caller, "userStream.speech.started"))

    def test_settings_of_one_reply_are_shown_as_without_effect(self) -> None:
        caller = in_conversation()
        incoming = play(caller, activityParams={"bargeIn": False})
        shown = 'play-1 starts, raw/lpcm16; for this reply only, without effect: {"bargeIn":false}'
        assert (incoming.summary, incoming.replies) == (shown, ())
        stop(caller)
        assert play(caller, "b", activityParams=None).summary == "b starts, raw/lpcm16"


class TestSpeech:
    @pytest.mark.parametrize(
        ("members", "confidence", "noted"),
        [
            ({"alternatives": [{"text": "hello", "confidence": 0.95}]}, 0.95, []),
            ({"alternatives": [{"text": "hello", "confidence": "0.95"}]}, 0.95, ["wrong-type-member"]),
            (
                {"alternatives": [{"text": "hello"}], "participant": "caller", "conversationId": "id-0"},
                None,
                [],
            ),
            ({"alternatives": [{"text": "hello"}], "participantId": None}, None, []),
            (
                {"alternatives": [{"text": "hello"}], "participantId": "x"},
                None,
                ["deprecated-participant-id"],
            ),
            ({"text": "hello", "confidence": 0.95}, 0.95, ["text-without-alternatives"]),
            ({"alternatives": [7, {"text": "hello"}]}, None, ["wrong-type-member"]),
        ],
    )
    def test_recognition_is_read_in_every_way_it_was_seen(
        self, members: dict[str, Any], confidence: float | None, noted: list[str]
    ) -> None:
        incoming = say(in_conversation(), "userStream.speech.recognition", **members)
        (event,) = incoming.events
        assert (event.type, event.text, event.confidence) == (T.SPEECH_RECOGNITION, "hello", confidence)
        assert (rules(incoming), incoming.summary) == (noted, "recognition: hello")

    @pytest.mark.parametrize(
        "members", [{}, {"alternatives": []}, {"alternatives": [{}]}, {"alternatives": "x"}]
    )
    def test_empty_recognition_is_reported(self, members: dict[str, Any]) -> None:
        incoming = say(in_conversation(), "userStream.speech.recognition", **members)
        assert incoming.events[0].text == ""

    def test_a_hypothesis_is_summarised_in_one_short_line(self) -> None:
        text = "what\ntime " + "x" * 500
        incoming = say(in_conversation(), "userStream.speech.hypothesis", alternatives=[{"text": text}])
        assert incoming.events[0].text == text
        assert incoming.summary.startswith("hypothesis: what time xxx")
        assert len(incoming.summary) == 120


class TestActivities:
    def test_hangup(self) -> None:
        incoming = do(in_session(), "hangup", activityParams={"hangupReason": "done"})
        (event,) = incoming.events
        assert (event.type, event.reason, incoming.summary) == (T.HANG_UP, "done", "hangup: done")

    @pytest.mark.parametrize(("name", "noted"), [("transfer", []), ("handover", ["deprecated-handover"])])
    def test_transfer(self, name: str, noted: list[str]) -> None:
        params = {"transferTarget": "tel:+15550199", "handoverReason": "asked for"}
        incoming = do(in_session(), name, activityParams=params)
        (event,) = incoming.events
        assert (event.type, event.text, event.reason) == (T.TRANSFER, "tel:+15550199", "asked for")
        assert (event.params, incoming.summary) == (params, "transfer to tel:+15550199")
        assert rules(incoming) == noted

    def test_abort_prompts_clears_even_when_nothing_plays(self) -> None:
        caller = in_conversation(barge_in=False)
        assert types(do(caller, "abortPrompts")) == [T.CLEAR]
        play(caller)
        incoming = do(caller, "abortPrompts")
        assert (incoming.events[0].stream_id, incoming.events[0].reason) == ("play-1", "abortPrompts")

    def test_several_activities_are_read_in_order(self) -> None:
        activities = [{"type": "message", "text": "Bye\x1b[0m"}, {"type": "event", "name": "hangup"}]
        incoming = say(in_session(), "activities", activities=activities)
        assert (types(incoming), incoming.summary) == (
            [T.AGENT_TEXT, T.HANG_UP],
            "message: Bye\x1b[0m; hangup",
        )

    @pytest.mark.parametrize("name", ["startRecognition", "stopCallRecording", "speakerVerificationVerify"])
    def test_other_activities_are_known_and_have_no_effect(self, name: str) -> None:
        incoming = do(in_session(), name, activityParams={"x": 1})
        assert (incoming.events, incoming.summary, rules(incoming)) == ((), name, [])

    def test_digits_from_the_agent_are_shown(self) -> None:
        assert do(in_session(), "sendDtmf", activityParams={"dtmfDigits": "12#"}).summary == "sendDtmf 12#"
        misspelt = do(in_session(), "sendDtmf", activityParams={"dtmf": "12#"})
        assert (misspelt.summary, rules(misspelt)) == ("sendDtmf 12#", ["missing-member"])

    @pytest.mark.parametrize(
        ("name", "members", "summary", "advised"),
        [
            (
                "playUrl",
                {"activityParams": {"playUrlUrl": "https://a.example/x.wav"}},
                "playUrl, not played: https://a.example/x.wav",
                ["play-url"],
            ),
            (
                "playUrl",
                {"activityParams": {"playUrlAltText": "Hi"}},
                "playUrl, not played: Hi",
                ["play-url"],
            ),
            ("sendMetaData", {"value": {"a": 1}}, 'sendMetaData, only shown: {"value":{"a":1}}', []),
            (
                "config",
                {"activityParams": {"bargeIn": False}},
                'config for this activity only, without effect: {"bargeIn":false}',
                [],
            ),
            ("config", {"sessionParams": {"bargeIn": True}}, 'config {"bargeIn":true}', []),
            ("config", {}, "empty config", ["empty-config"]),
        ],
    )
    def test_what_an_activity_asks_and_what_was_done_is_in_its_summary(
        self, name: str, members: dict[str, Any], summary: str, advised: list[str]
    ) -> None:
        incoming = do(in_session(), name, **members)
        assert (incoming.summary, advice(incoming), rules(incoming)) == (summary, advised, advised)

    def test_names_in_another_case_work_and_are_reported(self) -> None:
        incoming = do(in_session(), "HangUp")
        assert (types(incoming), rules(incoming)) == ([T.HANG_UP], ["activity-name-case"])

    @pytest.mark.parametrize(
        ("activities", "rule"),
        [
            ([{"type": "event", "name": "dance"}], "unknown-activity"),
            ([{"type": "event"}], "missing-member"),
            ([{"text": "typeless"}], "missing-member"),
            (["dance"], "wrong-type-member"),
            ({}, "wrong-type-member"),
            (None, "missing-member"),
        ],
    )
    def test_faults_in_activities_are_reported(self, activities: object, rule: str) -> None:
        assert rule in rules(say(in_session(), "activities", activities=activities))

    def test_too_many_activities_in_one_message_are_cut_off_and_reported(self) -> None:
        activities = [{"type": "event", "name": "abortPrompts"}] * 1_000
        incoming = say(in_session(), "activities", activities=activities)
        assert (len(incoming.events), rules(incoming)) == (100, ["too-many-activities"])

    @pytest.mark.parametrize(("options", "name"), [({}, "DTMF"), ({"dtmf_event": "dtmf"}, "dtmf")])
    def test_keys_pressed(self, options: dict[str, Any], name: str) -> None:
        (frame,) = in_session(a_caller(**options)).dtmf("42#")
        (activity,) = body(frame)["activities"]
        assert (activity["name"], activity["value"], frame.summary) == (name, "42#", f"{name} 42#")


class TestMarks:
    def test_a_mark_is_answered_with_its_own_members(self) -> None:
        caller = in_session()
        play(caller)
        incoming = say(caller, "playStream.mark.set", streamId="play-1", name="half", extra=[1])
        (event,) = incoming.events
        assert (event.type, event.text, event.stream_id) == (T.MARK, "half", "play-1")
        (frame,) = caller.mark_reached("half")
        assert body(frame) == {
            "type": "playStream.mark.reached",
            "streamId": "play-1",
            "name": "half",
            "extra": [1],
            "conversationId": "id-0",
        }
        assert caller.mark_reached("half") == []

    def test_marks_without_a_name_are_numbered_and_equal_names_answered_each(self) -> None:
        caller = in_session()
        names = [
            say(caller, "playStream.mark.set", **m).events[0].text for m in ({}, {"name": "a"}, {"name": "a"})
        ]
        assert names == ["mark 1", "a", "a"]
        assert [len(caller.mark_reached(name)) for name in (*names, "a")] == [1, 1, 1, 0]

    def test_marks_are_bounded_in_number_and_size(self) -> None:
        caller = in_session()
        assert rules(say(caller, "playStream.mark.set", name="x" * 5_000)) == ["mark-too-long"]
        for number in range(1_500):
            say(caller, "playStream.mark.set", name=str(number))
        answered = [caller.mark_reached(str(number)) for number in range(1_500)]
        assert [len(answer) for answer in answered] == 500 * [0] + 1_000 * [1], "the newest"


class TestTheEnd:
    def test_hanging_up_closes_the_stream_first(self) -> None:
        caller = in_conversation()
        stopped, ended = caller.hang_up()
        assert stopped.kind == "userStream.stop"
        assert body(ended) == {
            "type": "session.end",
            "conversationId": "id-0",
            "reasonCode": "client-disconnected",
            "reason": "Client Side",
        }
        assert caller.hang_up() == caller.dtmf("1") == caller.start_user_stream() == []
        assert finished(caller) == []

    def test_session_end_from_the_agent_is_a_hang_up_and_reported(self) -> None:
        caller = in_session()
        incoming = say(caller, "session.end", reasonCode="normal", reason="bye", conversationId="id-0")
        (event,) = incoming.events
        assert (event.type, event.reason, event.code) == (T.HANG_UP, "bye", "normal")
        assert rules(incoming) == ["session-end-from-agent"]
        assert kinds(caller.hang_up()) == ["session.end"]


class TestResuming:
    def test_the_same_conversation_goes_on_and_the_stream_is_opened_again(self) -> None:
        caller = in_conversation()
        play(caller)
        frames = caller.resumed()
        assert frames is not None
        assert [body(frame) for frame in frames] == [{"type": "session.resume", "conversationId": "id-0"}]
        assert not caller.user_stream_open
        incoming = say(caller, "session.accepted")
        assert types(incoming) == [T.PLAY_STREAM_STOP, T.SESSION_ACCEPTED]
        assert (incoming.events[0].reason, incoming.events[1].format) == ("connection lost", PCM_16)
        assert kinds(incoming.replies) == ["userStream.start"]
        assert rules(incoming) == []

    def test_a_stream_that_was_not_wanted_stays_closed(self) -> None:
        caller = in_session()
        caller.resumed()
        assert say(caller, "session.accepted").replies == ()

    def test_a_session_that_was_never_accepted_is_initiated(self) -> None:
        caller = a_caller()
        first = caller.opened()
        assert caller.resumed() == first

    def test_a_refused_resume_is_fatal_and_reported(self) -> None:
        caller = in_session()
        caller.resumed()
        incoming = say(caller, "session.error", reason="conversation not found", conversationId="id-0")
        assert (types(incoming), rules(incoming)) == ([T.SESSION_ERROR], ["resume-refused"])


@pytest.mark.parametrize(
    ("success", "summary"), [(True, "validated"), (False, "not validated"), (None, "validated")]
)
def test_the_probe_and_its_answer(success: bool | None, summary: str) -> None:
    caller = a_caller()
    assert kinds(caller.validate()) == ["connection.validate"]
    incoming = say(caller, "connection.validated", success=success)
    assert types(incoming) == [T.CONNECTION_VALIDATED]
    assert incoming.events[0].params == {"success": success is not False}
    assert incoming.summary == f"connection {summary}"


def test_an_unknown_type_is_not_an_error() -> None:
    incoming = say(in_session(), "session.resumed", conversationId="another")
    assert not incoming.known
    assert rules(incoming) == ["foreign-conversation-id", "unknown-type"]
