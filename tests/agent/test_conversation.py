from __future__ import annotations

import pytest

from tests.agent.calls import SECOND_OF_SILENCE, Call, conversation, line_named, prompt, spoken
from tui.agent.settings import EVERYTHING_AT_ONCE, AgentSettings, ReplyMode
from tui.assets import Line, caller_lines, prompts
from tui.audio.g711 import encode_mulaw
from tui.protocols.base import TelephonyEventType as Type

_INITIATE = '{"type":"session.initiate","conversationId":"x","supportedMediaFormats":["raw/lpcm16"]}'


def test_greets_once_whole_and_in_real_time() -> None:
    call = Call(greeted=False)
    call.wait(10_000)
    assert call.kinds() == [Type.SESSION_ACCEPTED, Type.PLAY_STREAM_START, Type.PLAY_STREAM_STOP]
    assert call.texts == [prompts()["greeting"].text]
    assert call.audio() == prompt("greeting")
    assert call.times_ms(Type.PLAY_STREAM_CHUNK) == pytest.approx([20 * n for n in range(167)])
    assert call.times_ms(Type.PLAY_STREAM_STOP) == call.times_ms(Type.PLAY_STREAM_CHUNK)[-1:]


@pytest.mark.parametrize("line", caller_lines(), ids=lambda line: line.name)
def test_knows_each_caller_line_and_answers_it_whole(line: Line) -> None:
    call = Call()
    call.speak(spoken(line.name))
    call.wait_for_reply()
    (recognition,) = call.of(Type.SPEECH_RECOGNITION)
    assert recognition.text == line.text
    assert recognition.confidence is not None
    assert recognition.confidence > 0.95
    assert call.texts == [prompts()[line.answer].text]
    assert call.audio() == prompt(line.answer)


def test_reports_what_it_hears_in_order() -> None:
    call = Call()
    call.speak(spoken("services"))
    kinds = [kind for kind in call.kinds() if kind is not Type.SPEECH_HYPOTHESIS]
    assert kinds == [
        Type.USER_STREAM_STARTED,
        Type.SPEECH_STARTED,
        Type.SPEECH_STOPPED,
        Type.SPEECH_RECOGNITION,
        Type.SPEECH_COMMITTED,
        Type.PLAY_STREAM_START,
    ]
    words = [event.text for event in call.of(Type.SPEECH_HYPOTHESIS)]
    assert len(words) >= 5
    assert all(line_named("services").text.startswith(text) for text in words)
    assert sorted(words, key=len) == words


def test_the_end_of_speech_is_noticed_after_the_silence_that_was_asked_for() -> None:
    speech_ms = len(spoken("hours")) / 32 - 1000
    for silence_ms in (300, 800):
        call = Call(AgentSettings(silence_ms=silence_ms))
        ended_ms = call.at_ms + speech_ms
        call.speak(spoken("hours"))
        (noticed_ms,) = call.times_ms(Type.SPEECH_STOPPED)
        assert silence_ms <= noticed_ms - ended_ms < silence_ms + 150


def test_does_not_pretend_to_understand_other_speech() -> None:
    call = Call()
    call.speak(prompt("refund") + SECOND_OF_SILENCE)
    call.wait_for_reply()
    (recognition,) = call.of(Type.SPEECH_RECOGNITION)
    assert recognition.text == "(5.4 s of speech)"
    assert recognition.confidence == 0
    assert call.of(Type.SPEECH_HYPOTHESIS) == []
    assert call.audio() == prompt("fallback")


def test_echo_returns_the_users_own_words() -> None:
    call = Call(AgentSettings(reply=ReplyMode.ECHO))
    words = prompt("waiting")
    call.speak(SECOND_OF_SILENCE + words + SECOND_OF_SILENCE)
    call.wait_for_reply()
    echo = call.audio()
    assert words in echo
    assert len(echo) < len(words) + 32 * 400


def test_echo_still_says_goodbye() -> None:
    call = Call(AgentSettings(reply=ReplyMode.ECHO))
    call.speak(spoken("goodbye"))
    call.wait_for_reply()
    assert call.count(Type.HANG_UP) == 1


def test_waits_before_the_answer_as_long_as_configured() -> None:
    call = Call(AgentSettings(reply_delay_ms=1500))
    call.speak(spoken("yes"))
    call.wait_for_reply()
    (stopped_ms,) = call.times_ms(Type.SPEECH_STOPPED)
    assert call.times_ms(Type.PLAY_STREAM_START) == [stopped_ms + 1500]


