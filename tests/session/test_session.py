from __future__ import annotations

import asyncio
import base64
import socket
import time

import pytest

from tests.session.scripted import (
    ACCEPTED,
    BLOCK,
    Call,
    InTurn,
    Peer,
    accepts,
    active_call,
    call,
    call_to,
    failed_call,
    listens,
    stays,
)
from tests.waiting import wait_for
from tui.audio.silero import Scoring
from tui.audio.speech import TrackEdge
from tui.exit_code import ExitCode
from tui.models import events as e
from tui.models.events import Direction, Status
from tui.models.sound.lines import line_of
from tui.models.telemetry import Telemetry


async def test_a_call_from_connect_to_hang_up() -> None:
    script = InTurn(stays)
    async with active_call(script) as held:
        held.session.hang_up()
        await held.until_status(Status.ENDED)
    assert held.statuses() == [
        Status.CONNECTING,
        Status.INITIATING,
        Status.ACTIVE,
        Status.ENDING,
        Status.ENDED,
    ]
    assert [message["type"] for message in script.peers[0].heard] == [
        "session.initiate",
        "activities",
        "session.end",
    ]
    assert isinstance(held.events[0], e.SessionStarted)
    assert [event.number for event in held.events] == list(range(1, len(held.events) + 1))


async def test_a_stop_of_the_program_is_reported_even_during_its_own_watching() -> None:
    async with active_call(stays) as held:

        def stops(_: Telemetry) -> None:
            held.measured = lambda _: None
            time.sleep(0.2)

        held.measured = stops
        late = await held.until(e.LatenessSeen, lambda late: late.late_ms > 150)
    assert late.what == "the event loop"


async def test_levels_arrive_while_audio_is_captured_and_after_capture_has_stopped() -> None:
    levels: list[Telemetry] = []
    async with active_call(listens) as held:
        held.measured = levels.append
        for recording in (True, False):
            await held.session.user.record(recording)
            assert held.session.state.controls.recording == recording
            levels.clear()
            await wait_for(lambda: len(levels) >= 3)


async def test_a_reply_ends_a_long_pause_between_two_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, heard = asyncio.Event(), asyncio.Event()

    async def replies(peer: Peer) -> None:
        await begun.wait()
        await peer.send({"type": "playStream.start", "streamId": "1", "mediaFormat": "raw/lpcm16"})
        await heard.wait()  # an agent may announce a reply before it has any audio
        for _ in range(5):
            await peer.send({"type": "playStream.chunk", "streamId": "1", "audioChunk": BLOCK})
        await peer.send({"type": "playStream.stop", "streamId": "1"})

    levels: list[Telemetry] = []
    async with active_call(accepts(replies)) as held:
        monkeypatch.setattr("tui.session.watch._QUIET_INTERVAL_NS", 3_600_000_000_000)
        held.measured = levels.append
        await wait_for(lambda: levels)
        await asyncio.sleep(0.2)
        assert len(levels) == 1, "nothing can be heard, so nothing is polled"
        begun.set()
        await held.until(e.ReplyStarted)
        await asyncio.sleep(0.05)
        heard.set()
        await held.until(e.PlaybackEnded)
        await wait_for(lambda: len(levels) >= 3)


async def test_raw_messages_are_kept_verbatim_and_events_point_to_them() -> None:
    odd = '{"type":"session.accepted",   "mediaFormat":"raw/lpcm16", "é":"\\u00e9"}'

    async def script(peer: Peer) -> None:
        await peer.until("session.initiate")
        await peer.send(odd)
        await peer.stay()

    async with call_to(script) as held:
        await held.until_status(Status.ACTIVE)
    logged = await held.until(e.MessageLogged, lambda m: m.direction is Direction.RECEIVED)
    raw = bytes(held.raw[logged.offset : logged.offset + logged.size_bytes])
    assert raw.decode() == odd


async def test_a_reply_is_received_heard_and_acknowledged() -> None:
    async with call_to(accepts(lambda peer: peer.play("r1", blocks=10))) as held:
        ended = await held.until(e.PlaybackEnded)
        finished = await held.until(e.MessageLogged, lambda m: m.summary == "playFinished")
    received = await held.until(e.ReplyEnded)
    assert received.received_ms == 200
    assert (ended.heard_ms, ended.unheard_ms) == (200, 0)
    assert finished.number > ended.number
    began = await held.until(e.PlaybackStarted)
    assert ended.at_ns - began.at_ns >= 199_000_000


