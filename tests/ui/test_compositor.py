from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyte
import pytest
from textual._compositor import Compositor, CompositorUpdate
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from tests.ui.conftest import Stage, sized
from tests.ui.fakes import Script, a_call, telemetry, to_active
from tui.screens.compositor import LineCompositor

_PAINT = Compositor.render_update


class Painted:
    """A terminal that shows what the compositor has painted."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        width, height = stage.app.size
        self._screen = pyte.Screen(width, height)
        self._stream = pyte.Stream(self._screen)
        self.paint(full=True)

    def paint(self, *, full: bool = False) -> None:
        """Paints what has changed, or everything."""
        screen = self._stage.app.screen
        screen._compositor.update_widgets(screen._dirty_widgets)
        screen._dirty_widgets.clear()
        update: object = _PAINT(screen._compositor, full, screen_stack=self._stage.app._background_screens)
        if isinstance(update, CompositorUpdate):
            self._stream.feed(update.render_segments(self._stage.app.console))

    def check(self) -> None:
        """Compares the terminal with one on which everything was painted at once."""
        everything = Painted(self._stage)
        assert self.text == everything.text
        assert self.cells == everything.cells

    @property
    def cells(self) -> list[list[pyte.screens.Char]]:
        """The characters with their colors, line by line."""
        lines, columns = range(self._screen.lines), range(self._screen.columns)
        return [[self._screen.buffer[y][x] for x in columns] for y in lines]

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self._screen.display) + "\n"


@pytest.fixture
def unpainted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves all painting to `Painted`."""
    monkeypatch.setattr(Compositor, "render_update", lambda *_, **__: None)


@contextmanager
def rendered(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[Widget, Region]]]:
    """Yields a list of the widgets that are rendered, with the parts of them."""
    found: list[tuple[Widget, Region]] = []
    render = Widget.render_lines

    def noted(self: Widget, crop: Region) -> list[Strip]:
        found.append((self, crop))
        return render(self, crop)

    with monkeypatch.context() as patch:
        patch.setattr(Widget, "render_lines", noted)
        yield found


@pytest.mark.usefixtures("unpainted")
@sized((80, 24), (120, 40))
async def test_painting_changes_equals_painting_everything(script: Script, s: Stage) -> None:
    terminal = Painted(s)
    items = a_call(script).take()
    for number in range(0, len(items), 3):
        await s.play([*items[number : number + 3], telemetry(-40 + number, -20 - number)])
        terminal.paint()
    await s.press("h", "up", "up")
    terminal.paint()
    terminal.check()
    assert "Events" in terminal.text


@pytest.mark.usefixtures("unpainted")
async def test_painting_around_a_dialog_equals_painting_everything(script: Script, booking: Stage) -> None:
    await booking.press("A")
    terminal = Painted(booking)
    for level in (-40, -30, -20):
        await booking.play([telemetry(level, level), *script.message("agent.mood", {}).take()])
        terminal.paint()
    await booking.press("escape")
    terminal.paint()
    terminal.check()


@pytest.mark.usefixtures("unpainted")
async def test_only_what_has_changed_is_rendered(
    script: Script, monkeypatch: pytest.MonkeyPatch, s: Stage
) -> None:
    await s.play(
        [*to_active(script).message("playStream.chunk", {}, audio_ms=20).take(), telemetry(-40, -40)]
    )
    terminal = Painted(s)
    assert isinstance(s.session._compositor, LineCompositor)
    with rendered(monkeypatch) as found:
        await s.play([telemetry(-20, -40), *script.message("playStream.chunk", {}, audio_ms=20).take()])
        terminal.paint()
    widgets = {widget for widget, _ in found}
    assert s.session.meters.user in widgets
    assert s.session.meters.agent not in widgets
    assert s.session.transcript not in widgets
    assert s.session not in widgets, "the screen is below all others"
    assert s.session.log_pane in widgets
    assert {part for widget, part in found if widget is s.session.meters.user} == {
        s.session.meters.user.size.region
    }


@pytest.mark.usefixtures("unpainted")
async def test_nothing_is_painted_when_nothing_has_changed(monkeypatch: pytest.MonkeyPatch, s: Stage) -> None:
    terminal = Painted(s)
    with rendered(monkeypatch) as found:
        terminal.paint()
    assert not found
    compositor: Any = s.session._compositor
    assert compositor.render_partial_update() is None
