"""Tests saved calls on virtual endpoints: the files contain what was sent and heard, at the right times."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import pytest

from tests.audio.signals import tone
from tests.saving.saved_calls import RATE, Samples, found_at, only_session, play_pcm, saved_call, tracks_of
from tests.session.scripted import Peer, agent
from tui.assets import caller_lines, prompts
from tui.audio.wav import read_wav
from tui.bridge import Bridge
from tui.engine.saved_engine import SavedEngine
from tui.models import events as e
from tui.models.events import Status
from tui.models.sound.lines import line_of
from tui.models.turns.metrics import SessionMetrics
from tui.saving.remeasure import remeasure, speech_edges

pytestmark = pytest.mark.xdist_group("live")

BLOCK_NS = 20_000_000
E = TypeVar("E", bound=e.SessionEvent)
LINE = next(line for line in caller_lines() if line.name == "yes")
PROMPT = prompts()["confirmed"]


async def answers(peer: Peer) -> None:
    """Greets, opens the user stream and listens; answers some time after the user has spoken."""
    prompt = read_wav(PROMPT.path, RATE)
    await peer.accept()
    # A detector must hear silence before it can determine the time of a word's quiet start.
    await asyncio.sleep(0.3)
    await play_pcm(peer, "greeting", prompt)
    await peer.until("userStream.start")
    await peer.send({"type": "userStream.started"})
    await peer.until("activities")
    await asyncio.sleep(1.2)
    await play_pcm(peer, "answer", prompt[: RATE * 2])
    await peer.stay()


class Conversation(NamedTuple):
    """A call, and the folder in which it was saved."""

    folder: Path
    events: list[e.SessionEvent]
    metrics: SessionMetrics

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]


async def converse(folder: Path) -> Conversation:
    """Makes a call with a greeting, a recorded line and an answer."""
    async with agent(answers) as url, saved_call(url, folder) as held:
        await held.until(e.PlaybackEnded)
        await held.session.user.record(True)
        # The live detector must hear silence first; in the recording, it always does.
        await held.until(e.MessageLogged, lambda m: m.audio_ms > 0 and m.direction is e.Direction.SENT)
        await asyncio.sleep(0.5)
        await held.session.user.speak(line_of(LINE.path, LINE.text))
        await held.until(e.SpeechEdge, lambda edge: not edge.started)
        held.session.user.send_dtmf("1")
        await held.until(e.PlaybackEnded, lambda ended: ended.reply == "answer")
    assert not held.problems
    return Conversation(folder, held.events, held.session.state.metrics)


@pytest.fixture(scope="module")
def conversation(tmp_path_factory: pytest.TempPathFactory) -> Conversation:
    """Makes the call once, because it takes six seconds."""
    return asyncio.run(converse(tmp_path_factory.mktemp("conversation")))


def lead_ns(sound: Samples) -> int:
    """Returns the time from the first sample of a sound to its first loud sample, in ns."""
    return int(np.argmax(np.abs(sound.astype(np.int32)) > np.max(sound) // 20)) * 1_000_000_000 // RATE


def test_both_tracks_hold_every_sample_at_its_instant(conversation: Conversation) -> None:
    line = np.frombuffer(read_wav(LINE.path, RATE), "<i2")
    prompt = np.frombuffer(read_wav(PROMPT.path, RATE), "<i2")
    with only_session(conversation.folder) as saved:
        assert saved.audio is not None
        assert saved.audio.rate == RATE
        assert saved.audio.starts_ns == conversation.events[0].at_ns
        user, heard = tracks_of(saved)
        line_ns = saved.audio.ns_at(found_at(user, line))
        prompt_ns = saved.audio.ns_at(found_at(heard, prompt))
        answer_ns = saved.audio.ns_at(found_at(heard[RATE * 3 :], prompt[:RATE]) + RATE * 3)
        said_ns = next(edge for edge in conversation.of(e.SpeechEdge) if edge.speaker is e.Party.USER).at_ns
        began_ns = [event.at_ns for event in conversation.of(e.PlaybackStarted)]
        assert abs(prompt_ns - began_ns[0]) < 200_000
        assert abs(answer_ns - began_ns[1]) < 200_000
        # The loop may take a block late, but the block keeps its capture time.
        assert abs(line_ns + lead_ns(line) - said_ns) <= 2 * BLOCK_NS
        assert np.count_nonzero(heard) == np.count_nonzero(prompt) + np.count_nonzero(prompt[:RATE])
        assert np.count_nonzero(user) == np.count_nonzero(line)
        # Silence until the end of the call.
        assert conversation.metrics.ended_ns is not None
        assert 0 <= saved.audio.ns_at(saved.audio.frames) - conversation.metrics.ended_ns < 2e9


def test_the_figures_of_the_call_and_of_its_recording_agree(conversation: Conversation) -> None:
    live = conversation.metrics
    with only_session(conversation.folder) as saved:
        assert list(saved.events()) == conversation.events
        assert saved.record.metrics == live
        again = remeasure(saved)
        assert [turn.number for turn in again.turns] == [0, 1]
        for before, after in zip(live.turns, again.turns, strict=True):
            assert before.response_latency_ms is not None
            assert after.response_latency_ms is not None
            assert abs(before.response_latency_ms - after.response_latency_ms) <= 20
            parts, parts_again = dict(before.parts.known()), dict(after.parts.known())
            assert parts.keys() == parts_again.keys()
            assert all(abs(parts[name] - parts_again[name]) <= 20 for name in parts)
            assert (before.user_text, before.replies) == (after.user_text, after.replies)
        assert live.agent_talk_ms == pytest.approx(again.agent_talk_ms, abs=60)
        assert live.user_talk_ms == pytest.approx(again.user_talk_ms, abs=40)
        assert (live.audio_heard_ms, live.losses) == (again.audio_heard_ms, again.losses)


def test_the_edges_of_speech_are_found_again(conversation: Conversation) -> None:
    live = conversation.of(e.SpeechEdge)
    with only_session(conversation.folder) as saved:
        edges = speech_edges(saved)
    assert edges is not None
    for speaker in e.Party:
        again = [edge for edge in edges if edge.speaker is speaker]
        before = [edge for edge in live if edge.speaker is speaker]
        assert [edge.started for edge in again] == [edge.started for edge in before]
        assert all(abs(a.at_ns - b.at_ns) <= BLOCK_NS for a, b in zip(again, before, strict=True))
    assert sum(edge.started for edge in live) == 3
    agent_began = [edge.at_ns for edge in edges if edge.speaker is e.Party.AGENT and edge.started]
    for edge_ns, began in zip(agent_began, conversation.of(e.PlaybackStarted), strict=True):
        assert abs(edge_ns - began.at_ns) <= BLOCK_NS


async def test_an_agent_that_answers_with_a_tone_is_heard(tmp_path: Path) -> None:
    """Tested in the call and in its recording: the agent talks, and the tone is not dead air."""

    async def beeps(peer: Peer) -> None:
        await peer.accept()
        await play_pcm(peer, "tone", bytes(RATE // 5 * 2) + tone(RATE, 2.3))
        await peer.stay()

    async with agent(beeps) as url, saved_call(url, tmp_path) as held:
        began = await held.until(e.PlaybackStarted)
        await held.until(e.SpeechEdge, lambda edge: not edge.started)
    live = held.session.state.metrics
    with only_session(tmp_path) as saved:
        again = remeasure(saved)
    for metrics in (live, again):
        assert metrics.agent_talk_ms == pytest.approx(2_300, abs=5)
        assert metrics.dead_air == []
        assert metrics.turns[0].agent_began_ns == pytest.approx(began.at_ns + 200_000_000, abs=BLOCK_NS)
        assert metrics.turns[0].parts.leading_silence_ms == pytest.approx(200, abs=20)


async def test_flushed_audio_is_not_on_the_track(tmp_path: Path) -> None:
    level = np.full(RATE * 10, 1_000, "<i2").tobytes()

    async def talks(peer: Peer) -> None:
        await peer.accept()
        await play_pcm(peer, "long", level)
        await peer.stay()

    async with agent(talks) as url, saved_call(url, tmp_path) as held:
        await held.until(e.PlaybackStarted)
        await asyncio.sleep(0.4)
        await held.session.user.interrupt()
        ended = await held.until(e.PlaybackEnded)
    assert ended.unheard_ms > 5_000
    with only_session(tmp_path) as saved:
        _, heard = tracks_of(saved)
        assert np.count_nonzero(heard) == round(ended.heard_ms * RATE / 1000)
        assert saved.audio is not None
        last_ns = saved.audio.ns_at(int(np.flatnonzero(heard)[-1]))
        flushed = held.of(e.Flushed)[0]
        assert last_ns <= flushed.at_ns + BLOCK_NS + held.worst_lag_ms * 1_000_000


async def test_a_muted_user_and_one_who_does_not_record_are_silent(tmp_path: Path) -> None:
    async with agent(answers) as url, saved_call(url, tmp_path) as held:
        await held.until_status(Status.ACTIVE)
        held.session.user.set_muted(True)
        await held.session.user.speak(line_of(LINE.path))
        await held.until(e.MessageLogged, lambda m: m.kind == "userStream.chunk" and m.number > 60)
    with only_session(tmp_path) as saved:
        user, _ = tracks_of(saved)
        assert len(user) > RATE // 2
        assert not user.any()


async def test_the_first_word_is_saved_at_its_time(tmp_path: Path) -> None:
    """Blocks that wait for the user stream are sent later, but are saved at their capture times."""

    async def slow(peer: Peer) -> None:
        await asyncio.sleep(0.1)  # a block that begins before the session does would be cut
        await peer.accept()
        await peer.until("userStream.start")
        await asyncio.sleep(0.3)
        await peer.send({"type": "userStream.started"})
        await peer.stay()

    async with agent(slow) as url, saved_call(url, tmp_path) as held:
        await held.until_status(Status.ACTIVE)
        await held.session.user.speak(line_of(LINE.path))
        began = await held.until(e.SpeechEdge)
        await held.until(e.LineChanged, lambda line: line.finished)
    with only_session(tmp_path) as saved:
        assert saved.audio is not None
        user, _ = tracks_of(saved)
        line = np.trim_zeros(np.frombuffer(read_wav(LINE.path, RATE), "<i2"), "b")
        began_ns = saved.audio.ns_at(found_at(user, line)) + lead_ns(line)
        assert abs(began_ns - began.at_ns) <= 2 * BLOCK_NS


async def test_without_audio_the_call_is_saved_without_any_audio(tmp_path: Path) -> None:
    async with agent(answers) as url, saved_call(url, tmp_path, audio=False) as held:
        await held.until(e.PlaybackEnded)
    with only_session(tmp_path) as saved:
        assert saved.audio is None
        assert not saved.problems
        chunks = [
            event
            for event in saved.events()
            if isinstance(event, e.MessageLogged) and event.kind == "playStream.chunk"
        ]
        assert chunks
        assert all(b"characters)" in (saved.raw_message(chunk) or b"") for chunk in chunks)
        assert saved.messages_path.stat().st_size < 10_000
        assert remeasure(saved) == held.session.state.metrics


def test_a_saved_session_replays_at_any_speed(conversation: Conversation) -> None:
    events = conversation.events
    now_ns = 0
    with only_session(conversation.folder) as saved:
        engine = SavedEngine(saved, speed=8, clock_ns=lambda: now_ns)
        head = engine.playhead
        bridge = Bridge(engine, engine.now_ns)
        bridge.tick()
        assert 0 < len(bridge.log.events) < len(events)
        middle_ns = (events[0].at_ns + events[-1].at_ns) // 2
        now_ns = (middle_ns - events[0].at_ns) // 8
        head.advance()
        bridge.tick()
        assert bridge.clock_ns() == events[0].at_ns + now_ns * 8
        assert all(event.at_ns <= middle_ns for event in bridge.log.events)
        assert bridge.state.status is Status.ACTIVE
        before = list(bridge.log.events)
        now_ns = 10**12
        head.advance()
        bridge.tick()
        assert bridge.log.events == events
        assert not head.playing

        assert bridge.state.reason == "hung up"
        accepted = next(each for each in conversation.of(e.MessageLogged) if each.kind == "session.accepted")
        assert b"session.accepted" in (bridge.raw_message(accepted) or b"")

        head.seek(middle_ns)
        bridge.tick()
        assert bridge.log.events == before
        assert bridge.state.status is Status.ACTIVE
        bridge.close()
