"""Tests a conversation in each protocol, in memory. The protocols differ in the events that the caller receives."""

from __future__ import annotations

import itertools
import json

import pytest

from tests.agent.calls import Call, conversation, line_named, prompt, spoken
from tui.agent.settings import EVERYTHING_AT_ONCE, AgentSettings
from tui.assets import prompts
from tui.audio.formats import encode
from tui.protocols.asterisk import ASTERISK
from tui.protocols.audiocodes import AUDIOCODES
from tui.protocols.base import CallerSettings, Incoming, Outgoing, Protocol
from tui.protocols.base import TelephonyEventType as Type
from tui.protocols.deepgram import DEEPGRAM
from tui.protocols.elevenlabs import ELEVENLABS, ElevenLabsAgent
from tui.protocols.gemini_live import GEMINI_LIVE
from tui.protocols.genesys import GENESYS
from tui.protocols.json_frames import outgoing
from tui.protocols.openai_realtime import FORMATS as OPENAI_FORMATS
from tui.protocols.openai_realtime import OPENAI_REALTIME
from tui.protocols.pcm import PCM, PcmAgent
from tui.protocols.telephony.exotel import EXOTEL
from tui.protocols.telephony.plivo import PLIVO
from tui.protocols.telephony.signalwire import SIGNALWIRE
from tui.protocols.telephony.telnyx import TELNYX
from tui.protocols.telephony.vonage import VONAGE
from tui.protocols.twilio import TWILIO, TwilioAgent

_TELEPHONY = [TWILIO, TELNYX, PLIVO, EXOTEL, VONAGE, SIGNALWIRE, ASTERISK]
_ALL = [AUDIOCODES, *_TELEPHONY, OPENAI_REALTIME, PCM, ELEVENLABS, GEMINI_LIVE, DEEPGRAM, GENESYS]
_WITHOUT_TRANSCRIPTS = _TELEPHONY
_PADDED = [TELNYX, EXOTEL, VONAGE, ASTERISK]
"""Protocols whose audio messages have a minimum size, so that replies end with silence."""
_OF_THE_AGENT_ONLY = [GENESYS]
_SENDING_STOP = [AUDIOCODES, TWILIO, TELNYX, EXOTEL, SIGNALWIRE, GENESYS]
_WITHOUT_HANG_UP = [OPENAI_REALTIME, PCM, ELEVENLABS, GEMINI_LIVE, DEEPGRAM]
_GREET = {"greet": "on"}
_GREETS_WHEN_ASKED = [OPENAI_REALTIME, GEMINI_LIVE]
every_protocol = pytest.mark.parametrize("protocol", _ALL, ids=lambda protocol: protocol.name)


def greeted(protocol: Protocol, settings: AgentSettings | None = None) -> Call:
    """Returns a call in which the greeting was heard some time ago."""
    call = Call(settings, protocol=protocol, options=_GREET if protocol in _GREETS_WHEN_ASKED else {})
    call.wait(5_000)
    return call


def due(call: Call, *names: str) -> bytes:
    """Returns the expected audio of the agent's prompts on the wire."""
    play_format = call.agent.play_format
    assert play_format is not None
    audio = encode(prompt(*names, rate=play_format.rate), play_format)
    padding = call.audio()[len(audio) :] if call.protocol in _PADDED else b""
    return audio + padding if len(padding) < 3_200 and set(padding) <= {0, 0xFF} else audio


@pytest.mark.parametrize("protocol", [TWILIO, ELEVENLABS, DEEPGRAM], ids=lambda each: each.name)
def test_nothing_slow_is_left_to_do_when_the_greeting_has_begun(protocol: Protocol) -> None:
    call = conversation(agent=protocol.agent(lambda: "id", lambda: "now"))
    caller = protocol.caller(CallerSettings(), lambda: "id", lambda: "now")
    sent = [frame for opening in caller.opened() for frame in call.receive(opening.frame, 1_000)]
    assert sum(frame.audio_ms for frame in sent) == 20
    assert call.next_due_ns == 20_001_000


@pytest.mark.parametrize("protocol", _GREETS_WHEN_ASKED, ids=lambda each: each.name)
def test_some_agents_speak_first_only_when_they_are_asked_to(protocol: Protocol) -> None:
    silent = Call(protocol=protocol, greeted=False)
    silent.wait(10_000)
    assert silent.count(Type.PLAY_STREAM_START) == 0
    asked = Call(protocol=protocol, options={"greet": "on"}, greeted=False)
    asked.wait_for_reply()
    assert asked.texts == [prompts()["greeting"].text]
    assert asked.audio() == due(asked, "greeting")