async def test_recording_opens_the_user_stream_and_sends_blocks_of_20_ms() -> None:
    async with active_call(listens) as held:
        await held.session.user.record(True)
        chunk = await held.until_kind("userStream.chunk")
        await held.session.user.record(False)
        # Silence is still sent after stop, so that the agent hears the end of the turn.
        stopped = held.events[-1].number
        await held.until_kind("userStream.chunk", after=stopped + 2)
    assert chunk.audio_ms == 20
    raw = held.message(chunk)
    assert len(raw["audioChunk"]) == len(BLOCK)
    assert [event.recording for event in held.of(e.RecordingChanged)][:2] == [True, False]
    (sending,) = held.of(e.SendingMeasured)
    assert 0 < sending.blocks <= len([m for m in held.of(e.MessageLogged) if m.kind == "userStream.chunk"])


async def test_a_word_spoken_into_the_agents_waits_for_the_user_stream_to_open() -> None:
    async def speaks(peer: Peer) -> None:
        await peer.play("r1", blocks=100)
        await peer.until("userStream.start")
        await opening.wait()
        await peer.send({"type": "userStream.started"})

    def keep(block: bytes) -> bytes:
        spoken.append(block)
        if len(spoken) == 5:
            opening.set()
        return block

    opening = asyncio.Event()
    spoken: list[bytes] = []
    async with call_to(accepts(speaks)) as held:
        await held.until(e.PlaybackStarted)
        held.audio.capture.chain.add_callback(keep)
        await held.session.user.record(True)
        chunk = await held.until_kind("userStream.chunk")
        assert base64.b64decode(held.message(chunk)["audioChunk"]) == spoken[0]
    assert not [loss for loss in held.of(e.LossCounted) if loss.loss is e.Loss.WITHHELD]


async def test_a_block_is_sent_before_speech_is_looked_for_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Watching:
        rate = 16_000

        def feeding(self, pcm: bytes, end_ns: int) -> Scoring[list[TrackEdge]]:
            sent.append(held.session._user_audio.pace.of(end_ns).sent_ns is not None)
            yield from ()
            return []

        def finds_nothing_in(self, frames: int) -> bool:
            return False

        def finish(self, end_ns: int) -> list[TrackEdge]:
            return []

    monkeypatch.setattr("tui.models.audio_manager.make_detector", lambda rate: Watching())
    sent: list[bool] = []
    async with active_call(listens) as held:
        await held.session.user.record(True)
        await held.until_kind("userStream.chunk")
        del sent[:]
        await held.until(e.MessageLogged, lambda m: m.kind == "userStream.chunk" and len(sent) >= 4)
        assert all(sent)


async def test_on_stop_close_ends_the_user_stream() -> None:
    async def closes_the_stream(peer: Peer) -> None:
        await peer.open_user_stream()
        await peer.until("userStream.stop")
        await peer.send({"type": "userStream.stopped"})

    async with active_call(accepts(closes_the_stream), on_stop="close") as held:
        await held.session.user.record(True)
        await held.until_kind("userStream.chunk")
        await held.session.user.record(False)
        await held.until_kind("userStream.stopped")


async def test_a_user_stream_that_never_opens_is_reported_and_the_waiting_audio_counted() -> None:
    async def refuses(peer: Peer) -> None:
        await peer.until("userStream.start")
        await peer.until("userStream.stop")

    async with active_call(accepts(refuses)) as held:
        await held.session.user.record(True)
        told = await held.until(e.ConditionChanged, lambda condition: condition.active)
        assert told.condition is e.Condition.STREAM_NOT_OPENED
        await held.session.user.record(False)
        await held.until(e.LossCounted, lambda loss: loss.loss is e.Loss.UNSENT)
    assert held.session.state.metrics.losses["unsent"] >= 50


