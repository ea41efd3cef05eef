"""Tests copying, playing and comparing the selected event."""

from __future__ import annotations

import base64
import json
import os
import stat
from pathlib import Path

import pytest

from tests.ui.conftest import Stage, Staging, sized
from tests.ui.fakes import NASTY, Script, to_active
from tests.ui.test_nasty import check
from tui.audio.formats import AudioFormat, Encoding
from tui.engine.wire import PlayAudio, PlayingAudio
from tui.models import events as e
from tui.screens.clipboard import TERMINALS_TAKE_BYTES, clipboard_tool
from tui.screens.compare import CompareScreen


@pytest.fixture(autouse=True)
def no_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps tests from writing to the user's clipboard."""
    for name in ("WAYLAND_DISPLAY", "DISPLAY", "TMUX"):
        monkeypatch.delenv(name, raising=False)


def notices(s: Stage) -> str:
    return " ".join(notice.message for notice in s.app._notifications)


async def read(s: Stage, script: Script, body: dict[str, object] | bytes, *keys: str) -> None:
    await s.play(to_active(script).message("big", body).take())
    await s.press("enter", "enter", *keys)


# copy


async def test_a_toast_replaces_the_earlier_one_of_its_kind(script: Script, s: Stage) -> None:
    await read(s, script, {"session": {"voice": "ash"}}, "down", "down", "y", "Y")
    await s.until(lambda: notices(s) == "Copied $.session.voice")
    s.app.notify("It cannot be read.", severity="error")
    s.app.notify("report.html", title="Report saved")
    await s.until(lambda: notices(s) == "Copied $.session.voice It cannot be read. report.html")
    s.app.notify("It cannot be written.", severity="error")
    await s.until(lambda: notices(s) == "Copied $.session.voice report.html It cannot be written.")


async def test_value_path_and_message_are_copied(script: Script, s: Stage) -> None:
    await read(s, script, {"session": {"voice": "ash", "speed": 1.50}}, "down", "down")
    assert s.focused() is s.session.detail
    await s.press("Y")
    assert s.app.clipboard == "$.session.voice"
    await s.press("y")
    assert s.app.clipboard == "ash"
    assert "Copied the value of $.session.voice (3 characters)." in notices(s)
    await s.press("up", "y")
    assert s.app.clipboard == '{"voice": "ash", "speed": 1.5}'
    await s.press("C")
    assert s.app.clipboard == json.dumps({"type": "big", "session": {"voice": "ash", "speed": 1.50}})


async def test_the_copy_is_verbatim_and_the_notice_is_made_visible(script: Script, call: Stage) -> None:
    for text in NASTY:
        await call.play(script.message("nasty", {"text": text}).take())
        await call.press("escape", "F", "enter", "enter", "end")
        line = call.session.detail._tree
        assert line is not None
        while call.session.detail.copied_path() != ("path", "$.text"):
            await call.press("left")
        await call.press("y")
        assert call.app.clipboard == text.encode("utf-8", "replace").decode()
        check(call)
        await call.press("C")
        check(call)


async def test_without_a_detail_the_message_is_copied(script: Script, s: Stage) -> None:
    await s.play(to_active(script).message("x", {"a": 1}).take())
    await s.press("y")
    assert s.app.clipboard == '{"type": "x", "a": 1}'
    await s.press("Y")
    assert s.app.clipboard == '{"type": "x", "a": 1}', "there is no path, and the key does nothing"


async def test_bytes_and_other_events_are_copied_as_text(script: Script, s: Stage) -> None:
    await read(s, script, b"\x00\xff\x01", "Y", "C")
    assert "no paths to copy" in notices(s)
    assert base64.b64decode(s.app.clipboard) == b"\x00\xff\x01"
    assert "in base64 (4 characters)" in notices(s)
    await s.play(script.add(e.NoticeRaised, text="late").take())
    await s.press("escape", "F", "C")
    assert json.loads(s.app.clipboard)["text"] == "late"


