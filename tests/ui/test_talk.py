from __future__ import annotations

from textual import events

from tests.ui.conftest import Stage, Staging
from tests.ui.fakes import Script, to_active
from tui.engine.wire import Record
from tui.models import events as e


async def mouse(s: Stage, kind: type[events.MouseEvent], x: int, y: int) -> None:
    s.app.post_message(kind(None, x, y, 0, 0, 1, False, False, False, x, y))
    await s.tick()


def button(s: Stage) -> tuple[int, int]:
    line = s.text().splitlines()[3]
    return line.index("◉"), 3


async def test_records_for_as_long_as_the_mouse_holds_it(script: Script, s: Stage) -> None:
    await s.play(to_active(script).take())
    s.sent()
    assert "◉ hold to talk" in s.text()
    await mouse(s, events.MouseDown, *button(s))
    assert s.sent() == [Record(on=True)]
    await s.play(script.add(e.RecordingChanged, recording=True).take())
    assert "◉ talking" in s.text()
    await mouse(s, events.MouseUp, 20, 12)
    assert s.sent() == [Record(on=False)], "let go outside the button, too"
    await mouse(s, events.MouseUp, *button(s))
    assert s.sent() == []


async def test_a_terminal_that_loses_the_focus_lets_go(script: Script, s: Stage) -> None:
    await s.play(to_active(script).take())
    s.sent()
    await mouse(s, events.MouseDown, *button(s))
    s.app.post_message(events.AppBlur())
    await s.until(lambda: not s.session.tab_line.talk.held)
    await s.tick()
    assert s.sent() == [Record(on=True), Record(on=False)]


async def test_it_is_idle_without_a_call(stage: Staging, script: Script) -> None:
    async with stage((60, 20)) as s:
        s.sent()
        assert "◉ talk" in s.text()
        await mouse(s, events.MouseDown, *button(s))
        await mouse(s, events.MouseUp, *button(s))
        assert s.sent() == []


async def test_the_button_shows_a_microphone_opened_by_key(script: Script, s: Stage) -> None:
    await s.play(to_active(script).add(e.RecordingChanged, recording=True).take())
    assert "◉ mic on" in s.text()
