"""Tests the session with protocols that stream continuously, end replies by silence, or call functions."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.protocols import mine
from tests.session.scripted import Peer, active_call, agent, call, call_to
from tests.waiting import wait_for
from tui import call as headless
from tui.assets import caller_lines
from tui.exit_code import ExitCode
from tui.handlers.tools.file import Tool, load_tools
from tui.models import events as e
from tui.models.audio_manager import AudioManager
from tui.models.events import Direction, Status
from tui.models.target import Target
from tui.session.live import LiveSession

MULAW_20_MS = base64.b64encode(b"\xff" * 160).decode()


class Twilio:
    """The agent's side of a Twilio stream."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.sid = ""

    async def until(self, event: str) -> dict[str, Any]:
        message = await self.peer.until(event, "event")
        self.sid = message.get("streamSid", "")
        return message

    async def media(self, count: int) -> None:
        for _ in range(count):
            await self.peer.send({"event": "media", "streamSid": self.sid, "media": {"payload": MULAW_20_MS}})

    async def mark(self, name: str) -> None:
        await self.peer.send({"event": "mark", "streamSid": self.sid, "mark": {"name": name}})


async def test_settings_in_the_url_reach_the_protocol_and_are_not_saved() -> None:
    started: list[dict[str, Any]] = []

    async def script(peer: Peer) -> None:
        started.append((await peer.until("start", "event"))["start"])
        await peer.socket.close()

    async with (
        agent(script) as url,
        call(f"{url}?sample-rate=16000&tier=golden-key", protocol="exotel") as held,
    ):
        await held.until(e.StatusChanged, lambda event: event.new in (Status.ENDED, Status.ERROR))
    assert started[0]["custom_parameters"] == {"sample-rate": "16000", "tier": "golden-key"}
    assert started[0]["media_format"]["sample_rate"] == "16000"
    assert b'"tier"' in held.raw
    assert b"golden-key" not in held.raw


async def test_a_twilio_stream_is_accepted_at_once_and_never_silent() -> None:
    counted: list[int] = []

    async def script(peer: Peer) -> None:
        twilio = Twilio(peer)
        await twilio.until("start")
        for _ in range(10):
            await twilio.until("media")
        counted.extend(int(m["media"]["timestamp"]) for m in peer.heard if m["event"] == "media")
        await twilio.until("stop")

    async with active_call(script, protocol="twilio") as held:
        await wait_for(lambda: len(counted) >= 10)
    assert counted == list(range(0, 200, 20))
    assert held.of(e.StatusChanged)[-1].new is Status.ENDED


async def test_twilio_marks_come_back_when_the_audio_before_them_was_heard_and_clear_at_once() -> None:
    echoed: list[tuple[str, float]] = []

    async def script(peer: Peer) -> None:
        loop = asyncio.get_running_loop()
        twilio = Twilio(peer)
        await twilio.until("start")
        began_s = loop.time()
        await twilio.media(25)
        await twilio.mark("half a second")
        await twilio.until("mark")
        echoed.append(("half a second", loop.time() - began_s))
        await twilio.media(500)
        await twilio.mark("ten seconds")
        await peer.send({"event": "clear", "streamSid": twilio.sid})
        echoed.append(((await twilio.until("mark"))["mark"]["name"], loop.time() - began_s))
        await twilio.until("stop")

    async with call_to(script, protocol="twilio") as held:
        await held.until(e.Flushed)
        await wait_for(lambda: len(echoed) >= 2)
    assert [name for name, _ in echoed] == ["half a second", "ten seconds"]
    assert 0.5 <= echoed[0][1] < 2
    assert echoed[1][1] - echoed[0][1] < 1


async def test_a_reply_without_an_end_is_over_when_playback_runs_dry() -> None:
    async def script(peer: Peer) -> None:
        twilio = Twilio(peer)
        await twilio.until("start")
        await twilio.media(10)
        await twilio.until("stop")

    async with call_to(script, protocol="twilio") as held:
        ended = await held.until(e.PlaybackEnded)
        complete = await held.until(e.ReplyEnded)
    assert (ended.heard_ms, complete.received_ms) == (200, 200)
    assert not held.of(e.LossCounted)


