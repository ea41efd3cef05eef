from __future__ import annotations

from tests.ui.conftest import Stage, Staging, sized
from tests.ui.fakes import Script, a_call, telemetry

SIZES = [(60, 16), (80, 24), (119, 29), (120, 30), (200, 60)]


async def test_everything_is_present_at_any_size(script: Script, s: Stage) -> None:
    words = ("● active", "◉ mic on", "response 480 ms", "unplayed 0.6 s", "Events", "Transcript", "q Quit")
    await s.play([*a_call(script).take(), telemetry(-20, -30)])
    for size in SIZES:
        await s.pilot.resize_terminal(*size)
        await s.tick()
        assert [word for word in words if word not in s.text()] == [], size
        await s.press("enter")
        assert "Detail" in s.text()
        await s.press("escape")


async def test_resizing_during_a_call(script: Script, s: Stage) -> None:
    items = a_call(script).take()
    for step, size in enumerate([*SIZES, (10, 5), (1, 1), (59, 30), (200, 15), *reversed(SIZES)]):
        await s.pilot.resize_terminal(*size)
        await s.play(items[step * 15 : step * 15 + 15])
        if step == 3:
            await s.press("enter")
    assert s.session.log_pane.size.width > 50


@sized((59, 24), (80, 15), (20, 6))
async def test_too_small_is_a_sentence(booking: Stage) -> None:
    assert "at least" in " ".join(booking.text().split())
    assert "Events" not in booking.text()
    await booking.pilot.resize_terminal(80, 24)
    await booking.settle()
    assert "Events" in booking.text()


async def test_the_connect_screen_shows_it_too(stage: Staging) -> None:
    async with stage((50, 12), target=None) as s:
        assert "at least" in s.text()
        assert "60 columns and 16 rows." in s.text(), "in one line"
        assert "The call continues" not in s.text(), "there is no call"