def test_speech_during_that_wait_takes_the_answer_back() -> None:
    call = Call(AgentSettings(reply_delay_ms=3000))
    call.speak(spoken("yes"))
    call.speak(spoken("hold"))
    call.wait_for_reply()
    assert call.recognised == [line_named("yes").text, line_named("hold").text]
    assert call.texts == [prompts()["waiting"].text]


@pytest.mark.parametrize("pace", [4.0, 100.0])
def test_a_faster_pace_sends_faster(pace: float) -> None:
    call = Call(AgentSettings(pace=pace), greeted=False)
    call.wait(10_000)
    assert call.audio() == prompt("greeting")
    assert call.times_ms(Type.PLAY_STREAM_CHUNK) == pytest.approx([20 * n / pace for n in range(167)])


def test_everything_at_once_is_one_message_followed_by_its_end() -> None:
    call = Call(AgentSettings(pace=EVERYTHING_AT_ONCE), greeted=False)
    (chunk,) = call.of(Type.PLAY_STREAM_CHUNK)
    assert chunk.audio == prompt("greeting")
    assert call.times_ms(Type.PLAY_STREAM_STOP) == [0]


@pytest.mark.parametrize("chunk_ms", [10, 33.3, 250, 60_000])
def test_chunks_have_the_size_that_was_asked_for(chunk_ms: float) -> None:
    call = Call(AgentSettings(chunk_ms=chunk_ms))
    call.send(call.caller.dtmf("5"))
    call.wait_for_reply()
    assert call.audio() == prompt("dtmf-5")
    sizes = {len(event.audio) for event in call.of(Type.PLAY_STREAM_CHUNK)[:-1]}
    assert sizes <= {round(chunk_ms * 16) * 2}


def test_yields_to_speech_while_it_is_sending() -> None:
    call = Call()
    call.speak(spoken("services"))
    call.wait(2_000)
    sent_before = call.count(Type.PLAY_STREAM_CHUNK)
    call.speak(spoken("interrupt")[:9_600])
    assert call.kinds()[-3:] == [Type.SPEECH_STARTED, Type.CLEAR, Type.PLAY_STREAM_STOP]
    assert call.cut_short == ["play-2"]
    assert call.count(Type.PLAY_STREAM_CHUNK) <= sent_before + 10
    assert len(call.audio()) < len(prompt("workshop")) / 2
    call.speak(spoken("interrupt")[9_600:])
    call.wait_for_reply()
    assert call.recognised[-1] == line_named("interrupt").text
    assert call.audio() == prompt("listening")


def test_yields_to_speech_while_what_it_sent_is_still_being_heard() -> None:
    call = Call(AgentSettings(pace=EVERYTHING_AT_ONCE))
    call.speak(spoken("services"))
    call.speak(spoken("interrupt"))
    assert Type.CLEAR in call.kinds()
    assert call.cut_short == ["play-2"]


def test_speech_after_the_answer_was_heard_cuts_nothing() -> None:
    call = Call()
    call.speak(spoken("yes"))
    call.wait_for_reply()
    call.wait(500)
    call.speak(spoken("hold"))
    assert call.cut_short == []


def test_says_each_digit() -> None:
    call = Call()
    for digit in "0123456789*ABCD":
        call.send(call.caller.dtmf(digit))
        call.wait_for_reply()
        assert call.audio() == prompt(f"dtmf-{digit}")
    assert call.texts[4] == "You pressed four."


def test_several_digits_are_one_answer_and_unknown_keys_none() -> None:
    call = Call()
    call.send(call.caller.dtmf("4!2"))
    call.wait_for_reply()
    assert call.texts == ["You pressed four. You pressed two."]
    assert call.audio() == prompt("dtmf-4", "dtmf-2")
    call.send(call.caller.dtmf("!"))
    call.wait(1_000)
    assert len(call.texts) == 1


def test_a_digit_interrupts_the_current_answer() -> None:
    call = Call(greeted=False)
    call.wait(500)
    call.send(call.caller.dtmf("1"))
    call.wait_for_reply()
    assert call.cut_short == ["play-1"]
    assert call.audio() == prompt("dtmf-1")


def test_hash_says_goodbye_and_hangs_up_when_it_was_heard() -> None:
    call = Call()
    call.send(call.caller.dtmf("#7"))
    call.wait(2_500)
    assert call.count(Type.HANG_UP) == 0
    call.wait_for_reply()
    assert call.audio() == prompt("dtmf-#", "goodbye")
    assert call.kinds()[-2:] == [Type.PLAY_STREAM_STOP, Type.HANG_UP]
    call.send(call.caller.hang_up())
    assert call.conversation.over