async def test_an_agent_that_need_not_end_its_replies_leaves_none_unfinished() -> None:
    async def script(peer: Peer) -> None:
        twilio = Twilio(peer)
        await twilio.until("start")
        await twilio.media(10)
        await peer.socket.close(1000)

    async with call_to(script, protocol="twilio") as held:
        await held.until_status(Status.ENDED)
    ended = held.of(e.StatusChanged)[-1]
    assert ended.reason.startswith("the agent left: closed with code 1000")


async def test_plain_pcm_is_heard() -> None:
    async def script(peer: Peer) -> None:
        await peer.send(bytes(3_200))
        await peer.stay()

    async with call_to(script, protocol="pcm") as held:
        assert (await held.until(e.PlaybackEnded)).heard_ms == 100


SESSION = {
    "type": "realtime",
    "audio": {
        "input": {"format": {"type": "audio/pcm", "rate": 24000}, "turn_detection": {"type": "server_vad"}},
        "output": {"format": {"type": "audio/pcm", "rate": 24000}},
    },
}
CALL = {
    "type": "function_call",
    "id": "i1",
    "call_id": "c1",
    "name": "opening_hours",
    "arguments": '{"day":"Sunday"}',
}
RESPONSE = {"id": "r1", "object": "realtime.response", "status": "in_progress", "output": []}
PLACE = {"response_id": "r1", "item_id": "i1", "output_index": 0, "content_index": 0}
MANUAL_INPUT = {"format": {"type": "audio/pcm", "rate": 24000}, "turn_detection": None}
TOOLS = '''
def opening_hours(day: str) -> dict:
    """When the shop is open."""
    return {"open": day != "Sunday"}
'''
SLOW_TOOLS = """
import asyncio

async def opening_hours(day: str) -> dict:
    await asyncio.sleep(0.3)
    return {"open": True}
"""


class OpenAI:
    """The server's side of a Realtime session."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer

    async def open(self, session: dict[str, Any] = SESSION) -> dict[str, Any]:
        await self.peer.send({"type": "session.created", "event_id": "e0", "session": session})
        update = await self.peer.until("session.update")
        await self.peer.send({"type": "session.updated", "event_id": "e1", "session": session})
        return update

    async def respond(self) -> None:
        """Begins the response r1."""
        await self.peer.send({"type": "response.created", "event_id": "e2", "response": RESPONSE})

    async def say(self, delta: str, *, ends: bool = True) -> None:
        """Sends audio of the response, and its end."""
        await self.peer.send({"type": "response.output_audio.delta", "delta": delta, **PLACE})
        if ends:
            completed = {**RESPONSE, "status": "completed"}
            await self.peer.send(
                {"type": "response.output_audio.done", **PLACE},
                {"type": "response.done", "response": completed},
            )

    async def call_tool(self) -> None:
        """Calls the tool in a response."""
        await self.respond()
        place = {"response_id": "r1", "output_index": 0}
        await self.peer.send({"type": "response.output_item.done", "event_id": "e3", **place, "item": CALL})

    async def audio(self) -> bytes:
        """Returns the next audio of the user."""
        return base64.b64decode((await self.peer.until("input_audio_buffer.append"))["audio"])


def tools_of(code: str, folder: Path) -> list[Tool]:
    """Returns the tools of a user's file."""
    file = folder / "tools.py"
    file.write_text(code)
    return load_tools(file)


async def line_spoken(audio: Callable[[], Awaitable[str | bytes]]) -> None:
    """Waits for speech and the silence after it in the user's audio, which ``audio`` returns piece by piece."""
    spoken, silent_blocks = False, 0
    while not spoken or silent_blocks < 25:
        is_silent = not any(await audio())
        silent_blocks = silent_blocks + 1 if is_silent else 0
        spoken = spoken or not is_silent