async def test_a_user_stream_that_opens_late_ends_the_warning_and_gets_every_word_at_once() -> None:
    """Audio captured before userStream.started is not lost, but sent when it arrives."""

    async def opens_late(peer: Peer) -> None:
        await peer.until("userStream.start")
        await asyncio.sleep(1.2)
        await peer.send({"type": "userStream.started"})

    async with active_call(accepts(opens_late)) as held:
        await held.session.user.record(True)
        await held.until(e.ConditionChanged, lambda condition: not condition.active)
        started = await held.until_kind("userStream.started")
        await held.until_kind("userStream.chunk", after=started.number + 3)
    after = [m for m in held.of(e.MessageLogged) if m.kind == "userStream.chunk"][:4]
    assert after[3].at_ns - after[0].at_ns < 15_000_000
    assert not held.of(e.LossCounted)


async def test_a_caller_line_records_for_as_long_as_it_takes() -> None:
    from tui.assets import caller_lines

    yes = next(line for line in caller_lines() if line.name == "yes")
    async with active_call(listens) as held:
        await held.session.user.speak(line_of(yes.path, yes.text))
        await held.until(e.LineChanged, lambda line: line.finished)
        await held.until(e.RecordingChanged, lambda event: not event.recording)
        edge = await held.until(e.SpeechEdge, lambda event: not event.started)
    assert edge.speaker is e.Party.USER


async def test_barge_in_drops_what_is_queued_and_counts_it() -> None:
    async def speaks(peer: Peer) -> None:
        await peer.play("r1", blocks=500, stop=False)
        await asyncio.sleep(0.3)
        await peer.send({"type": "userStream.speech.started"})
        await peer.send({"type": "playStream.chunk", "streamId": "r1", "audioChunk": BLOCK})
        await peer.send({"type": "playStream.stop", "streamId": "r1"})

    async with call_to(accepts(speaks)) as held:
        flushed = await held.until(e.Flushed)
        ended = await held.until(e.PlaybackEnded)
        late = await held.until(
            e.LossCounted, lambda loss: loss.number > ended.number and loss.loss is e.Loss.UNHEARD
        )
    assert flushed.reason == "barge-in"
    assert ended.heard_ms + ended.unheard_ms == 10_000
    assert 0 < ended.heard_ms < 2_000
    total = sum(loss.count for loss in held.of(e.LossCounted) if loss.loss is e.Loss.UNHEARD)
    assert total == ended.unheard_ms + 20
    assert late.count >= 20
    assert [reply.received_ms for reply in held.of(e.ReplyEnded)] == [10_020]


async def test_the_users_interrupt_flushes_too() -> None:
    async with call_to(accepts(lambda peer: peer.play("r1", blocks=200))) as held:
        await held.until(e.PlaybackStarted)
        await held.session.user.interrupt()
        ended = await held.until(e.PlaybackEnded)
    assert ended.unheard_ms > 0


async def test_a_hang_up_of_the_agent_is_answered_after_its_last_words() -> None:
    async def hangs_up(peer: Peer) -> None:
        await peer.play("bye", blocks=25)
        await peer.send({"type": "activities", "activities": [{"type": "event", "name": "hangup"}]})

    async with call_to(accepts(hangs_up)) as held:
        ended = await held.until_status(Status.ENDED)
    assert "the agent hung up" in ended.reason
    heard = await held.until(e.PlaybackEnded)
    assert (heard.heard_ms, heard.unheard_ms) == (500, 0)