async def test_a_message_that_was_not_saved_is_not_copied(s: Stage) -> None:
    await s.play(to_active(Script()).message("x", {}).take())
    await s.press("C")
    assert "nothing was copied" in notices(s)
    assert s.app.clipboard == ""


async def test_a_text_too_long_for_terminals_is_warned_about(script: Script, s: Stage) -> None:
    await read(s, script, {"text": "x" * TERMINALS_TAKE_BYTES}, "C")
    assert "at most 75 kB" in notices(s)


async def test_the_systems_clipboard_tool_gets_the_text_too(
    stage: Staging, script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool, got = tmp_path / "xclip", tmp_path / "got"
    tool.write_text(f'#!/bin/sh\ncat > {got}.part && echo "$@" >> {got}.part && mv {got}.part {got}\n')
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("DISPLAY", ":9")
    monkeypatch.setattr("sys.platform", "linux")
    async with stage() as s:
        await read(s, script, {"text": "é"}, "down", "y")
        assert s.app.clipboard == "é", "the terminal has it as well"
        await s.until(got.exists)
        assert got.read_text(encoding="utf-8") == "é-selection clipboard\n"


def test_a_tool_is_used_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("wl-copy", "xsel", "tmux"):
        (tmp_path / name).touch(0o755)
    path = {"PATH": str(tmp_path)}
    assert clipboard_tool(path) == ()
    assert clipboard_tool({**path, "DISPLAY": ":0"})[0] == "xsel"
    assert clipboard_tool({**path, "DISPLAY": ":0", "WAYLAND_DISPLAY": "w"}) == ("wl-copy",)
    assert clipboard_tool({**path, "TMUX": "/tmp/x"}) == ("tmux", "load-buffer", "-w", "-")
    monkeypatch.setattr("sys.platform", "darwin")
    assert clipboard_tool({}) == ("pbcopy",)


# hear


def chunk(byte: int) -> dict[str, object]:
    return {"audioChunk": base64.b64encode(bytes([byte, 1]) * 320).decode()}


async def test_a_run_is_played_as_one_piece_and_stopped(script: Script, s: Stage) -> None:
    to_active(script)
    for byte in (1, 2, 3):
        script.message("playStream.chunk", chunk(byte), audio_ms=20)
    await s.play(script.take())
    s.sent()
    await s.press("p")
    (command,) = s.sent()
    assert isinstance(command, PlayAudio)
    assert command.wire == bytes([1, 1]) * 320 + bytes([2, 1]) * 320 + bytes([3, 1]) * 320
    assert command.format == AudioFormat(Encoding.PCM16, 16_000)
    await s.play([PlayingAudio(clip=command.clip, at_ms=40, playing=True)])
    assert "▶ 0.0 of 0.1 s, p stops" in s.text()
    await s.press("p")
    assert [isinstance(stop, PlayAudio) and not stop.wire for stop in s.sent()] == [True]
    assert "▶ 0" not in s.text()


async def test_one_message_of_an_opened_run_is_played_alone(script: Script, s: Stage) -> None:
    to_active(script)
    for byte in (1, 2):
        script.message("playStream.chunk", chunk(byte), audio_ms=20)
    await s.play(script.take())
    await s.press("right", "down", "enter", "p")
    command = next(command for command in s.sent() if isinstance(command, PlayAudio))
    assert command.wire == bytes([1, 1]) * 320
    await s.play([PlayingAudio(clip=command.clip, at_ms=20, playing=False)])
    await s.press("p")
    assert any(isinstance(again, PlayAudio) and again.wire for again in s.sent()), "it had ended: once more"


async def test_a_clip_that_replaced_ours_is_not_stopped(script: Script, s: Stage) -> None:
    await s.play(to_active(script).message("playStream.chunk", chunk(1), audio_ms=20).take())
    await s.press("p")
    other = s.bridge.player.play(PlayAudio(path="/tmp/other.wav"))
    await s.play([PlayingAudio(clip=other, at_ms=0, playing=True)])
    assert "p stops" not in s.text()
    s.sent()
    await s.press("p")
    assert any(isinstance(again, PlayAudio) and again.wire for again in s.sent())


async def test_audio_that_cannot_be_played_shows_the_reason(script: Script, s: Stage) -> None:
    await s.play(to_active(script).message("mark", {}).take())
    s.sent()
    await s.press("p")
    assert s.sent() == []
    assert "event has no audio" in notices(s)
    await s.play(script.message("playStream.chunk", chunk(1), audio_ms=20).take())
    await s.press("F", "p")
    command = next(command for command in s.sent() if isinstance(command, PlayAudio))
    problem = "The speaker has disappeared: reconnect it or choose another device."
    await s.play([PlayingAudio(clip=command.clip, at_ms=0, playing=False, problem=problem)])
    assert problem in notices(s)


# compare


async def compare_screen(s: Stage) -> CompareScreen:
    await s.press("D")
    screen = s.screen(CompareScreen)
    await s.tick()
    return screen


def two_updates(script: Script) -> Script:
    instructions = "You are a clerk of a clinic and answer briefly. " * 4
    session = {"voice": "ash", "speed": 1.0, "old": True, "instructions": instructions}
    other = {"voice": "coral", "speed": 1.0, "new": [1, 2], "instructions": instructions + "Be kind."}
    to_active(script).after(100).message("session.update", {"session": session}, sent=True)
    return script.after(250).message("session.update", {"session": other}, sent=True)


async def test_marked_events_are_compared(script: Script, s: Stage) -> None:
    await s.play(two_updates(script).take())
    await s.press("b", "up", "b", "home")
    await compare_screen(s)
    text = s.text()
    assert "3 changed" not in text
    assert "Compare · 2 changed, 1 only left, 1 only right" in text
    lines = [line.rstrip(" ▁▂▃▄▅▆▇█") for line in text.splitlines()]
    assert '-   voice: "ash"' in lines
    assert '+   voice: "coral"' in lines
    assert "Δ 0.250 s" in text
    assert "Be kind." in text, "a long text is shown where it differs"


@sized((160, 50))
async def test_side_by_side_where_there_is_room(script: Script, s: Stage) -> None:
    await s.play(two_updates(script).take())
    await s.press("up", "b", "down")
    screen = await compare_screen(s)
    line = next(line for line in s.text().splitlines() if "voice" in line)
    assert '"ash"' in line
    assert '"coral"' in line
    assert "changed  $.session.voice" in s.text(), "it begins with the first difference"
    await s.press("n", "Y")
    assert s.app.clipboard == "$.session.old"
    await s.press("y")
    assert s.app.clipboard == "true"
    await s.press("N", "y")
    assert s.app.clipboard == "coral"
    await s.press("a")
    assert "speed" not in s.text()
    assert screen.view.row is not None
    assert screen.view.row.path == ("session", "voice")
    await s.press("end", "n")
    assert "No more differences" in notices(s)
    await s.pilot.resize_terminal(80, 24)
    await s.tick()
    assert any(line.startswith('-   voice: "ash"') for line in s.text().splitlines())
    await s.press("escape")
    assert s.top() is s.session


async def test_comparing_without_a_mark_explains_how(script: Script, s: Stage) -> None:
    await s.play(two_updates(script).take())
    await s.press("D")
    assert s.top() is s.session
    assert "Mark an event (b)" in notices(s)
    await s.press("b", "D")
    assert s.top() is s.session, "with itself it is not compared"


async def test_of_many_marks_the_previous_one_is_compared(booking: Stage) -> None:
    await booking.press("home", "b", "down", "b", "down", "down", "b", "end")
    await compare_screen(booking)
    assert "- #4 " in booking.text().splitlines()[0]


async def test_nasty_messages_are_compared(script: Script, s: Stage) -> None:
    await s.play(to_active(script).message("nasty", {"same": 1}).take())
    await s.press("b")
    for number, text in enumerate(NASTY):
        if number % 2:
            script.message("raw", text.encode("utf-8", "surrogatepass"), text)
        else:
            script.message(text[:50] or "x", {text: text, "same": [text]}, text)
        await s.play(script.take())
        await s.press("F")
        await compare_screen(s)
        check(s)
        await s.press("escape")
