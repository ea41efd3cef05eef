from __future__ import annotations

import pytest
from textual import events

from tests.ui.conftest import TARGET, Stage, Staging, sized
from tests.ui.fakes import NASTY, Script, telemetry, to_active
from tests.ui.test_nasty import check
from tui.engine.wire import Record, SendInstructions, SendText
from tui.models import events as e
from tui.models.target import Target
from tui.screens.instructions import InstructionsScreen


async def test_a_typed_turn_is_sent_as_written(call: Stage) -> None:
    await call.press("w", *"Is it", "space", *"open? [/b] rsd", "enter")
    assert call.sent() == [SendText(text="Is it open? [/b] rsd")]
    await call.press("x", "enter", "escape")
    assert call.sent() == [SendText(text="x")], "it stays for the next one"
    assert call.focused() is call.session.log_pane
    await call.press("r")
    assert call.sent() == [Record(on=True)], "and then keys are keys again"


async def test_the_line_takes_the_footers_place(call: Stage) -> None:
    above = call.text().splitlines()[:-1]
    await call.press("w")
    *lines, last = call.text().splitlines()
    assert lines == above
    assert "enter send · esc cancel" in last
    await call.play([telemetry(-20, -30)])
    assert "-20 dB" in call.text(), "meters go on"
    await call.press("escape")
    assert "q Quit" in call.text().splitlines()[-1]


async def test_esc_closes_the_line_from_another_pane_too(call: Stage) -> None:
    await call.press("w", *"half", "tab", "escape")
    assert "q Quit" in call.text().splitlines()[-1]
    await call.press("w")
    assert "half" in call.text().splitlines()[-1], "what was written is still there"


async def test_an_empty_line_sends_nothing_and_closes(call: Stage) -> None:
    await call.press("w", "space", "enter")
    assert call.sent() == []
    assert call.focused() is call.session.log_pane


async def test_instructions_are_sent_and_shown_when_edited_again(script: Script, s: Stage) -> None:
    await s.play(to_active(script, "openai").take())
    s.sent()
    await s.press("I", *"Be brief.", "enter", *"Be kind.", "ctrl+s")
    assert s.sent() == [SendInstructions(text="Be brief.\nBe kind.")]
    assert s.top() is s.session
    await s.press("I")
    assert "Be kind." in s.text()
    await s.press("x", "escape")
    assert s.sent() == []
    await s.press("I")
    screen = s.screen(InstructionsScreen)
    assert screen.area.text == "Be brief.\nBe kind."


async def test_a_new_call_begins_with_its_own_instructions(stage: Staging, script: Script) -> None:
    target = Target(url="ws://h:1/v1/realtime", protocol="openai", options={"instructions": "Be a pirate."})
    async with stage(target=target) as s:
        await s.play(to_active(script, "openai").take())
        await s.press("I", *"Arr! ", "ctrl+s")
        assert s.sent()[-1] == SendInstructions(text="Arr! Be a pirate.")
        await s.play(script.status(e.Status.ACTIVE, e.Status.ENDED).take())
        await s.press("c")
        assert s.session.controls.instructions == "Be a pirate."


@pytest.mark.parametrize("key", ["w", "I"])
@sized((160, 50))
async def test_neither_is_offered_without_a_call(script: Script, key: str, s: Stage) -> None:
    await s.press(key)
    assert s.top() is s.session
    assert s.focused() is s.session.log_pane
    assert "w Write" not in s.text()
    await s.play(to_active(script, "openai").take())
    assert "w Write  I Instructions" in s.text()
    found = [name.split(": ")[-1] for name in await s.palette()]
    assert {"Write  w", "Instructions  I"} <= set(found)
    await s.play(script.status(e.Status.ACTIVE, e.Status.RESUMING).take())
    await s.press(key)
    assert s.top() is s.session


@pytest.mark.parametrize(
    ("key", "protocol", "reason"),
    [
        ("K", "pcm", "DTMF: Plain PCM does not support pressing keys"),
        ("w", "twilio", "Write: Twilio Media Streams does not support typed turns"),
        (
            "I",
            "audiocodes",
            "Instructions: AudioCodes Bot API does not support changing instructions during a call",
        ),
    ],
)
@sized((160, 50))
async def test_what_the_protocol_lacks_is_shown_before_anything_is_typed(
    script: Script, key: str, protocol: str, reason: str, s: Stage
) -> None:
    name, _, why = reason.partition(": ")
    await s.play(to_active(script, protocol).take())
    assert f"{key} {name}" not in s.text()
    await s.press(key)
    assert s.top() is s.session
    assert s.text().splitlines()[-1].strip() == reason
    await s.pilot.resize_terminal(160, 160)
    await s.press("question_mark")
    assert f"(not now: {why})" in " ".join(s.text().replace("│", " ").split())
    assert s.sent()[1:] == []


@pytest.mark.parametrize("key", ["w", "I"])
async def test_nasty_texts_can_be_pasted(script: Script, key: str, s: Stage) -> None:
    await s.play(to_active(script, "openai").take())
    await s.press(key)
    for text in NASTY[:-2]:
        s.app.post_message(events.Paste(text))
        await s.settle()
        check(s)


async def test_a_paste_of_several_lines_is_one_line(stage: Staging, script: Script) -> None:
    async with stage(target=TARGET) as s:
        await s.play(to_active(script, "openai").take())
        await s.press("w")
        s.app.post_message(events.Paste("one\r\ntwo\tthree \x1b[31m" + "x" * 20_000))
        await s.settle()
        s.sent()
        await s.press("enter")
        (sent,) = s.sent()
        assert isinstance(sent, SendText)
        assert sent.text.startswith("one two three [31mxxx")
        assert len(sent.text) == 10_000
