"""Tests that user audio during a deliberately closed user stream is never sent later."""

from __future__ import annotations

import asyncio
import base64
import struct

from tests.session.scripted import Call, InTurn, Peer, accepts, active_call
from tests.session.test_other_protocols import OpenAI
from tests.waiting import wait_for
from tui.models import events as e
from tui.models.events import Status

PCM_500_MS = base64.b64encode(bytes(24_000)).decode()


class Numbered:
    """Replaces each captured block by its number, so that a test sees which blocks the agent received, and when."""

    def __init__(self, held: Call) -> None:
        self.captured = 0
        self._held = held
        held.audio.capture.chain.add_callback(self._number)

    def _number(self, block: bytes) -> bytes:
        self.captured += 1
        return struct.pack("<h", self.captured) * (len(block) // 2)

    def sent_after(self, number: int, kind: str, member: str) -> list[int]:
        """Returns the numbers of the blocks in messages of a kind that were sent after an event."""
        return [
            struct.unpack_from("<h", base64.b64decode(self._held.message(logged)[member]))[0]
            for logged in self._held.of(e.MessageLogged)
            if logged.kind == kind and logged.number > number
        ]


def losses(held: Call) -> dict[str, float]:
    return dict(held.session.state.metrics.losses)


async def test_with_barge_in_off_what_is_said_until_the_stream_opens_again_is_never_sent() -> None:
    answering = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.open_user_stream()
        for _ in range(5):
            await peer.until("userStream.chunk")
        recognised = [{"text": "hello", "confidence": 1}]
        await peer.send({"type": "userStream.speech.recognition", "alternatives": recognised})
        await peer.until("userStream.stop")
        await peer.send({"type": "userStream.stopped"})
        await answering.wait()
        await peer.play("r1", blocks=10)
        await peer.open_user_stream()
        await peer.stay()

    async with active_call(script, barge_in=False) as held:
        blocks = Numbered(held)
        await held.session.user.record(True)
        stopped = await held.until_kind("userStream.stopped")
        closed_at = blocks.captured
        await wait_for(lambda: blocks.captured >= closed_at + 15)
        answering.set()
        reopening = await held.until_kind("userStream.start", after=stopped.number)
        reopened_at = blocks.captured
        await wait_for(lambda: len(blocks.sent_after(reopening.number, "userStream.chunk", "audioChunk")) > 3)
        sent = blocks.sent_after(reopening.number, "userStream.chunk", "audioChunk")
    assert sent[0] >= reopened_at
    assert sent == list(range(sent[0], sent[0] + len(sent)))
    assert losses(held)["withheld"] >= 20
    assert not losses(held).get("unsent")
    assert not [c for c in held.of(e.ConditionChanged) if c.condition is e.Condition.STREAM_NOT_OPENED]


async def test_with_openai_what_is_said_over_a_reply_is_never_sent_either() -> None:
    recording = asyncio.Event()

    async def script(peer: Peer) -> None:
        await OpenAI(peer).open()
        await recording.wait()
        await OpenAI(peer).respond()
        await OpenAI(peer).say(PCM_500_MS)
        await peer.stay()

    async with active_call(script, protocol="openai", barge_in=False) as held:
        blocks = Numbered(held)
        await held.session.user.record(True)
        await held.until_kind("input_audio_buffer.append")
        recording.set()
        ended = await held.until(e.PlaybackEnded)
        heard_at = blocks.captured
        await wait_for(lambda: len(blocks.sent_after(ended.number, "input_audio_buffer.append", "audio")) > 3)
        sent = blocks.sent_after(ended.number, "input_audio_buffer.append", "audio")
    assert sent[0] >= heard_at
    assert losses(held)["withheld"] >= 15
    assert not losses(held).get("unsent")


async def test_with_barge_in_what_is_said_over_a_reply_is_sent() -> None:
    async def speaks(peer: Peer) -> None:
        await peer.open_user_stream()
        await peer.play("r1", blocks=10)

    async with active_call(accepts(speaks)) as held:
        blocks = Numbered(held)
        await held.session.user.record(True)
        await held.until(e.PlaybackEnded)
        count = blocks.captured
        await wait_for(lambda: count in blocks.sent_after(0, "userStream.chunk", "audioChunk"))
        sent = blocks.sent_after(0, "userStream.chunk", "audioChunk")
    assert sent == list(range(sent[0], sent[0] + len(sent)))
    assert not losses(held).get("withheld")


async def test_withheld_speech_is_no_part_of_the_turn() -> None:
    """If a line continues after the agent closed the stream, its speech ends where the stream was closed."""
    from tui.assets import caller_lines
    from tui.models.sound.lines import line_of

    async def recognizes(peer: Peer) -> None:
        await peer.open_user_stream()
        for _ in range(60):
            await peer.until("userStream.chunk")
        await peer.send({"type": "userStream.speech.recognition", "alternatives": [{"text": "so far"}]})
        await peer.until("userStream.stop")
        await peer.send({"type": "userStream.stopped"})

    line = caller_lines()[0]
    async with active_call(accepts(recognizes), barge_in=False) as held:
        await held.session.user.speak(line_of(line.path, line.text))
        stop = await held.until_kind("userStream.stop")
        edge = await held.until(e.SpeechEdge, lambda edge: not edge.started)
        assert held.session.state.controls.recording, "the line is still being said"
    assert edge.at_ns <= stop.at_ns + 40_000_000
    assert len([edge for edge in held.of(e.SpeechEdge) if edge.started]) == 1


async def test_what_is_said_while_the_socket_is_being_replaced_is_counted_and_no_accusation() -> None:
    async def vanish(peer: Peer) -> None:
        await peer.accept()
        await peer.open_user_stream()
        await peer.until("userStream.chunk")
        peer.socket.transport.abort()

    async def resume(peer: Peer) -> None:
        await peer.until("session.resume")
        await asyncio.sleep(1.2)  # longer than the limit after which an unopened stream is reported
        await peer.send({"type": "session.accepted"})
        await peer.open_user_stream()
        await peer.stay()

    async with active_call(InTurn(vanish, resume)) as held:
        await held.session.user.record(True)
        resuming = await held.until_status(Status.RESUMING)
        await held.until_kind("userStream.chunk", after=resuming.number)
        assert {loss.detail for loss in held.of(e.LossCounted)} == {"the connection was lost"}
        assert losses(held)["unsent"] >= 40
    assert not held.of(e.ConditionChanged)