def test_hangs_up_without_confirmation_that_the_goodbye_was_heard() -> None:
    call = Call(AgentSettings(pace=EVERYTHING_AT_ONCE), reports_play_finished=False)
    call.speak(spoken("goodbye"))
    call.wait(10_000)
    (said_ms,) = call.times_ms(Type.PLAY_STREAM_STOP)
    assert call.times_ms(Type.HANG_UP) == pytest.approx([said_ms + len(prompt("goodbye")) / 32 + 1000])


def test_leaves_a_caller_that_does_not_leave() -> None:
    call = Call()
    call.speak(spoken("goodbye"))
    call.wait_for_reply()
    call.send(call.caller.dtmf("1"))
    hung_up_ns = call.now_ns
    call.wait(10_000)
    assert call.conversation.over
    assert call.over_at_ns - hung_up_ns == pytest.approx(3_000_000_000, abs=10_000_000)
    assert len(call.texts) == 1


def test_hears_one_user_stream_after_another() -> None:
    call = Call()
    for name in ("yes", "hold"):
        call.speak(spoken(name))
        call.send(call.caller.stop_user_stream())
        call.wait_for_reply()
        call.wait(500)
    assert call.recognised == [line_named("yes").text, line_named("hold").text]


def test_the_end_of_the_stream_is_the_end_of_the_turn() -> None:
    call = Call()
    call.speak(spoken("hours")[:-32_000])
    assert call.count(Type.SPEECH_STOPPED) == 0
    call.send(call.caller.stop_user_stream())
    assert call.recognised == [line_named("hours").text]
    call.speak(SECOND_OF_SILENCE)
    assert call.count(Type.SPEECH_STARTED) == 1


@pytest.mark.parametrize(
    ("media", "rate"), [("raw/mulaw", 8_000), ("raw/lpcm16_24", 24_000), ("raw/lpcm16_8", 8_000)]
)
def test_speaks_and_understands_every_format(media: str, rate: int) -> None:
    call = Call(offer=[media])
    call.speak(spoken("number", rate))
    call.wait_for_reply()
    assert call.recognised == [line_named("number").text]
    due = prompt("order", rate=rate)
    assert call.audio() == (encode_mulaw(due) if media == "raw/mulaw" else due)


@pytest.mark.parametrize("chunk_ms", [10, 250, 20_000])
def test_chunks_of_any_size_are_understood(chunk_ms: int) -> None:
    call = Call()
    call.speak(spoken("lamp") + spoken("yes"), chunk_ms, faster=50)
    call.wait_for_reply()
    assert call.recognised == [line_named("lamp").text, line_named("yes").text]


def test_samples_cut_in_two_are_put_together() -> None:
    call = Call()
    call.send(call.caller.start_user_stream())
    pcm = spoken("yes")
    for at in range(0, len(pcm), 333):
        call.send(call.caller.user_audio(pcm[at : at + 333]))
    assert call.recognised == ["Yes."]


def test_answers_a_typed_turn() -> None:
    call = Call()
    call.send(call.caller.user_text("yes. "))
    call.wait_for_reply()
    call.send(call.caller.user_text("what is the weather"))
    call.wait_for_reply()
    assert call.texts == [prompts()["confirmed"].text, prompts()["fallback"].text]


def test_greets_a_caller_that_never_announces_the_start() -> None:
    call = conversation()
    call.receive(_INITIATE, 0)
    kinds = [frame.kind for frame in call.receive('{"type":"userStream.start","conversationId":"x"}', 0)]
    assert kinds[:2] == ["userStream.started", "playStream.start"]


def test_a_resumed_call_is_not_greeted_again() -> None:
    call = conversation()
    kinds = [frame.kind for frame in call.receive('{"type":"session.resume","conversationId":"x"}', 0)]
    kinds += [frame.kind for frame in call.receive('{"type":"userStream.start","conversationId":"x"}', 0)]
    assert kinds == ["session.accepted", "userStream.started"]


@pytest.mark.parametrize("frame", ["", "{", "[]", b"\0\1", '{"type":7}', '{"type":"what.is.this"}'])
def test_nonsense_is_survived(frame: str | bytes) -> None:
    call = Call()
    assert call.conversation.receive(frame, call.now_ns) == []
    call.send(call.caller.dtmf("1"))
    call.wait_for_reply()


def test_a_refused_call_is_over() -> None:
    call = conversation()
    call.receive(_INITIATE.replace("raw/lpcm16", "opus"), 0)
    assert call.over
