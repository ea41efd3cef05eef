"""Tests that marks and notes outlive the screen, and that a light shows whether the call is saved."""

from __future__ import annotations

from pathlib import Path

from tests.ui.conftest import Stage, Staging
from tests.ui.fakes import FakeClock, Script, a_call, to_active
from tui.engine.wire import MessagesFile
from tui.models import events as e
from tui.saving.marks_file import read_marks
from tui.text.redaction import know_secrets
from tui.view.playhead import Playhead


async def test_a_mark_and_a_note_are_saved_at_once_and_shown_when_the_session_is_opened(
    stage: Staging, script: Script, tmp_path: Path
) -> None:
    items = a_call(script).take()
    async with stage((120, 40)) as s:
        await s.play(items)
        await s.press("home", "down", "b", "a")
        await s.press(*"slow", "space", *"here", "enter")
        number = s.number
        marks = read_marks(tmp_path)
        assert (marks.numbers, marks.notes) == ([number], {number: "slow here"})
    async with stage((120, 40), target=None, playhead=Playhead(0, 1, clock_ns=FakeClock())) as s:
        await s.play(items)
        await s.tick()
        assert "slow here" in s.text("#log")
        await s.press("right_square_bracket")
        assert s.number == number
        await s.press("b")
        assert read_marks(tmp_path).numbers == []


async def test_in_a_pane_a_mark_and_a_note_belong_to_its_row(tmp_path: Path, booking: Stage) -> None:
    await booking.press("home", "u", "end", "b", "a")
    log, turn = booking.bridge.log, booking.bridge.state.metrics.turns[-1]
    assert log.row_of(booking.number) == log.row_of(turn.first_event)
    assert f"on event #{booking.number}" in booking.text()
    await booking.press(*"slow", "enter")
    marks = read_marks(tmp_path)
    assert (marks.numbers, marks.notes) == ([booking.number], {booking.number: "slow"})


async def test_marks_of_one_call_are_not_those_of_the_next(
    stage: Staging, script: Script, tmp_path: Path
) -> None:
    async with stage() as s:
        await s.play(to_active(script).take())
        await s.press("home", "b")
        next_folder = tmp_path / "next"
        next_folder.mkdir()
        other = Script()
        other.items.append(MessagesFile(path="", session=str(next_folder)))
        await s.play(to_active(other).take())
        await s.press("home", "down", "b")
        assert s.bridge.folder.marks.numbers == [2]
    assert read_marks(tmp_path).numbers == [1]
    assert read_marks(next_folder).numbers == [2]


async def test_a_secret_in_a_note_is_neither_shown_nor_saved(
    stage: Staging, script: Script, tmp_path: Path
) -> None:
    know_secrets(["tok-4711-secret"])
    async with stage((120, 40)) as s:
        await s.play(to_active(script).take())
        await s.press("a", *"tok-4711-secret", "enter")
        assert "4711" not in s.text("#log")
    assert "4711" not in (tmp_path / "marks.jsonl").read_text()


async def test_a_note_in_a_call_that_is_not_saved_warns_once(s: Stage) -> None:
    await s.play(to_active(Script()).take())
    await s.press("b")
    await s.press("up", "b")
    (warning,) = s.app._notifications
    assert warning.message.startswith(
        "This session is not being saved: marks and notes will be lost when it ends."
    )


async def test_a_note_that_cannot_be_saved_is_reported(tmp_path: Path, call: Stage) -> None:
    (tmp_path / "marks.jsonl").mkdir()
    await call.press("b")
    (warning,) = call.app._notifications
    assert warning.message == "The mark or note could not be saved: Is a directory."


async def test_the_light_says_whether_the_call_is_saved(script: Script, s: Stage) -> None:
    s_ = e.Status
    assert "saving" not in s.text("#strip")
    await s.play(to_active(script).take())
    assert "□ mic off  ● saving  0:00" in s.text("#strip")
    script.error("The session is no longer being saved: full.", source="session file", code="unsaved")
    await s.play(script.take())
    assert "not saved  0:00" in s.text("#strip")
    assert "● saving" not in s.text("#strip")
    await s.play(script.status(s_.ACTIVE, s_.ENDING).status(s_.ENDING, s_.ENDED).take())
    assert "saved" not in s.text("#strip")


async def test_a_gap_in_what_is_saved_does_not_turn_the_light_off(script: Script, s: Stage) -> None:
    to_active(script).error("The disk is too slow.", source="session file", code="unkept")
    await s.play(script.take())
    assert "● saving" in s.text("#strip")


async def test_a_call_that_is_not_saved_says_so_at_every_size(stage: Staging) -> None:
    for size in ((60, 20), (80, 24), (120, 40)):
        async with stage(size) as s:
            await s.play(to_active(Script()).take())
            assert "not saved  0:00" in s.text("#strip")


async def test_a_replay_has_no_saving_light(stage: Staging, script: Script) -> None:
    async with stage((120, 40), target=None, playhead=Playhead(0, 1, clock_ns=FakeClock())) as s:
        await s.play(to_active(script).take())
        assert "saving" not in s.text("#strip")
        assert "not saved" not in s.text("#strip")