async def call_without_an_answer(
    script: Callable[[Peer], Awaitable[None]], protocol: str, limit_s: float
) -> str:
    """Returns the final sentence of a headless call with one unanswered line."""
    explained: list[str] = []
    async with agent(script) as url:
        target = Target(url=url, protocol=protocol, greeting_timeout_s=0.1)
        line = next(line for line in caller_lines() if line.name == "yes")
        async with asyncio.timeout(10):
            code = await headless.call(
                target, headless.Script([line.path], limit_s), show=lambda _: None, explain=explained.append
            )
    assert code is ExitCode.NOT_ANSWERED
    return " ".join(explained)


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        ("failed", "; an error was reported: rate_limit_exceeded: Too many."),
        (
            "incomplete",
            "; an error was reported: response_incomplete: The response is incomplete: max_output_tokens.",
        ),
        ("in_progress", " within 0.3 s."),
    ],
)
async def test_a_failed_response_ends_a_headless_call_at_once_with_its_code(
    outcome: str, reason: str
) -> None:
    error = {"type": "server_error", "code": "rate_limit_exceeded", "message": "Too many."}
    details = {"type": outcome, "error": error} if outcome == "failed" else {"reason": "max_output_tokens"}
    done = {**RESPONSE, "status": outcome, "status_details": details}

    async def script(peer: Peer) -> None:
        await OpenAI(peer).open()
        await line_spoken(OpenAI(peer).audio)
        await OpenAI(peer).respond()
        if outcome != "in_progress":
            await peer.send({"type": "response.done", "event_id": "e3", "response": done})
        await peer.stay()

    explained = await call_without_an_answer(script, "openai", 0.3 if outcome == "in_progress" else 20.0)
    assert explained == f"The agent did not answer 4-yes.wav{reason}"


async def test_an_error_of_a_pcm_agent_ends_a_headless_call_at_once() -> None:
    async def script(peer: Peer) -> None:
        await line_spoken(peer.socket.recv)
        await peer.send({"type": "error", "message": "The model is overloaded."})
        await peer.stay()

    explained = await call_without_an_answer(script, "pcm", 20.0)
    assert explained == (
        "The agent did not answer 4-yes.wav; an error was reported: The model is overloaded."
    )


async def test_the_agent_calls_a_tool_of_the_users_file(tmp_path: Path) -> None:
    answers: list[dict[str, Any]] = []
    offered: list[Any] = []

    async def script(peer: Peer) -> None:
        openai = OpenAI(peer)
        offered.extend((await openai.open())["session"]["tools"])
        await openai.call_tool()
        completed = {**RESPONSE, "status": "completed", "output": [CALL]}
        await peer.send({"type": "response.done", "event_id": "e4", "response": completed})
        answers.append(await peer.until("conversation.item.create"))
        answers.append(await peer.until("response.create"))
        await peer.stay()

    async with call_to(script, protocol="openai", offered=tools_of(TOOLS, tmp_path)) as held:
        done = await held.until(e.ToolChanged, lambda tool: tool.finished)
        await held.until_kind("response.create")
    assert offered[0]["name"] == "opening_hours"
    assert (done.name, done.error) == ("opening_hours", "")
    assert answers[0]["item"]["call_id"] == "c1"
    assert json.loads(answers[0]["item"]["output"]) == {"open": False}


@pytest.mark.parametrize(("options", "error"), [({}, ""), ({"tool_timeout_s": 0.05}, "within 0.05 s")])
async def test_the_time_limit_of_tools_is_a_setting(
    tmp_path: Path, options: dict[str, Any], error: str
) -> None:
    async def script(peer: Peer) -> None:
        await OpenAI(peer).open()
        await OpenAI(peer).call_tool()
        await peer.stay()

    tools = tools_of(SLOW_TOOLS, tmp_path)
    async with call_to(script, protocol="openai", offered=tools, **options) as held:
        done = await held.until(e.ToolChanged, lambda tool: tool.finished)
    assert bool(error) == bool(done.error)
    assert error in done.error


async def test_a_tool_that_was_not_offered_is_answered_and_reported_with_a_hint() -> None:
    answers: list[dict[str, Any]] = []

    async def script(peer: Peer) -> None:
        await OpenAI(peer).open()
        await OpenAI(peer).call_tool()
        answers.append(await peer.until("conversation.item.create"))
        await peer.stay()

    async with call_to(script, protocol="openai") as held:
        error = await held.until(e.ErrorRaised)
        await wait_for(lambda: bool(answers))
    assert error.message == (
        "The agent called the tool opening_hours, which was not offered. The agent received an error in reply."
    )
    assert "--tools FILE.py" in error.hint
    assert (error.source, error.fatal) == ("agent", False)
    assert not held.of(e.LossCounted)
    assert "error" in json.loads(answers[0]["item"]["output"])


