from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest

from tests.protocols.both_ends import example, messages_from
from tests.protocols.shown import advice, bodies, body, kinds, rules, types
from tui.audio.formats import AudioFormat, Encoding
from tui.protocols.base import CallerSettings, Incoming
from tui.protocols.base import TelephonyEventType as T
from tui.protocols.genesys import GENESYS, GenesysAgent, GenesysCaller

LINES = example("genesys")
SESSION = LINES[0]["message"]["id"]
BLOCK, FRAME = b"\xff" * 160, b"\xff" * 1_600
PCMU = {"type": "audio", "format": "PCMU", "channels": ["external"], "rate": 8_000}
SECRET = b64encode(b"TheSecretOfTheClient").decode()


class Clock:
    """A wall clock that tests advance."""

    def __init__(self) -> None:
        self.second = 0

    def now(self) -> str:
        return f"2026-11-30T00:00:{self.second:02d}.000Z"


class Peer:
    """A caller and the messages of an agent that counts correctly, unless a test says otherwise."""

    def __init__(self, *formats: str, params: dict[str, str] | None = None, **options: str) -> None:
        ids = (f"00000000-0000-4000-8000-{number:012d}" for number in range(1, 1_000))
        self.clock = Clock()
        wanted = CallerSettings(formats=formats, params=params or {}, options=options)
        self.caller = GenesysCaller(wanted, lambda: next(ids), self.clock.now)
        self.opening = body(self.caller.opened()[0])
        self.seq = 0

    def say(self, kind: str, parameters: dict[str, Any] | None = None, **members: Any) -> Incoming:
        self.seq = members.get("seq", self.seq + 1)
        envelope = {"version": "2", "id": self.opening["id"], "type": kind, "seq": self.seq, "clientseq": 1}
        return self.caller.receive(json.dumps({**envelope, "parameters": parameters or {}, **members}))

    def open(self, *media: dict[str, Any], **parameters: Any) -> Incoming:
        return self.say("opened", {"media": list(media or (PCMU,)), **parameters})

    def speak(self, ms: int) -> list[Any]:
        return [frame for _ in range(ms // 20) for frame in self.caller.user_audio(BLOCK)]


def in_call(**options: Any) -> Peer:
    peer = Peer(**options)
    peer.open()
    return peer


class TestTheExample:
    def test_the_caller_understands_the_agents_messages(self) -> None:
        peer = Peer()
        received = []
        for message in messages_from("agent", LINES):
            peer.speak(1_000) if message["type"] == "pong" else None
            if message["type"] == "closed":
                peer.caller.hang_up()
            received.append(peer.caller.receive(json.dumps({**message, "id": peer.opening["id"]})))
        assert all(incoming.known for incoming in received)
        found = [rule for incoming in received for rule in rules(incoming)]
        assert found == ["wrong-clientseq", "wrong-pong"]  # these depend on the numbers of other messages
        heard = [(event.type, event.text or event.reason) for each in received for event in each.events]
        assert heard == [
            (T.SESSION_ACCEPTED, "PCMU"),
            (T.AGENT_TEXT, "Good morning."),
            (T.CLEAR, "barge_in"),
            (T.HANG_UP, "completed (action=transfer)"),
        ]

    def test_the_agent_understands_the_callers_messages(self) -> None:
        agent = GenesysAgent(lambda: "x", lambda: "now")
        received = [agent.receive(json.dumps(message)) for message in messages_from("caller", LINES)]
        answered = [kind for incoming in received for kind in kinds(incoming)]
        assert answered == ["opened", "pong", "closed"]
        assert {rule for incoming in received for rule in rules(incoming)} == {"wrong-serverseq"}

    def test_the_caller_sends_the_open_of_the_example(self) -> None:
        options = {"organization": LINES[0]["message"]["parameters"]["organizationId"], "dnis": "+15550101"}
        expected = LINES[0]["message"]
        seen = Peer("PCMU", "L16", params={"tier": "gold"}, **options).opening
        assert seen["parameters"].pop("conversationId") != expected["parameters"].pop("conversationId")
        seen["parameters"]["participant"].pop("id")
        expected["parameters"]["participant"].pop("id")
        assert {**seen, "id": SESSION} == expected


class TestOpened:
    @pytest.mark.parametrize(
        ("media", "expected", "media_format"),
        [
            ([PCMU], [], Encoding.MULAW),
            ([{**PCMU, "format": "L16"}], [], Encoding.PCM16),
            ([PCMU, PCMU], ["more-than-one-medium"], Encoding.MULAW),
            ([{**PCMU, "channels": ["external", "internal"]}], ["medium-not-offered"], Encoding.MULAW),
            ([{**PCMU, "rate": 16_000}], ["medium-not-offered"], Encoding.MULAW),
            ([{**PCMU, "format": "OPUS"}], ["medium-not-offered"], Encoding.MULAW),
        ],
    )
    def test_selects_one_of_the_media_that_were_offered(
        self, media: list[dict[str, Any]], expected: list[str], media_format: Encoding
    ) -> None:
        peer = Peer("PCMU", "L16")
        incoming = peer.open(*media)
        assert rules(incoming) == expected
        assert types(incoming) == [T.SESSION_ACCEPTED]
        assert peer.caller.user_format == AudioFormat(media_format, 8_000)

    def test_without_a_medium_no_audio_flows(self) -> None:
        peer = Peer()
        incoming = peer.say("opened", {"media": []})
        assert (advice(incoming), peer.caller.user_stream_open) == (["no-medium"], False)
        assert rules(peer.open()) == ["repeated-opened"]

    def test_it_may_discard_audio_or_start_paused(self) -> None:
        peer = Peer()
        assert kinds(peer.open(startPaused=True, discardTo="PT1S")) == ["discarded", "paused"]
        assert (peer.caller.user_stream_open, peer.caller.user_audio(FRAME)) == (False, [])


class TestAudio:
    def test_leaves_in_frames_of_200_ms_that_advance_the_position(self) -> None:
        peer = in_call()
        assert peer.speak(180) == []
        (frame,) = peer.speak(20)
        assert (frame.frame, frame.audio_ms) == (FRAME, 200)
        (key,) = bodies(peer.caller.dtmf("5"))
        assert (key["type"], key["parameters"], key["position"]) == ("dtmf", {"digit": "5"}, "PT0.200S")
        assert (key["seq"], key["serverseq"]) == (2, 1)

    def test_none_before_opened_while_paused_or_after_close(self) -> None:
        peer = Peer()
        assert peer.speak(400) == []
        peer.open()
        peer.say("pause")
        assert peer.speak(400) == []
        peer.say("resume")
        assert len(peer.speak(400)) == 2
        peer.caller.hang_up()
        assert peer.speak(400) == []

    def test_what_is_played_is_reported_once_per_reply(self) -> None:
        peer = in_call()
        first = peer.caller.receive(FRAME)
        assert (types(first), kinds(first)) == (
            [T.PLAY_STREAM_START, T.PLAY_STREAM_CHUNK],
            ["playback_started"],
        )
        assert peer.caller.receive(FRAME).replies == ()
        finished = peer.caller.playback_finished("reply-1", heard_ms=400, received_ms=400)
        assert kinds(finished) == ["playback_completed"]
        assert peer.caller.playback_finished("reply-1", heard_ms=400, received_ms=400) == []
        assert peer.caller.receive(FRAME).events[0].stream_id == "reply-2"

    def test_before_opened_or_while_paused_it_is_a_finding(self) -> None:
        peer = Peer()
        assert rules(peer.caller.receive(FRAME)) == ["audio-before-opened"]
        peer.open()
        peer.say("pause")
        assert rules(peer.caller.receive(FRAME)) == ["audio-while-paused"]
        peer.say("resume")
        assert rules(peer.caller.receive(FRAME)) == []

    def test_too_many_messages_are_a_finding_each_and_one_error_a_second(self) -> None:
        peer = in_call()
        received = [peer.caller.receive(BLOCK) for _ in range(28)]
        assert [rules(incoming) for incoming in received[:25]] == [[]] * 25
        assert [rules(incoming) for incoming in received[25:]] == [["rate-exceeded"]] * 3
        errors = [message for incoming in received for message in bodies(incoming.replies)]
        assert [error["parameters"]["code"] for error in errors if error["type"] == "error"] == [429]
        assert sum(len(event.audio) for incoming in received for event in incoming.events) == 28 * 160
        peer.speak(200)
        assert rules(peer.caller.receive(BLOCK)) == []
        assert rules(peer.caller.receive(BLOCK)) == ["rate-exceeded"]

    def test_five_a_second_may_go_on_for_ever_and_limits_are_options(self) -> None:
        peer = in_call()
        for _ in range(100):
            pings = peer.speak(200)[1:]
            while pings:
                pings += peer.say("pong", clientseq=body(pings.pop())["seq"]).replies
            assert rules(peer.caller.receive(FRAME)) == []
        peer = in_call(burst="2", rate_limit="1")
        assert [rules(peer.caller.receive(BLOCK)) for _ in range(3)] == [[], [], ["rate-exceeded"]]


class TestTheEnvelope:
    def test_a_gap_in_seq_and_a_clientseq_never_sent(self) -> None:
        peer = in_call()
        gap = peer.say("updated", seq=4)
        assert rules(gap) == ["seq-gap"]
        assert gap.findings[0].text == "seq is 4; expected 2. Genesys Cloud ends a session if there is a gap."
        assert rules(peer.say("updated", seq=5)) == []
        assert rules(peer.say("updated", clientseq=9)) == ["wrong-clientseq"]


class TestPings:
    def test_one_after_a_second_one_at_once_and_then_every_five(self) -> None:
        peer = in_call()
        sent = [frame.kind for frame in peer.speak(1_000)]
        assert sent == ["audio"] * 5 + ["ping"]
        answer = peer.say("pong", clientseq=2)
        assert (rules(answer), kinds(answer)) == ([], ["ping"])
        assert peer.say("pong", clientseq=3).replies == ()
        assert [frame.kind for frame in peer.speak(4_800)].count("ping") == 0
        assert [frame.kind for frame in peer.speak(200)] == ["audio", "ping"]

    def test_an_unanswered_one_ends_the_session_when_the_next_is_due(self) -> None:
        peer = in_call()
        peer.speak(1_000)
        last = [frame for frame in peer.speak(5_000) if frame.kind != "audio"]
        assert [(body(frame)["type"], body(frame)["parameters"].get("code")) for frame in last] == [
            ("error", 408),
            ("close", None),
        ]
        assert body(last[1])["parameters"] == {"reason": "error"}

    def test_a_wrong_or_unasked_pong_is_a_finding_and_answered(self) -> None:
        peer = in_call()
        unasked = peer.say("pong")
        assert (rules(unasked), bodies(unasked.replies)[0]["parameters"]["code"]) == (["unasked-pong"], 409)
        peer.speak(1_000)
        wrong = peer.say("pong", clientseq=1)
        assert (rules(wrong), bodies(wrong.replies)[0]["parameters"]["code"]) == (["wrong-pong"], 400)


class TestTheCall:
    def test_pause_and_resume_report_what_was_discarded(self) -> None:
        peer = in_call()
        peer.speak(400)
        assert kinds(peer.say("pause")) == ["paused"]
        peer.clock.second = 3
        (resumed,) = bodies(peer.say("resume").replies)
        assert resumed["parameters"] == {"start": "PT0.400S", "discarded": "PT3.000S"}
        assert resumed["position"] == "PT3.400S"
        assert advice(peer.say("resume")) == ["resume-without-pause"]

    def test_barge_in_flushes(self) -> None:
        peer = in_call()
        peer.caller.receive(FRAME)
        incoming = peer.say("event", {"entities": [{"type": "barge_in", "data": {}}]})
        assert types(incoming) == [T.CLEAR, T.PLAY_STREAM_STOP]

    def test_disconnect_hangs_up_with_the_output_variables(self) -> None:
        parameters = {"reason": "completed", "outputVariables": {"action": "transfer"}}
        (event,) = in_call().say("disconnect", parameters).events
        assert (event.type, event.reason) == (T.HANG_UP, "completed (action=transfer)")
        (event,) = in_call().say("disconnect", {"reason": "unauthorized", "info": "no key"}).events
        assert (event.type, event.code, event.reason, event.fatal) == (
            T.AGENT_ERROR,
            "unauthorized",
            "no key",
            True,
        )

    def test_the_agent_has_to_answer_close(self) -> None:
        peer = in_call()
        assert peer.caller.goodbye_answered
        assert bodies(peer.caller.hang_up())[0]["parameters"] == {"reason": "end"}
        assert (peer.caller.goodbye_answered, peer.caller.missing_goodbye.rule) == (False, "not-closed")
        peer.say("closed")
        assert peer.caller.goodbye_answered
        assert peer.caller.hang_up() == []
        assert rules(in_call().say("closed")) == ["unasked-closed"]

    def test_a_probe_has_null_ids_and_starts_no_conversation(self) -> None:
        caller, agent = in_call().caller, GenesysAgent(lambda: "x", lambda: "now")
        (probe,) = caller.validate()
        parameters = body(probe)["parameters"]
        null = "00000000-0000-0000-0000-000000000000"
        assert (parameters["conversationId"], parameters["participant"]["id"]) == (null, null)
        incoming = agent.receive(probe.frame)
        assert (kinds(incoming), T.CALL_STARTED in types(incoming)) == (["opened"], False)


class TestTheAgent:
    def opened(self) -> GenesysAgent:
        agent = GenesysAgent(lambda: "x", lambda: "now")
        agent.receive(json.dumps(Peer().opening))
        return agent

    def test_audio_faster_than_real_time_is_sent_in_longer_messages(self) -> None:
        agent = self.opened()
        agent.say_start("a")
        sent = [frame for _ in range(1_000) for frame in agent.say_audio("a", BLOCK)] + agent.say_stop("a")
        assert sum(len(frame.frame) for frame in sent) == 160_000
        assert len(sent) == 20 + 2
        assert max(len(frame.frame) for frame in sent) == 64_000

    def test_without_a_known_medium_it_disconnects(self) -> None:
        opening = Peer().opening
        opening["parameters"]["media"] = [{**PCMU, "format": "OPUS"}]
        incoming = GenesysAgent(lambda: "x", lambda: "now").receive(json.dumps(opening))
        assert bodies(incoming.replies)[0]["parameters"]["reason"] == "error"


class TestTheRequest:
    def test_carries_the_ids_of_the_messages_and_the_key(self) -> None:
        peer = Peer()
        headers = peer.caller.request_headers("wss://bot.example/x", "key")
        assert headers["audiohook-session-id"] == peer.opening["id"]
        assert headers["audiohook-organization-id"] == peer.opening["parameters"]["organizationId"]
        assert not {"Signature", "x-api-key"} & headers.keys()
        assert GENESYS.headers("key:c2VjcmV0", "wss://bot.example/") == {"X-API-KEY": "key"}

    @pytest.mark.parametrize(
        ("options", "target"),
        [({}, "/x?a=1"), ({"signed_query": "on"}, "/x?a=1"), ({"signed_query": "off"}, "/x")],
    )
    def test_with_a_secret_it_is_signed_in_the_order_of_genesys_cloud(
        self, options: dict[str, Any], target: str
    ) -> None:
        caller = Peer(**options).caller
        headers = caller.request_headers("wss://me:pw@bot.example:8443/x?a=1", f"key:{SECRET}")
        names = (
            '"@request-target" "audiohook-session-id" "audiohook-organization-id" "audiohook-correlation-id"'
            ' "x-api-key" "@authority"'
        )
        parameters = (
            f"({names});created=1795996800;expires=1795996810"
            ';keyid="key";nonce="00000000000040008000000000000006";alg="hmac-sha256"'
        )
        assert headers["Signature-Input"] == f"sig1={parameters}"
        assert headers["Signature"] == signature_of(
            target, headers, "key", "bot.example:8443", parameters, b"TheSecretOfTheClient"
        )

    def test_a_secret_that_is_not_base64_is_a_sentence(self) -> None:
        with pytest.raises(ValueError, match="The client secret is not base64"):
            Peer().caller.request_headers("wss://bot.example/", "key:!!")


def signature_of(target: str, headers: Any, key: str, authority: str, parameters: str, secret: bytes) -> str:
    """Returns the signature that openssl computes from the lines of the specification."""
    import hmac

    lines = [
        f'"@request-target": {target}',
        f'"audiohook-session-id": {headers["audiohook-session-id"]}',
        f'"audiohook-organization-id": {headers["audiohook-organization-id"]}',
        f'"audiohook-correlation-id": {headers["audiohook-correlation-id"]}',
        f'"x-api-key": {key}',
        f'"@authority": {authority}',
        f'"@signature-params": {parameters}',
    ]
    return f"sig1=:{b64encode(hmac.digest(secret, chr(10).join(lines).encode(), 'sha256')).decode()}:"