@every_protocol
def test_recognises_a_line_and_answers_it_whole(protocol: Protocol) -> None:
    call = greeted(protocol)
    call.say("number")
    call.wait_for_reply()
    assert call.audio() == due(call, "order")
    if protocol not in _WITHOUT_TRANSCRIPTS:
        if protocol not in _OF_THE_AGENT_ONLY:
            assert call.recognised == [line_named("number").text]
        assert call.texts == [prompts()["order"].text]


@every_protocol
@pytest.mark.parametrize("pace", [1.0, EVERYTHING_AT_ONCE])
def test_yields_to_speech(protocol: Protocol, pace: float) -> None:
    call = greeted(protocol, AgentSettings(pace=pace))
    call.say("services")
    call.wait(1_000)
    call.say("interrupt")
    assert call.count(Type.CLEAR) == 1
    call.wait_for_reply()
    assert call.audio() == due(call, "listening")
    if pace == 1:
        assert call.cut_short == ["play-2"]
        assert len(call.audio(-2)) < len(due(call, "workshop")) / 2


def over_ms(call: Call) -> float:
    """Returns when the conversation was over, relative to the start of the last speech."""
    assert call.conversation.over
    return (call.over_at_ns - call.began_ns) / 1e6 - call.times_ms(Type.PLAY_STREAM_START)[-1]


def call_with_goodbye(protocol: Protocol) -> Call:
    call = greeted(protocol, AgentSettings(pace=EVERYTHING_AT_ONCE))
    call.say("goodbye")
    call.wait_for_reply()
    return call


def test_leaves_audiocodes_when_the_caller_does() -> None:
    call = call_with_goodbye(AUDIOCODES)
    assert call.count(Type.HANG_UP) == 1
    assert not call.conversation.over
    call.send(call.caller.hang_up())
    assert call.conversation.over


def test_leaves_twilio_when_the_mark_after_the_goodbye_returns() -> None:
    assert call_with_goodbye(TWILIO).conversation.over


@pytest.mark.parametrize("protocol", _WITHOUT_HANG_UP, ids=lambda each: each.name)
def test_leaves_when_the_goodbye_must_have_been_heard(protocol: Protocol) -> None:
    call = call_with_goodbye(protocol)
    assert not call.conversation.over
    call.wait(5_000)
    assert over_ms(call) == pytest.approx(len(prompt("goodbye")) / 32 + 1_000, abs=1)


@pytest.mark.parametrize("protocol", [AUDIOCODES, *_WITHOUT_HANG_UP], ids=lambda each: each.name)
def test_an_interrupted_goodbye_does_not_hang_up(protocol: Protocol) -> None:
    call = greeted(protocol)
    call.say("goodbye")
    call.say("hours")
    call.wait_for_reply()
    call.wait(5_000)
    assert call.audio() == due(call, "hours")
    assert (call.conversation.over, call.count(Type.HANG_UP)) == (False, 0)


@every_protocol
def test_the_callers_end_is_the_end(protocol: Protocol) -> None:
    call = greeted(protocol)
    call.send(call.caller.hang_up())
    assert call.conversation.over == (protocol in _SENDING_STOP)


@every_protocol
def test_shutting_down_during_a_reply(protocol: Protocol) -> None:
    call = greeted(protocol)
    call.say("services")
    call.wait(500)
    call.deliver(call.conversation.end())
    assert call.conversation.over


def assert_understands_and_speaks(call: Call) -> None:
    call.say("number")
    call.wait_for_reply()
    assert call.recognised == [line_named("number").text]
    assert call.audio() == due(call, "order")


@pytest.mark.parametrize("media", OPENAI_FORMATS)
def test_every_format_of_openai(media: str) -> None:
    assert_understands_and_speaks(Call(protocol=OPENAI_REALTIME, options=_GREET, offer=[media]))


@pytest.mark.parametrize(
    ("path", "media"),
    [
        ("/voice-live/realtime", "pcm16"),
        ("/voice-live/realtime", "pcm16_16000hz"),
        ("/voice-live/realtime", "g711_ulaw"),
        ("/xai/v1/realtime", "pcm16_48000hz"),
    ],
)
def test_dialects_of_openai(path: str, media: str) -> None:
    """The caller also detects the dialect from the URL."""
    call = Call(protocol=OPENAI_REALTIME, options={**_GREET, "format": media}, path=path)
    assert_understands_and_speaks(call)
    call.say("services")
    call.wait(1_000)
    call.say("interrupt")
    call.wait_for_reply()
    assert call.audio() == due(call, "listening")
    assert (call.count(Type.CLEAR), call.count(Type.AGENT_ERROR)) == (1, 0)