async def test_audio_that_arrives_after_its_reply_was_cut_belongs_to_that_reply() -> None:
    second = base64.b64encode(bytes(48_000)).decode()

    async def script(peer: Peer) -> None:
        await OpenAI(peer).open()
        await OpenAI(peer).respond()
        await OpenAI(peer).say(second, ends=False)
        await asyncio.sleep(0.3)
        started = {"type": "input_audio_buffer.speech_started", "audio_start_ms": 0, "item_id": "u1"}
        await peer.send({**started, "event_id": "e3"})
        for _ in range(2):
            await OpenAI(peer).say(second, ends=False)
        await peer.stay()

    async with call_to(script, protocol="openai") as held:
        ended = await held.until(e.PlaybackEnded)
        await wait_for(lambda: sum(loss.reply == "i1" for loss in held.of(e.LossCounted)) == 2)
    assert ended.heard_ms + ended.unheard_ms == 1_000
    assert sum(loss.count for loss in held.of(e.LossCounted) if loss.reply) == 2_000


async def test_without_turn_detection_stop_commits_and_asks() -> None:
    manual = {"type": "realtime", "audio": {"input": MANUAL_INPUT}}

    async def script(peer: Peer) -> None:
        await OpenAI(peer).open(manual)
        await peer.until("response.create")
        kinds.extend(message["type"] for message in peer.heard)
        await peer.stay()

    kinds: list[str] = []
    async with active_call(script, protocol="openai", options={"turn_detection": "off"}) as held:
        await held.session.user.record(True)
        await held.until(e.MessageLogged, lambda m: m.audio_ms > 0 and len(held.kinds(Direction.SENT)) > 15)
        await held.session.user.record(False)
        await held.until_kind("response.create")
    assert kinds[-2:] == ["input_audio_buffer.commit", "response.create"]


async def test_a_typed_turn_and_new_instructions_are_sent() -> None:
    async def script(peer: Peer) -> None:
        await OpenAI(peer).open()
        await peer.stay()

    async with active_call(script, protocol="openai") as held:
        await held.session.user.send_text("What time is it?")
        held.session.user.send_instructions("Answer in rhyme.")
        typed = await held.until(e.Transcribed)
        await held.until_kind("response.create")
        await wait_for(lambda: held.kinds(Direction.SENT).count("session.update") == 2)
    assert (typed.text, typed.typed) == ("What time is it?", True)
    sent = [m for m in held.of(e.MessageLogged) if m.kind == "session.update"]
    assert held.message(sent[1])["session"]["instructions"] == "Answer in rhyme."


@pytest.mark.parametrize("offered", [True, False])
async def test_a_client_tool_of_elevenlabs_gets_its_result_or_an_error(tmp_path: Path, offered: bool) -> None:
    results: list[dict[str, Any]] = []

    async def script(peer: Peer) -> None:
        await peer.until("conversation_initiation_client_data")
        media = {"user_input_audio_format": "pcm_16000", "agent_output_audio_format": "pcm_16000"}
        event = {"conversation_id": "c", **media}
        kind = "conversation_initiation_metadata"
        await peer.send({"type": kind, f"{kind}_event": event})
        call_ = {"tool_name": "lookup", "tool_call_id": "t1", "parameters": {"x": 1}}
        await peer.send({"type": "client_tool_call", "client_tool_call": call_})
        async for frame in peer.socket:
            message = json.loads(frame)
            if message.get("type") == "client_tool_result":
                results.append(message)

    code = "def lookup(x: int) -> dict[str, int]:\n    return {'found': x}\n"
    tools = tools_of(code, tmp_path) if offered else []
    async with call_to(script, protocol="elevenlabs", offered=tools) as held:
        ended = await held.until(e.ToolChanged, lambda event: event.finished)
        await wait_for(lambda: bool(results))
    (result,) = results
    assert (result["tool_call_id"], result["is_error"]) == ("t1", not offered)
    assert ("found" in result["result"], bool(ended.error)) == (offered, not offered)
    assert [error.code for error in held.of(e.ErrorRaised)] == ([] if offered else ["unknown-tool"])


