from __future__ import annotations

from textual import events

from tests.ui.conftest import Stage, sized
from tests.ui.fakes import Script, to_active
from tests.ui.test_panes import mouse
from tui.engine.wire import Record
from tui.models import events as e


def button(s: Stage) -> tuple[int, int]:
    line = s.text().splitlines()[3]
    return line.index("◉"), 3


async def test_records_for_as_long_as_the_mouse_holds_it(script: Script, call: Stage) -> None:
    assert "◉ hold to talk" in call.text()
    await mouse(call, events.MouseDown, *button(call))
    assert call.sent() == [Record(on=True)]
    await call.play(script.add(e.RecordingChanged, recording=True).take())
    assert "◉ talking" in call.text()
    await mouse(call, events.MouseUp, 20, 12)
    assert call.sent() == [Record(on=False)], "let go outside the button, too"
    await mouse(call, events.MouseUp, *button(call))
    assert call.sent() == []


async def test_a_terminal_that_loses_the_focus_lets_go(call: Stage) -> None:
    await mouse(call, events.MouseDown, *button(call))
    call.app.post_message(events.AppBlur())
    await call.until(lambda: not call.session.tab_line.talk.held)
    await call.tick()
    assert call.sent() == [Record(on=True), Record(on=False)]


@sized((60, 20))
async def test_it_is_idle_without_a_call(script: Script, s: Stage) -> None:
    s.sent()
    assert "◉ talk" in s.text()
    await mouse(s, events.MouseDown, *button(s))
    await mouse(s, events.MouseUp, *button(s))
    assert s.sent() == []


async def test_the_button_shows_a_microphone_opened_by_key(script: Script, s: Stage) -> None:
    await s.play(to_active(script).add(e.RecordingChanged, recording=True).take())
    assert "◉ mic on" in s.text()
