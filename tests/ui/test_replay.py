"""Tests the playhead of an opened session: keys, mouse, and everything that follows it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from textual.geometry import Offset

from tests.ui.conftest import Stage, Staging, at_every_size
from tests.ui.fakes import MS, START_NS, FakeClock, FakeEngine, Script, a_call
from tui.app import Launch
from tui.bridge import Bridge
from tui.engine.wire import Peaks, PlayAudio, PlayingAudio
from tui.models import events as e
from tui.screens.session import SessionScreen
from tui.view.playhead import Playhead, Sound
from tui.widgets.waveform import LABEL_CELLS, WaveformStrip

LAST_NS = START_NS + 10_000 * MS


class Replay:
    """A stage on which a saved session is shown."""

    def __init__(self, stage: Stage, head: Playhead, now: FakeClock) -> None:
        self.stage, self.head, self.now = stage, head, now

    @property
    def at_ms(self) -> float:
        """Returns the position of the playhead in ms from the start."""
        return (self.head.at_ns - START_NS) / MS

    @property
    def waveform(self) -> WaveformStrip:
        replay = self.stage.session.replay
        assert replay is not None
        return replay.waveform

    async def pass_ms(self, ms: float) -> None:
        self.now.now_ns += int(ms * MS)
        await self.stage.tick()

    def played(self) -> list[PlayAudio]:
        """Returns what the engine was requested to play since the previous call."""
        return [command for command in self.stage.sent() if isinstance(command, PlayAudio)]

    async def engine_says(self, at_ms: float, *, playing: bool = True, problem: str = "") -> None:
        clip = self.stage.bridge.player.clip
        await self.stage.play([PlayingAudio(clip=clip, at_ms=at_ms, playing=playing, problem=problem)])


Opening = Callable[..., AbstractAsyncContextManager[Replay]]


@pytest.fixture
def opened(stage: Staging, script: Script) -> Opening:
    """Returns a factory for ``async with opened(size) as r:``, which shows a complete session of ten seconds."""

    @asynccontextmanager
    async def run(size: tuple[int, int] = (80, 24), *, folds: bool = False) -> AsyncIterator[Replay]:
        now = FakeClock()
        head = Playhead(
            START_NS, LAST_NS, clock_ns=now, audio_path="audio.wav", audio_starts_ns=START_NS, folds=folds
        )
        async with stage(size, target=None, playhead=head) as s:
            await s.play(a_call(script).take())
            await s.tick()
            s.sent()
            yield Replay(s, head, now)

    return run


@pytest.fixture
async def r(opened: Opening) -> AsyncIterator[Replay]:
    """Yields a stage of the default size with that session."""
    async with opened() as replay:
        yield replay


def event_at_cursor(r: Replay) -> e.SessionEvent:
    line = r.stage.session.log_pane.line
    assert line is not None
    return r.stage.bridge.log.events[line.first]


async def test_notices_of_the_recorded_call_stay_in_the_log_and_those_of_opening_it_are_shown(
    script: Script, r: Replay
) -> None:
    await r.stage.play(script.add(e.NoticeRaised, text="No sound device was found.").take())
    assert not r.stage.session.notice.display
    await r.stage.press("end")
    assert "No sound device was found." in r.stage.text(), "the log keeps it"
    script.add(e.NoticeRaised, text="events.jsonl is truncated.", of_opening=True)
    await r.stage.play(script.take())
    assert "! events.jsonl is truncated." in r.stage.text()


async def test_it_opens_at_the_beginning(r: Replay) -> None:
    assert r.at_ms == 0
    assert event_at_cursor(r).at_ns == START_NS
    assert "0:00.0 / 0:10.0" in r.stage.text()
    await r.stage.press("t")
    assert "Good morning" in r.stage.text()
    assert r.played() == []


async def test_it_stays_at_the_beginning_if_the_log_reports_its_cursor_first(
    stage: Staging, script: Script
) -> None:
    head = Playhead(START_NS, LAST_NS, clock_ns=FakeClock())
    async with stage((80, 24), target=None, playhead=head) as s:
        s.engine.frames += a_call(script).take()
        s.bridge.drain()
        s.session.log_pane.refresh_from_model()  # the cursor follows the last event
        assert s.session.replay is not None
        s.session.replay.follow_cursor()
        await s.tick()
        assert head.at_ns == START_NS


async def test_space_plays_and_log_and_transcript_follow(r: Replay) -> None:
    await r.stage.press("space")
    (asked,) = r.played()
    assert (asked.path, asked.start_ms, asked.speed, asked.track) == ("audio.wav", 0.0, 1.0, None)
    await r.pass_ms(300)
    assert r.at_ms == 0  # nothing has been heard yet
    await r.engine_says(4_700)
    assert r.at_ms == 4_700
    assert START_NS + 4_000 * MS < event_at_cursor(r).at_ns <= START_NS + 4_700 * MS
    assert r.played() == []
    await r.stage.press("space")
    assert not r.head.playing
    assert [asked.path for asked in r.played()] == [""]


async def test_seeking_while_it_plays_plays_from_there(r: Replay) -> None:
    for key in ("space", "right", "right", "shift+left", "right"):
        await r.stage.press(key)
    assert [asked.start_ms for asked in r.played()] == [0, 1000, 2000, 0, 1000]
    await r.engine_says(1_500)
    assert r.at_ms == 1_500


async def test_progress_of_an_earlier_clip_does_not_move_the_playhead(r: Replay) -> None:
    await r.stage.press("space")
    await r.stage.press("right")
    await r.stage.play([PlayingAudio(clip=1, at_ms=90.0, playing=True)])
    assert r.at_ms == 1000


async def test_the_cursor_leads_the_playhead(r: Replay) -> None:
    await r.stage.press("down", "down", "down", "full_stop", "comma", "right_curly_bracket")
    assert r.at_ms > 0
    assert r.head.at_ns == event_at_cursor(r).at_ns
    await r.stage.press("end")
    assert r.head.at_ns == event_at_cursor(r).at_ns
    await r.stage.press("home")
    assert r.at_ms == 0


async def test_choosing_a_turn_seeks_to_it(opened: Opening) -> None:
    async with opened((160, 50)) as r:
        await r.stage.press("u", "home", "enter", "enter")
        turn = r.stage.bridge.state.metrics.turns[0]
        assert turn.first_event == r.stage.number
        assert r.head.at_ns == event_at_cursor(r).at_ns


async def test_a_turn_whose_speech_was_noticed_late_keeps_the_cursor(opened: Opening, script: Script) -> None:
    async with opened((160, 50)) as r:
        began_ns = script.now_ns + 10 * MS
        for _ in range(8):
            script.after(20).message("session.update", {}, "later than the speech", sent=True)
            script.message("session.updated", {}, "")
        script.after(30).edge(e.Party.USER, True, at_ns=began_ns)
        script.after(900).edge(e.Party.USER, False)
        await r.stage.play(script.take())
        session = r.stage.session
        assert session.replay is not None
        number = r.stage.bridge.state.metrics.turns[-1].first_event
        session.replay.seek_to_event(number)
        session.jumps.to_event(number)
        r.stage.app.tick()  # before the log's message about its cursor is handled
        await r.stage.settle()
        edge = event_at_cursor(r)
        assert (edge.number, edge.at_ns) == (number, began_ns)


async def test_speeds_up_to_2x_are_audible(r: Replay) -> None:
    await r.stage.press("space", "2")
    assert r.played()[-1].speed == 2
    await r.stage.press("4")
    assert r.played()[-1] == PlayAudio(clip=r.stage.bridge.player.clip)
    assert "muted above 2x" in r.stage.text()
    await r.pass_ms(500)
    assert r.at_ms == 2_000
    await r.stage.press("8")
    await r.pass_ms(500)
    assert r.at_ms == 6_000
    await r.stage.press("1")
    assert r.played()[-1].start_ms == 6_000


async def test_one_track_alone(r: Replay) -> None:
    await r.stage.press("space", "s")
    assert r.played()[-1].track == 0
    assert "user only" in r.stage.text()
    await r.stage.press("s", "s")
    assert r.head.sound is Sound.OFF
    await r.pass_ms(1_000)
    assert r.at_ms == 1_000


async def test_without_a_device_it_plays_silently_and_shows_the_reason(r: Replay) -> None:
    await r.stage.press("space")
    await r.engine_says(0, playing=False, problem="PortAudio is not installed. Run: [b]apt " + 9 * "word ")
    assert "1x  silent: PortAudio is not installed. Run: [b]apt" in r.stage.text()
    await r.pass_ms(2_000)
    assert r.at_ms == 2_000
    r.played()
    await r.stage.press("right")
    assert r.played() == []


async def test_after_the_tracks_end_the_clock_continues(r: Replay) -> None:
    await r.stage.press("space")
    await r.engine_says(9_000)
    await r.engine_says(9_000, playing=False)
    await r.pass_ms(500)
    assert r.at_ms == 9_500
    await r.pass_ms(5_000)
    assert (r.at_ms, r.head.playing) == (10_000, False)


async def test_another_clip_pauses_it(r: Replay) -> None:
    await r.stage.press("space")
    await r.engine_says(500)
    r.played()
    r.stage.bridge.player.play(PlayAudio(wire=b"\0\0"))
    await r.stage.tick()
    assert not r.head.playing
    assert [asked.wire for asked in r.played()] == [b"\0\0"]


async def test_a_click_and_a_drag_seek(opened: Opening) -> None:
    async with opened((86, 24)) as r:  # 78 columns for ten seconds
        pilot, strip = r.stage.pilot, r.waveform
        await pilot.mouse_down(strip, offset=Offset(7 + 39, 0))
        await r.stage.tick()
        assert r.at_ms == 5_000
        await pilot.hover(strip, offset=Offset(7 + 0, 2))
        await pilot.mouse_up(strip, offset=Offset(7 + 0, 2))
        await r.stage.tick()
        assert r.at_ms == 0
        await pilot.hover(strip, offset=Offset(7 + 39, 2))
        await r.stage.tick()
        assert r.at_ms == 0


async def test_zoomed_in_the_waveform_follows_the_playhead(r: Replay) -> None:
    await r.stage.press("plus", "plus")
    strip = r.waveform
    assert strip.span_ns == 2_500 * MS
    assert "4x" in r.stage.text()
    await r.stage.press("right", "right", "right", "right")
    assert strip._left_ns <= r.head.at_ns <= strip._left_ns + strip.span_ns
    await r.stage.press(*["plus"] * 5)
    assert strip.span_ns == 1_000 * MS
    await r.stage.press(*["minus"] * 9)
    assert strip.span_ns == 10_000 * MS


async def test_an_edge_that_two_detectors_do_not_agree_on_is_marked_at_both_instants(
    opened: Opening, script: Script
) -> None:
    async with opened((86, 24)) as r:  # 78 columns for ten seconds
        turn = r.stage.bridge.state.metrics.turns[-1].number
        for edge, second_ns in (("USER_ENDED", START_NS + 8_000 * MS), ("AGENT_BEGAN", None)):
            first_ns = START_NS + (7_000 if second_ns else 9_000) * MS
            script.add(
                e.EdgeDisputed, turn=turn, edge=e.CheckedEdge[edge], first_ns=first_ns, second_ns=second_ns
            )
        await r.stage.play(script.add(e.EdgesCompared, compared=2, disputed=2).take())
        await r.stage.tick()
        line = r.waveform.render_line(1).text
        marked = [at - LABEL_CELLS for at, glyph in enumerate(line) if glyph == "?"]
        assert marked == [at * 78 // 10 for at in (7, 8, 9)]


async def test_a_run_can_still_be_opened(r: Replay) -> None:
    view = r.stage.session.log_pane.view
    before = len(view)
    r.stage.session.log_pane.move_to(
        next(i for i in range(before) if r.stage.bridge.log.rows[view.line(i).row].count > 1)
    )
    await r.stage.press("R")
    assert len(view) > before
    await r.stage.press("R")
    assert len(view) == before


async def test_actions_that_need_a_call_are_neither_offered_nor_run(opened: Opening) -> None:
    async with opened((200, 60)) as r:
        text = r.stage.text()
        for name in ("Record", "Stop", "Mute", "Hang up", "Flush", "Say", "Write", "Call"):
            assert f" {name}" not in text.splitlines()[-1]
        await r.stage.press("r", "m", "d", "i", "K", "w", "I", "3")
        assert r.stage.sent() == []
        assert r.stage.top() is r.stage.session


async def test_with_events_arriving_as_in_the_call_the_cursor_is_free(opened: Opening) -> None:
    async with opened(folds=True) as r:
        assert r.stage.session.log_pane.following
        await r.stage.press("home", "down")
        assert r.at_ms == 0
        assert event_at_cursor(r).number < 5
        await r.stage.press("space")
        await r.engine_says(5_000)
        assert event_at_cursor(r).number < 5


@at_every_size
async def test_snapshots(opened: Opening, size: tuple[int, int]) -> None:
    async with opened(size) as r:
        bins = 1_000
        user = bytes(bins - 700) + bytes(40 * (n % 7) for n in range(300)) + bytes(400)
        agent = bytes(30) + bytes(120 if n % 20 < 13 else 10 for n in range(260)) + bytes(710)
        await r.stage.play(
            [Peaks(path="audio.wav", bins=bins, bin_ms=10.0, tracks=(user[:800], agent[:800]))]
        )
        await r.stage.press("space")
        await r.engine_says(4_321)
        r.stage.check("transport", "Transport")
        r.stage.check("waveform", "WaveformStrip")
        r.stage.check("footer-in-a-replay", "KeyBar")


async def test_a_key_pressed_before_the_screen_is_mounted_does_nothing() -> None:
    screen = SessionScreen(Bridge(FakeEngine(), FakeClock()))
    await screen.questions.ask_place()
    assert not screen.questions.prompt.is_open


async def test_a_new_session_is_never_drawn_with_the_previous_ones_lines(booking: Stage) -> None:
    """Also tested between the ticks at which everything is drawn."""
    booking.app._launch, booking.app._ticks = Launch(), 0
    booking.engine.frames = Script().started().take()
    booking.session.transcript.forget_lines()
    booking.session.transcript.refresh()
    booking.app.tick()
    assert "Good morning" not in booking.text()