@pytest.mark.parametrize("step", ["stop", "interrupt"])
async def test_a_step_of_the_end_that_fails_does_not_stop_the_others(
    monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    async def fails(*_: object) -> None:
        raise RuntimeError("broken")

    closed: list[bool] = []

    async def hold() -> None:
        async with active_call(stays) as held:
            close = held.audio.close

            async def close_too() -> None:
                await close()
                closed.append(held.of(e.StatusChanged)[-1].new is Status.ENDING)

            owner = held.audio.capture if step == "stop" else held.session._agent_audio
            monkeypatch.setattr(owner, step, fails)
            monkeypatch.setattr(held.audio, "close", close_too)
            calls.append(held)

    calls: list[Call] = []
    with pytest.raises(RuntimeError, match="broken"):
        await hold()
    assert calls[0].statuses()[-1] is Status.ENDED
    assert closed == [True]


async def test_dtmf_goes_out_in_a_call_and_gets_a_notice_outside() -> None:
    async with call_to(stays) as held:
        held.session.user.send_dtmf("1")
        await held.until(e.NoticeRaised)
        await held.until_status(Status.ACTIVE)
        held.session.user.send_dtmf("42#")
        pressed = await held.until(e.MessageLogged, lambda m: "42#" in m.summary)
    assert pressed.direction is Direction.SENT
    assert [keys.digits for keys in held.of(e.KeysPressed)] == ["42#"]


async def test_mute_sends_silence_in_place_of_the_user() -> None:
    from tui.assets import caller_lines

    async with active_call(listens) as held:
        held.session.user.set_muted(True)
        await held.session.user.speak(line_of(caller_lines()[0].path))
        await held.until_kind("userStream.chunk", after=60)
    chunks = [m for m in held.of(e.MessageLogged) if m.kind == "userStream.chunk"]
    assert all(held.message(m)["audioChunk"] == BLOCK for m in chunks)


# -- when things go wrong --


async def test_an_address_without_an_agent_is_unreachable() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with call(f"ws://127.0.0.1:{port}/bot") as held:
        await held.until_status(Status.ERROR)
    (error,) = held.of(e.ErrorRaised)
    assert (error.source, error.code, error.fatal) == ("socket", "unreachable", True)
    assert "connection refused" in error.message


async def test_an_agent_that_never_accepts_has_not_answered() -> None:
    held = await failed_call(Peer.stay, accept_timeout_s=0.2)
    (error,) = held.of(e.ErrorRaised)
    assert "it sent nothing" in error.message
    assert held.session.state.exit_code is ExitCode.NOT_ANSWERED


async def test_an_agent_of_another_protocol_is_a_protocol_error() -> None:
    async def script(peer: Peer) -> None:
        await peer.send("hello there", '{"event":"connected"}', b"\x00\x01")
        await peer.stay()

    held = await failed_call(script, accept_timeout_s=0.3)
    assert [error.code for error in held.of(e.ErrorRaised)][-1] == "not-accepted"
    assert "3 messages" in held.of(e.ErrorRaised)[-1].message
    assert held.session.state.exit_code is ExitCode.PROTOCOL_ERROR
    assert [error.source for error in held.of(e.ErrorRaised)][:1] == ["protocol"]


async def test_a_refusal_names_its_reason() -> None:
    async def script(peer: Peer) -> None:
        await peer.until("session.initiate")
        await peer.send({"type": "session.error", "reason": "no quota"})
        await peer.stay()

    async with call_to(script) as held:
        ended = await held.until_status(Status.ERROR)
    assert ended.reason == "no quota"
    assert held.of(e.ErrorRaised)[0].message == "no quota"


async def test_an_agent_that_dies_during_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.websocket.connection.REOPEN_INTERVAL_S", 0.01)

    async def die(peer: Peer) -> None:
        await peer.accept()
        await peer.until("activities")
        peer.socket.transport.abort()

    async def be_dead(peer: Peer) -> None:
        peer.socket.transport.abort()

    held = await failed_call(InTurn(die, be_dead), resume_timeout_s=0.2)
    (error,) = held.of(e.ErrorRaised)
    assert error.code == "lost"
    assert error.message == (
        "The call was cut off: the socket was lost without a close message, and the session could not be resumed."
    )


async def test_a_lost_socket_is_replaced_and_the_session_resumed(monkeypatch: pytest.MonkeyPatch) -> None:
    ids: list[str] = []

    async def script(peer: Peer) -> None:
        if not ids:
            ids.append((await peer.until("session.initiate"))["conversationId"])
            await peer.send(ACCEPTED)
            await peer.open_user_stream()
            await peer.until("userStream.chunk")
            peer.socket.transport.abort()
            return
        ids.append((await peer.until("session.resume"))["conversationId"])
        await peer.send({"type": "session.accepted"})
        await peer.open_user_stream()
        await peer.until("userStream.chunk")
        await peer.play("after", blocks=5)
        await peer.stay()

    async with active_call(script) as held:
        await held.session.user.record(True)
        await held.until_status(Status.RESUMING)
        await held.until(e.PlaybackEnded, lambda event: event.reply == "after")
        assert held.session.state.status is Status.ACTIVE
    assert ids[0] == ids[1]
    assert not held.of(e.ErrorRaised)


async def test_the_silence_of_a_reply_whose_socket_was_lost_is_not_reported_as_a_stall() -> None:
    async def vanishes(peer: Peer) -> None:
        await peer.accept()
        await peer.play("before", blocks=10, stop=False)
        await asyncio.sleep(0.3)  # the reply is being played
        peer.socket.transport.abort()

    async def resumes(peer: Peer) -> None:
        await peer.until("session.resume")
        await asyncio.sleep(1.0)  # longer than the limit of a stall
        await peer.send({"type": "session.accepted"})
        await peer.play("after", blocks=5)
        await peer.stay()

    async with call_to(InTurn(vanishes, resumes)) as held:
        await held.until(e.PlaybackEnded, lambda event: event.reply == "after")
    assert not held.of(e.ConditionChanged)


async def test_a_close_code_that_means_a_fault_is_an_error() -> None:
    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.play("broken", blocks=5, stop=False)
        await peer.socket.close(1011, "out of memory")

    held = await failed_call(script)
    (error,) = held.of(e.ErrorRaised)
    assert (error.code, error.fatal) == ("closed", True)
    assert "closed with code 1011 (out of memory)" in error.message
    assert held.session.state.exit_code is ExitCode.PROTOCOL_ERROR


async def test_an_agent_that_does_not_resume_is_reported_as_such() -> None:
    async def vanishes(peer: Peer) -> None:
        await peer.accept()
        peer.socket.transport.abort()

    held = await failed_call(InTurn(vanishes, Peer.stay), resume_timeout_s=0.3)
    (error,) = held.of(e.ErrorRaised)
    assert error.code == "not-resumed"
    assert "did not resume the session within 0.3 s" in error.message


async def test_hanging_up_while_connecting_gives_up_at_once() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        async with call(f"ws://127.0.0.1:{silent.getsockname()[1]}/bot") as held:
            await held.until_status(Status.CONNECTING)
            held.session.hang_up()
            await held.until_status(Status.ENDED)


async def test_nonsense_during_the_call_is_counted_and_the_call_goes_on() -> None:
    nonsense = ["[1, 2"] * 12
    new = {"type": "something.new"}
    async with call_to(accepts(lambda peer: peer.send(*nonsense, new, new))) as held:
        await held.until(e.LossCounted, lambda loss: loss.loss is e.Loss.UNDECODABLE)
        await wait_for(lambda: held.session.state.metrics.unknown_messages == 12 + 2)
        assert held.session.state.status is Status.ACTIVE
    assert held.session.state.metrics.losses["undecodable"] == 12
    assert [finding.rule for finding in held.of(e.FindingRaised)].count("unknown-type") <= 2
    assert [error.count for error in held.of(e.ErrorRaised)] == [1, 10]
    unread = [message for message in held.of(e.MessageLogged) if message.kind == "undecodable (not-json)"]
    assert all("5 characters that end in '[1, 2'" in message.summary for message in unread)


async def test_a_failing_capture_step_is_reported_once_and_audio_flows_on() -> None:
    def broken_step(block: bytes) -> bytes:
        raise RuntimeError("no idea")

    async with active_call(listens) as held:
        held.audio.capture.chain.add_callback(broken_step)
        await held.session.user.record(True)
        await held.until_kind("userStream.chunk", after=30)
    (error,) = held.of(e.ErrorRaised)
    assert error.source == "callback broken_step"
    assert error.message == "Failed on capture: RuntimeError: no idea."


async def test_an_unknown_protocol_or_option_is_reported_in_a_sentence() -> None:
    with pytest.raises(ValueError, match="Unknown protocol"):
        async with call("ws://127.0.0.1:9/", protocol="nonsense"):
            pass
    with pytest.raises(ValueError, match="colour"):
        async with call("ws://127.0.0.1:9/", options={"colour": "red"}):
            pass


async def test_every_press_of_the_volume_key_counts() -> None:
    async with active_call(stays) as held:
        for _ in range(5):
            held.session.user.change_volume(0.1)
        for _ in range(20):
            held.session.user.change_volume(0.1)
    volumes = [event.volume for event in held.of(e.VolumeChanged)]
    assert volumes[:5] == [1.1, 1.2, 1.3, 1.4, 1.5]
    assert volumes[-1] == 2.0