@pytest.mark.parametrize("media", ["ulaw_8000", "pcm_8000", "pcm_44100"])
def test_formats_of_elevenlabs(media: str) -> None:
    agent = ElevenLabsAgent(lambda: "id", lambda: "now", media=media)
    assert_understands_and_speaks(Call(protocol=ELEVENLABS, agent=agent))


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 48_000])
def test_rates_of_pcm(rate: int) -> None:
    agent = PcmAgent(lambda: "id", lambda: "now", rate=rate)
    assert_understands_and_speaks(Call(protocol=PCM, agent=agent, options={"rate": str(rate)}))


def test_pcm_with_a_message_for_the_end_of_a_turn() -> None:
    call = Call(protocol=PCM, options={"hello": "on", "end": "on"}, greeted=False)
    call.wait_for_reply()
    call.speak(spoken("yes")[:-32_000])
    assert call.recognised == []
    call.send(call.caller.stop_user_stream())
    assert call.recognised == ["Yes."]


@pytest.mark.parametrize(
    "protocol", [AUDIOCODES, ELEVENLABS, GEMINI_LIVE, DEEPGRAM], ids=lambda each: each.name
)
def test_answers_a_typed_turn_unasked(protocol: Protocol) -> None:
    call = greeted(protocol)
    call.send(call.caller.user_text("Yes."))
    call.wait_for_reply()
    assert call.audio() == due(call, "confirmed")


def test_twilio_echoes_the_mark_of_each_reply_even_of_those_that_were_cut_short() -> None:
    call = greeted(TWILIO)
    call.say("services")
    call.wait(1_000)
    call.say("interrupt")
    call.wait_for_reply()
    assert [event.text for event in call.of(Type.MARK)] == ["play-2", "play-3"]
    assert call.cut_short == ["play-2"]


class MarkingAgent(TwilioAgent):
    """Sends a mark after every message, as many servers do, and records those that return."""

    def __init__(self) -> None:
        super().__init__(lambda: "id", lambda: "now")
        self.came_back: list[str] = []
        self._numbers = itertools.count(1)

    def say_audio(self, stream_id: str, audio: bytes) -> list[Outgoing]:
        name = f"message-{next(self._numbers)}"
        mark = self._message("mark", f"mark: {name}", mark={"name": name})
        return [*super().say_audio(stream_id, audio), mark]

    def receive(self, frame: str | bytes) -> Incoming:
        incoming = super().receive(frame)
        self.came_back += [event.text for event in incoming.events if event.type is Type.MARK_REACHED]
        return incoming


def test_a_mark_after_every_message_returns() -> None:
    agent = MarkingAgent()
    call = Call(protocol=TWILIO, agent=agent)
    marks = [f"message-{number}" for number in range(1, 168)]
    assert agent.came_back == [*marks, "play-1"]
    call.say("yes")
    call.wait_for_reply()
    assert call.audio() == due(call, "confirmed")


def elevenlabs_call(**override: object) -> Call:
    """Returns a call whose caller overrides parts of the agent's configuration."""
    initiation = {"type": "conversation_initiation_client_data", "conversation_config_override": override}
    agent = ElevenLabsAgent(lambda: "7", lambda: "now")
    receive, first = agent.receive, [json.dumps(initiation)]
    agent.receive = lambda frame: receive(first.pop() if first else frame)  # type: ignore[method-assign]
    return Call(protocol=ELEVENLABS, agent=agent, greeted=False)


def test_elevenlabs_answers_in_text_alone_where_the_caller_wants_it() -> None:
    call = elevenlabs_call(conversation={"text_only": True}, agent={"first_message": "Welcome."})
    call.send(call.caller.user_text(line_named("yes").text))
    call.wait(5_000)
    assert call.texts == ["Welcome.", prompts()["confirmed"].text]
    assert call.count(Type.PLAY_STREAM_CHUNK) == 0


def test_elevenlabs_does_not_greet_where_the_caller_wants_no_first_message() -> None:
    call = elevenlabs_call(agent={"first_message": ""})
    call.wait(5_000)
    assert call.count(Type.PLAY_STREAM_CHUNK) == 0
    call.say("yes")
    call.wait_for_reply()
    assert call.audio() == due(call, "confirmed")


def test_elevenlabs_calls_a_tool_and_answers_its_result_at_once() -> None:
    call = elevenlabs_call(agent={"first_message": "", "prompt": {"tool_ids": ["opening_hours"]}})
    call.say("hours")
    (asked,) = [json.loads(frame.frame) for frame in call.received if frame.kind == "client_tool_call"]
    assert call.texts == []
    result = {
        "tool_call_id": asked["client_tool_call"]["tool_call_id"],
        "result": "9 to 6",
        "is_error": False,
    }
    call.send([outgoing({"type": "client_tool_result", **result}, "result")])
    call.wait_for_reply()
    assert call.texts == [prompts()["hours"].text + " 9 to 6"]
    assert call.audio() == due(call, "hours")