async def test_audiocodes_reports_that_it_has_no_tools(tmp_path: Path) -> None:
    tools = tools_of("def f() -> int:\n    return 1\n", tmp_path)
    with pytest.raises(ValueError, match="tools"):
        LiveSession(Target(url="ws://127.0.0.1:1/"), AudioManager(), tools=tools, sink=lambda _: None)


async def test_a_protocol_file_brings_its_log_rules_into_the_session() -> None:
    async def script(peer: Peer) -> None:
        await peer.until("hello")
        await peer.send({"type": "ready"})
        await peer.stay()

    async with call_to(script, protocol=mine.__file__) as held:
        await held.until_status(Status.ACTIVE)
    assert held.of(e.SessionStarted)[0].log_rules == mine.MINE.log
    assert held.of(e.FindingRaised) == []


@pytest.mark.parametrize(("order", "carried"), [("big", False), ("little", True)])
async def test_only_the_log_rules_of_a_built_in_protocol_that_an_option_changes_are_in_the_session(
    order: str, carried: bool
) -> None:
    async with call_to(Peer.stay, protocol="telnyx", options={"byte_order": order}) as held:
        await held.until_status(Status.ACTIVE)
    rules = held.of(e.SessionStarted)[0].log_rules
    assert (rules is not None) == carried
    assert rules is None or not rules.big_endian


async def test_gemini_is_offered_tools_and_may_cancel_a_call(tmp_path: Path) -> None:
    code = "import asyncio\n\nasync def lookup(x: int) -> int:\n    await asyncio.sleep(60)\n    return x\n"
    heard: list[dict[str, Any]] = []

    async def script(peer: Peer) -> None:
        heard.append(json.loads(await peer.socket.recv()))
        await peer.send({"setupComplete": {}})
        calls = [{"id": "c1", "name": "lookup", "args": {"x": 1}}]
        await peer.send(
            {"toolCall": {"functionCalls": calls}}, {"toolCallCancellation": {"ids": ["other", "c1"]}}
        )
        await peer.send({"toolCall": {"functionCalls": [{"id": "c2", "name": "nothing", "args": {}}]}})
        async for frame in peer.socket:
            message = json.loads(frame)
            if "toolResponse" in message:
                heard.append(message)

    async with call_to(script, protocol="gemini", offered=tools_of(code, tmp_path)) as held:
        cancelled = await held.until(e.ToolChanged, lambda event: event.finished and event.call == "c1")
        await wait_for(lambda: len(heard) > 1)
    assert cancelled.error == "cancelled: the agent no longer wants the result"
    (declared,) = heard[0]["setup"]["tools"][0]["functionDeclarations"]
    assert declared["name"] == "lookup"
    assert declared["parametersJsonSchema"]["required"] == ["x"]
    assert [each["toolResponse"]["functionResponses"][0]["id"] for each in heard[1:]] == ["c2"]


async def test_gemini_is_resumed_with_its_handle_when_the_socket_drops() -> None:
    setups: list[dict[str, Any]] = []

    async def script(peer: Peer) -> None:
        setups.append(json.loads(await peer.socket.recv())["setup"])
        await peer.send(
            {"setupComplete": {}}, {"sessionResumptionUpdate": {"newHandle": "h1", "resumable": True}}
        )
        if len(setups) == 1:
            await peer.send({"goAway": {"timeLeft": "0s"}})
            await peer.socket.close(1001)
        else:
            await peer.stay()

    async with call_to(script, protocol="gemini") as held:
        await held.until(e.StatusChanged, lambda event: event.new is Status.RESUMING)
        await held.until(e.StatusChanged, lambda event: event.old is Status.RESUMING)
        assert held.session.state.status is Status.ACTIVE
    assert [setup["sessionResumption"] for setup in setups] == [{}, {"handle": "h1"}]
    assert [finding.rule for finding in held.of(e.FindingRaised)] == ["go-away"]


