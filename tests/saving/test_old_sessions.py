"""Tests opening, measuring, listing, exporting and reporting sessions that version 0.1.0 saved."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from tui.cli.main import cli
from tui.models import events as e
from tui.models.log.marks import Marking
from tui.report.content import read_content
from tui.report.page import render
from tui.saving.listing import list_sessions
from tui.saving.marks_file import append_marking
from tui.saving.reading import SavedSession, open_session
from tui.saving.remeasure import remeasure

SAVED = Path(__file__).with_name("sessions")
AUDIOCODES, TWILIO = "0.1.0 audiocodes", "0.1.0 twilio"
"""Two headless calls to the local agent: one without audio, one with both tracks at 8 kHz."""


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SAVED, tmp_path / "sessions"))


@pytest.fixture
def audiocodes(parent: Path) -> Iterator[SavedSession]:
    with open_session(parent / AUDIOCODES) as saved:
        yield saved


@pytest.fixture
def twilio(parent: Path) -> Iterator[SavedSession]:
    with open_session(parent / TWILIO) as saved:
        yield saved


def test_the_record_is_read_whole(audiocodes: SavedSession, twilio: SavedSession) -> None:
    first, second = audiocodes.record, twilio.record
    assert (first.program, first.schema, first.protocol) == ("opusagent-tui 0.1.0", 1, "audiocodes")
    assert (first.outcome, first.reason, first.audio_rate) == ("ended", "hung up", None)
    assert (first.target["accept_timeout_s"], first.target["stop"]) == (5.0, "silence")
    assert (second.formats.user, second.formats.agent) == ("mulaw 8 kHz", "mulaw 8 kHz")
    assert (second.audio_rate, second.devices.capture) == (8000, "caller lines")
    assert first.metrics is not None
    assert first.metrics.response_latencies_ms == [906.53635, 668.53635]
    assert first.metrics.turns[1].reported_ms["recognised"] == 765.778797


def test_every_event_and_message_is_read_without_a_problem(
    audiocodes: SavedSession, twilio: SavedSession
) -> None:
    for saved, count, messages in ((audiocodes, 186, 124), (twilio, 246, 218)):
        events = list(saved.events())
        assert [event.number for event in events] == list(range(1, count + 1))
        logged = [event for event in events if isinstance(event, e.MessageLogged)]
        assert len(logged) == messages
        assert all(saved.raw_message(event) for event in logged)
        assert saved.problems == []


def test_figures_without_tracks_are_those_of_the_call(audiocodes: SavedSession) -> None:
    assert audiocodes.audio is None
    measured, recorded = remeasure(audiocodes), audiocodes.record.metrics
    assert recorded is not None
    assert measured.turns[0].doubt == "the event loop was 34 ms late"
    assert recorded.turns[0].doubt == "the event loop was 34 ms late meanwhile"
    # 0.1.0 measured how much of a reply was played rather than heard, and did not record when words arrived.
    assert [turn.agent_speech_ms for turn in recorded.turns] == [3181.875, 3648.0625, 1233.0625]
    assert [turn.agent_speech_ms for turn in measured.turns] == [3181.0, 3648.0, 1233.0]
    for turn, old in zip(measured.turns, recorded.turns, strict=True):
        turn.agent_speech_ms, turn.agent_text_ns = old.agent_speech_ms, None
    measured.turns[0].doubt = recorded.turns[0].doubt  # only the wording has changed
    assert measured.turns[0].error_ms == pytest.approx(34, abs=0.5)
    measured.turns[0].error_ms = None  # 0.1.0 had no bound
    offsets_ms = [turn.offset_ms for turn in measured.floor.turns if turn.by is e.Party.AGENT]
    assert offsets_ms == [None, 906.53635, 668.53635]
    measured.floor = recorded.floor  # 0.1.0 had no floor
    assert measured == recorded


def test_figures_are_measured_again_from_the_tracks(twilio: SavedSession) -> None:
    assert twilio.audio is not None
    assert (twilio.audio.rate, twilio.audio.frames) == (8000, 32_051)
    measured = remeasure(twilio)
    assert measured.audio_starts_ns == twilio.record.audio_starts_ns
    greeting, turn = measured.turns
    # The tracks confirm, to within a block, the edges that the call itself found.
    assert greeting.response_latency_ms == 472.694036
    assert (turn.response_latency_ms, turn.user_speech_ms) == (686.849811, 319.0)
    speech_ms = (greeting.agent_speech_ms, turn.agent_speech_ms)
    assert speech_ms == pytest.approx((240, 233), abs=10), "without the silence after it"
    assert turn.parts.capture_ms == 80.0
    assert turn.parts.prebuffer_ms == 50.71047
    assert (measured.messages_sent, measured.messages_received) == (205, 13)
    talk_ms = (measured.user_talk_ms, measured.agent_talk_ms, measured.overlap_ms)
    assert talk_ms == pytest.approx((319, 465, 0), abs=1)


def test_both_are_listed(parent: Path) -> None:
    newer, older = list_sessions(parent)
    assert [newer.name, older.name] == [TWILIO, AUDIOCODES]
    assert (older.outcome, older.errors, older.not_answered) == ("ended", 0, 0)
    assert older.duration_s == 14.353293987
    assert older.response_latencies_ms == [906.53635, 668.53635]
    assert (older.has_audio, newer.has_audio) == (False, True)
    assert (newer.target, newer.problem) == ("ws://127.0.0.1:38261/twilio", "")


def test_the_commands_read_them(parent: Path) -> None:
    listed = CliRunner().invoke(cli, ["sessions", "--save", str(parent)])
    assert listed.exit_code == 0
    assert "0:00:14  ended       907 ms" in listed.stdout
    assert "0:00:04  ended       687 ms" in listed.stdout
    measured = CliRunner().invoke(cli, ["metrics", str(parent / AUDIOCODES)])
    assert measured.exit_code == 0
    said, *turns, figures = measured.stdout.splitlines()
    assert said.startswith("1 of 2 turns was slow (turn 1: 0.9 s): ")
    assert [line.split()[:4] for line in turns[1:3]] == [
        ["turn", "1", "907", "ms"],
        ["turn", "2", "669", "ms"],
    ]
    assert [line.split()[0] for line in turns[3:]] == ["floor", "longest"]
    assert figures.startswith("response time 907 ms, 669 ms; sent 10.0 s, received 8.1 s")


def test_marks_made_now_are_listed_and_do_not_change_the_session(parent: Path) -> None:
    before = (parent / TWILIO / "session.json").read_bytes()
    append_marking(parent / TWILIO, Marking(12, marked=True, note="slow here"))
    listed = CliRunner().invoke(cli, ["sessions", "--save", str(parent)])
    assert listed.stdout.count("(1 mark, 1 note)") == 1
    assert (parent / TWILIO / "session.json").read_bytes() == before


def test_the_report_has_turns_transcript_and_sound(audiocodes: SavedSession, twilio: SavedSession) -> None:
    content = read_content(audiocodes)
    assert [turn.number for turn in content.metrics.turns] == [0, 1, 2]
    said = [
        (entry.speaker, entry.text, entry.heard)
        for _, entry in map(msgspec.structs.astuple, content.transcript)
    ]
    assert said == [
        ("agent", "Hello, this is the local agent. How can I help you?", "heard"),
        ("user", "Hello, what are your opening hours today?", "heard"),
        ("agent", "We are open from nine to six today, and until eight on Thursdays.", "heard"),
        ("user", "Yes.", "heard"),
        ("agent", "Good, that is settled.", "heard"),
    ]
    page = render(audiocodes).decode()
    assert "We are open from nine to six today, and until eight on Thursdays." in page
    assert len(render(twilio)) > len(render(twilio, with_audio=False)) + 5_000
