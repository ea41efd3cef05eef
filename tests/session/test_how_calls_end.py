"""Tests that an ending is judged by what was still due, and that the agent receives the true reason."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.session.scripted import (
    ACCEPTED,
    Call,
    InTurn,
    Peer,
    Script,
    accepts,
    active_call,
    call_to,
    closes,
    failed_call,
    listens,
)
from tests.session.test_other_protocols import OpenAI, Twilio
from tests.waiting import wait_for
from tests.websocket.pongs import ignore_pings
from tui.assets import caller_lines
from tui.exit_code import ExitCode
from tui.models import events as e
from tui.models.events import Direction, Status
from tui.models.sound.lines import line_of

HANG_UP = {"type": "activities", "activities": [{"type": "event", "name": "hangup"}]}
TRANSFER = {
    "type": "activities",
    "activities": [{"type": "event", "name": "transfer", "activityParams": {"transferTarget": "tel:1"}}],
}


def fatal(held: Call) -> e.ErrorRaised:
    error = held.session.state.fatal_error
    assert error is not None
    return error


async def openai_reply(peer: Peer, *, ends: bool) -> None:
    await OpenAI(peer).open()
    await OpenAI(peer).respond()
    await OpenAI(peer).say("AAAA" * 1600, ends=ends)


async def audiocodes_reply(peer: Peer, *, ends: bool) -> None:
    await peer.accept()
    await peer.play("r1", blocks=10, stop=ends)


async def twilio_reply(peer: Peer, *, ends: bool) -> None:
    twilio = Twilio(peer)
    await twilio.until("start")
    await twilio.media(10)


REPLIES = {"openai": openai_reply, "audiocodes": audiocodes_reply, "twilio": twilio_reply}


@pytest.mark.parametrize("code", [1000, 1001])
@pytest.mark.parametrize("protocol", ["openai", "audiocodes"])
async def test_a_close_in_the_middle_of_a_reply_is_broken_off(protocol: str, code: int) -> None:
    async def cut_off(peer: Peer) -> None:
        await REPLIES[protocol](peer, ends=False)
        await peer.socket.close(code, "at its maximum length")

    script = InTurn(cut_off, closes)
    held = await failed_call(script, protocol=protocol, resume_timeout_s=0.3)
    assert held.session.state.exit_code is ExitCode.PROTOCOL_ERROR
    if protocol == "openai" or code == 1000:
        assert fatal(held).code == "broken-off"
        assert fatal(held).message == (
            f"The agent cut off the call: the socket was closed with code {code} (at its maximum length),"
            " with an unfinished reply."
        )


@pytest.mark.parametrize("protocol", REPLIES)
async def test_a_close_after_a_reply_is_a_fine_end(protocol: str) -> None:
    async def script(peer: Peer) -> None:
        await REPLIES[protocol](peer, ends=True)
        await peer.socket.close(1000, "bye")

    async with call_to(script, protocol=protocol) as held:
        ended = await held.until_status(Status.ENDED)
    assert ended.reason == "the agent left: closed with code 1000 (bye)"
    assert held.session.state.exit_code is ExitCode.FINE


async def test_a_close_after_a_reply_that_was_cut_off_is_a_fine_end() -> None:
    async def script(peer: Peer) -> None:
        await audiocodes_reply(peer, ends=False)
        await peer.send({"type": "userStream.speech.started"})
        await peer.socket.close(1000)

    async with call_to(script) as held:
        ended = await held.until_status(Status.ENDED)
    assert ended.reason == "the agent left: closed with code 1000"


@pytest.mark.parametrize("protocol", ["twilio", "pcm"])
async def test_a_close_while_a_line_is_being_spoken_is_broken_off(protocol: str) -> None:
    async def script(peer: Peer) -> None:
        for _ in range(20):
            await peer.socket.recv()
        speaking.set()
        await leave.wait()
        await peer.socket.close(1000)

    speaking, leave = asyncio.Event(), asyncio.Event()
    line = caller_lines()[0]
    async with active_call(script, protocol=protocol) as held:
        await held.session.user.speak(line_of(line.path, line.text))
        await held.until(e.LineChanged)
        await speaking.wait()
        leave.set()
        await held.until_status(Status.ERROR)
    assert fatal(held).code == "broken-off"
    assert "being spoken" in fatal(held).message


async def left_with(messages: list[dict[str, Any]], *, lines_left: int, answer_due: str = "") -> Call:
    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.until("activities")
        await due.wait()
        await peer.send(*messages)
        if messages:
            await peer.until("session.end")
        await peer.socket.close(1000)

    due = asyncio.Event()
    async with active_call(script) as held:
        held.session.pending.lines_left = lines_left
        held.session.pending.answer_due = answer_due
        due.set()
        await held.until(e.StatusChanged, lambda event: event.new in (Status.ENDED, Status.ERROR))
    return held


@pytest.mark.parametrize(
    ("messages", "left"),
    [
        ([HANG_UP], "The agent hung up, with one line not spoken."),
        ([TRANSFER], "Transferred to tel:1, with one line not spoken."),
        ([], "The agent disconnected early: the socket was closed with code 1000, with one line not spoken."),
    ],
)
async def test_an_agent_that_leaves_before_the_script_is_done_has_left_early(
    messages: list[dict[str, Any]], left: str
) -> None:
    held = await left_with(messages, lines_left=1)
    assert (fatal(held).code, fatal(held).message) == ("left-early", left)
    assert held.session.state.exit_code is ExitCode.PROTOCOL_ERROR


async def test_an_agent_that_closes_where_an_answer_was_due_has_left_early() -> None:
    held = await left_with([], lines_left=0, answer_due="2-hours.wav")
    assert fatal(held).code == "left-early"
    assert fatal(held).message.endswith("with 2-hours.wav unanswered.")


@pytest.mark.parametrize("messages", [[HANG_UP], [TRANSFER]])
async def test_a_hang_up_in_place_of_the_last_answer_is_a_fine_end(messages: list[dict[str, Any]]) -> None:
    held = await left_with(messages, lines_left=0, answer_due="2-hours.wav")
    assert held.session.state.exit_code is ExitCode.FINE


async def goodbye(script: Script, *, hang_up: bool = False, **options: Any) -> dict[str, Any]:
    """Returns the ``session.end`` of a call with this agent."""
    kept = InTurn(script)
    async with call_to(kept, **options) as held:
        if hang_up:
            await held.until_status(Status.ACTIVE)
            held.session.hang_up()
        await held.until(e.StatusChanged, lambda event: event.new in (Status.ENDED, Status.ERROR))
    (end,) = [message for message in kept.peers[0].heard if message["type"] == "session.end"]
    return end


def sends(*messages: dict[str, Any]) -> Script:
    return accepts(lambda peer: peer.send(*messages))


@pytest.mark.parametrize(
    ("script", "options", "code"),
    [
        (sends(), {"hang_up": True}, "client-disconnected"),
        (sends(HANG_UP), {}, "bot-disconnected"),
        (sends(TRANSFER), {}, "transferred"),
        (Peer.stay, {"accept_timeout_s": 0.2}, "error"),
    ],
)
async def test_the_agent_is_given_the_true_reason_of_the_end(
    script: Script, options: dict[str, Any], code: str
) -> None:
    end = await goodbye(script, **options)
    assert end["reasonCode"] == code
    assert end["reason"]


async def test_the_stop_of_the_user_stream_is_acknowledged_before_the_session_ends() -> None:
    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.open_user_stream()
        await peer.until("userStream.stop")
        await asyncio.sleep(0.1)
        await peer.send({"type": "userStream.stopped"})
        await peer.until("session.end")
        await asyncio.sleep(0.05)
        await peer.socket.close(4000, "goodbye")
        closed.append(peer.socket.close_code)

    closed: list[int | None] = []
    async with active_call(script) as held:
        await held.session.user.record(True)
        await held.until_kind("userStream.chunk")
        held.session.hang_up()
        await held.until_status(Status.ENDED)
        await wait_for(lambda: closed)
    kinds = [m.kind for m in held.of(e.MessageLogged) if not m.audio_ms][-3:]
    assert kinds == ["userStream.stop", "userStream.stopped", "session.end"]
    assert closed == [4000], "the agent had the time to close first"


async def test_an_agent_that_acknowledges_nothing_is_not_waited_for_long() -> None:
    async with active_call(listens) as held:
        await held.session.user.record(True)
        await held.until_kind("userStream.chunk")
        began = asyncio.get_running_loop().time()
        held.session.hang_up()
        await held.until_status(Status.ENDED)
    assert asyncio.get_running_loop().time() - began < 3
    assert held.kinds(Direction.SENT)[-1] == "session.end"


async def test_twilio_is_not_waited_for_at_all() -> None:
    async def script(peer: Peer) -> None:
        await Twilio(peer).until("stop")
        await peer.stay()

    async with active_call(script, protocol="twilio") as held:
        began = asyncio.get_running_loop().time()
        held.session.hang_up()
        ending = await held.until_status(Status.ENDING)
        ended = await held.until_status(Status.ENDED)
    assert (ended.at_ns - ending.at_ns) / 1e9 < 0.3
    assert asyncio.get_running_loop().time() - began < 3


@pytest.mark.parametrize("code", [1001, 1012])
async def test_a_restart_in_front_of_the_agent_is_resumed(code: int) -> None:
    async def restart(peer: Peer) -> None:
        await peer.accept()
        await peer.socket.close(code, "service restart")

    async def resume(peer: Peer) -> None:
        await peer.until("session.resume")
        await peer.send({"type": "session.accepted"})
        await peer.play("after", blocks=5)
        await peer.stay()

    async with call_to(InTurn(restart, resume)) as held:
        resuming = await held.until_status(Status.RESUMING)
        await held.until(e.PlaybackEnded, lambda event: event.reply == "after")
    assert resuming.reason == f"the socket was closed with code {code} (service restart)"
    assert not held.of(e.ErrorRaised)


async def test_a_protocol_that_cannot_resume_does_not_try_to() -> None:
    async def restart(peer: Peer) -> None:
        await OpenAI(peer).open()
        await peer.socket.close(1012, "service restart")

    script = InTurn(restart)
    held = await failed_call(script, protocol="openai")
    assert len(script.peers) == 1
    assert fatal(held).code == "closed"


async def test_a_session_the_agent_ended_is_not_resumed() -> None:
    async def hang_up(peer: Peer) -> None:
        await peer.accept()
        await peer.send(HANG_UP)
        await peer.socket.close(1001)

    script = InTurn(hang_up)
    async with call_to(script) as held:
        await held.until_status(Status.ENDED)
    assert len(script.peers) == 1


async def test_a_refusal_to_resume_names_the_loss_as_well() -> None:
    async def vanish(peer: Peer) -> None:
        await peer.accept()
        peer.socket.transport.abort()

    async def refuse(peer: Peer) -> None:
        await peer.until("session.resume")
        await peer.send({"type": "session.error", "reason": "conversation not found"})
        await peer.stay()

    held = await failed_call(InTurn(vanish, refuse))
    assert fatal(held).message == (
        "The connection was lost, and the agent refused to resume the session: conversation not found"
    )


async def accepted_twilio(peer: Peer) -> None:
    await Twilio(peer).until("start")


async def accepted_audiocodes(peer: Peer) -> None:
    await peer.until("session.initiate")
    await peer.send(ACCEPTED)


@pytest.mark.parametrize(
    ("protocol", "accept"), [("twilio", accepted_twilio), ("audiocodes", accepted_audiocodes)]
)
async def test_missing_pongs_are_a_condition_and_the_call_goes_on(protocol: str, accept: Script) -> None:
    async def script(peer: Peer) -> None:
        answers = ignore_pings(peer.socket)
        await accept(peer)
        while not answering.is_set():
            await peer.send({"type": "x", "event": "x"})
            await asyncio.sleep(0.02)
        answers.set()
        await peer.stay()

    answering = asyncio.Event()
    options: dict[str, Any] = {"protocol": protocol, "ping_s": 0.05, "silence_timeout_s": 0.2}
    async with call_to(script, **options) as held:
        missing = await held.until(e.ConditionChanged)
        assert (missing.condition, missing.active) == (e.Condition.NO_PONGS, True)
        await asyncio.sleep(0.4)  # longer than the limit after which silence counts as a loss
        assert held.session.state.status is Status.ACTIVE
        answering.set()
        await held.until(e.ConditionChanged, lambda condition: not condition.active)
    assert not held.of(e.ErrorRaised)


async def test_a_connection_given_up_is_reported_as_ours() -> None:
    async def script(peer: Peer) -> None:
        ignore_pings(peer.socket)
        await accepted_twilio(peer)
        await peer.stay()

    options: dict[str, Any] = {"protocol": "twilio", "ping_s": 0.05, "silence_timeout_s": 0.2}
    held = await failed_call(script, **options)
    assert fatal(held).message == (
        "The connection was closed by opusagent-tui, because no message and no pong arrived for 0.2 s."
    )


async def greets(peer: Peer) -> None:
    await peer.until("session.initiate")
    await peer.play("greeting", blocks=5)
    await peer.stay()


async def speaks_something_else(peer: Peer) -> None:
    await peer.send({"type": "something", "event": "else"})
    await peer.stay()


@pytest.mark.parametrize(
    ("script", "hinted", "not_hinted"),
    [(greets, "--accept-timeout", "--protocol"), (speaks_something_else, "--protocol", "--accept-timeout")],
)
async def test_an_agent_that_does_not_accept_is_given_more_time_or_doubted(
    script: Script, hinted: str, not_hinted: str
) -> None:
    held = await failed_call(script, accept_timeout_s=0.3)
    assert hinted in fatal(held).hint
    assert not_hinted not in fatal(held).hint