async def test_the_latencies_that_an_agent_of_deepgram_reports_are_beside_ours() -> None:
    async def script(peer: Peer) -> None:
        await peer.until("Settings")
        await peer.send(
            {"type": "SettingsApplied"}, {"type": "LatencyReport", "stt_latency": 0.1, "total_latency": 0.6}
        )
        await peer.stay()

    async with call_to(script, protocol="deepgram") as held:
        await held.until(e.LatencyReported, lambda event: event.name == "total")
    assert [(each.name, each.reported_ms) for each in held.of(e.LatencyReported)] == [
        ("stt", 100),
        ("total", 600),
    ]


@pytest.mark.parametrize(("answers", "expected"), [(True, []), (False, ["not-closed"])])
async def test_genesys_expects_an_answer_to_its_close(
    monkeypatch: pytest.MonkeyPatch, answers: bool, expected: list[str]
) -> None:
    monkeypatch.setattr("tui.session.link._GOODBYE_LIMIT_S", 0.2 if not answers else 10.0)

    async def script(peer: Peer) -> None:
        opening = await peer.until("open")
        media = [opening["parameters"]["media"][0]]
        envelope = {"version": "2", "id": opening["id"], "clientseq": 1}
        await peer.send({**envelope, "type": "opened", "seq": 1, "parameters": {"media": media}})
        async for frame in peer.socket:
            if isinstance(frame, str) and json.loads(frame)["type"] == "close" and answers:
                await peer.send({**envelope, "type": "closed", "seq": 2, "parameters": {}})

    async with active_call(script, protocol="genesys") as held:
        held.session.hang_up()
        await held.until(e.StatusChanged, lambda event: event.new is Status.ENDED)
    assert [finding.rule for finding in held.of(e.FindingRaised)] == expected


async def test_asterisk_holds_and_continues_and_its_clock_runs_while_it_sends_nothing() -> None:
    between: list[bytes] = []
    paused, asked = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        async def until(event: str) -> list[bytes]:
            audio: list[bytes] = []
            async for frame in peer.socket:
                if isinstance(frame, str) and json.loads(frame)["event"] == event:
                    break
                audio += [frame] if isinstance(frame, bytes) else []
            return audio

        await until("MEDIA_START")
        await peer.send({"command": "SET_MEDIA_DIRECTION", "direction": "out"}, {"command": "GET_STATUS"})
        await until("STATUS")
        await peer.send(bytes([0x55]) * 480, {"command": "REPORT_QUEUE_DRAINED"})
        between.extend(await until("QUEUE_DRAINED"))
        await peer.send({"command": "PAUSE_MEDIA"}, bytes([0x55]) * 480, {"command": "GET_STATUS"})
        await until("STATUS")
        paused.set()
        await asked.wait()
        await peer.send({"command": "MARK_MEDIA", "correlation_id": "m"}, {"command": "CONTINUE_MEDIA"})
        await until("MEDIA_MARK_PROCESSED")
        await peer.socket.close()

    async with call_to(script, protocol="asterisk") as held:
        await paused.wait()
        queue = held.audio.playback.queue
        assert queue
        states = [queue.controls.held]
        asked.set()
        await held.until(e.StatusChanged, lambda event: event.new is Status.ENDED)
        states.append(queue.controls.held)
    assert states == [True, False]
    assert between == []
    assert held.of(e.FindingRaised) == []


LIVE_SESSION = {"id": "live_1", "expires_at": 1, "model": "gpt-live-1.1", "status": "active"}


@pytest.mark.parametrize(("answers", "findings"), [(True, []), (False, ["no-session-closed"])])
async def test_a_live_session_is_over_with_the_last_message_before_the_socket_closes(
    answers: bool, findings: list[str]
) -> None:
    async def script(peer: Peer) -> None:
        await peer.until("session.start")
        await peer.send({"type": "session.started", "event_id": "1", "session": LIVE_SESSION})
        await peer.until("session.close")
        closed = {"reason": "close_requested", "usage": {"seconds": 1}, "session": LIVE_SESSION}
        if answers:
            await peer.send({"type": "session.closed", "event_id": "2", **closed})
        await peer.socket.close()

    async with active_call(script, protocol="openai-live") as held:
        held.session.hang_up()
        await held.until_status(Status.ENDED)
    assert [event.rule for event in held.events if isinstance(event, e.FindingRaised)] == findings
