from __future__ import annotations

from tests.ui.conftest import Staging
from tests.ui.fakes import Script, a_call, to_active
from tui.models import events as e


def failing(script: Script, message: str = "it broke", hint: str = "mend it") -> Script:
    return script.add(e.ErrorRaised, source="socket", code="x", message=message, hint=hint)


async def test_hidden_without_an_error(stage: Staging, script: Script) -> None:
    async with stage() as s:
        await s.play(to_active(script).take())
        assert not s.session.banner.display


async def test_names_error_hint_and_count(stage: Staging, script: Script) -> None:
    async with stage() as s:
        await s.play(failing(to_active(script)).take())
        assert "✗ socket: it broke" in s.text()
        assert "mend it" in s.text()
        await s.play(failing(script, "again").take())
        assert "✗ socket: again" in s.text()
        assert "2 errors" in s.text()


async def test_a_low_terminal_gives_each_text_one_line(stage: Staging, script: Script) -> None:
    async with stage((80, 20)) as s:
        await s.play(failing(to_active(script), "a long message " * 10, "a long hint " * 10).take())
        assert s.session.banner.size.height == 2


async def test_it_is_as_high_as_its_error_needs(stage: Staging, script: Script) -> None:
    async with stage((80, 24)) as s:
        await s.play(failing(to_active(script), "a long message " * 20, "a long hint " * 20).take())
        assert s.session.banner.size.height == 4
        await s.play(failing(script, "short").take())
        assert s.session.banner.size.height == 2


async def test_e_jumps_to_its_event(stage: Staging, script: Script) -> None:
    async with stage() as s:
        await s.play(failing(a_call(script)).take())
        await s.play(script.message("session.end", {}).take())
        await s.press("tab", "e")
        row = s.session.log_pane.row
        assert row is not None
        assert isinstance(s.bridge.log.event(row), e.ErrorRaised)
        assert s.app.focused is s.session.log_pane
        assert "✗ error" in s.text()


async def test_a_click_jumps_too(stage: Staging, script: Script) -> None:
    async with stage() as s:
        await s.play(failing(to_active(script)).take())
        await s.play(script.add(e.RoundTripMeasured, round_trip_ms=1).take())
        await s.pilot.click(s.session.banner)
        await s.settle()
        row = s.session.log_pane.row
        assert row is not None
        assert isinstance(s.bridge.log.event(row), e.ErrorRaised)


async def test_esc_dismisses_until_the_next_error(stage: Staging, script: Script) -> None:
    async with stage() as s:
        await s.play(failing(to_active(script)).take())
        await s.press("escape")
        assert not s.session.banner.display
        await s.tick()
        assert not s.session.banner.display
        await s.play(failing(script).take())
        assert s.session.banner.display


async def test_a_new_session_has_no_error(stage: Staging, script: Script) -> None:
    async with stage() as s:
        await s.play(failing(to_active(script)).take())
        await s.play(to_active(Script()).take())
        assert not s.session.banner.display


async def test_a_notice_is_one_line_until_it_is_dismissed(stage: Staging, script: Script) -> None:
    async with stage() as s:
        text = "No PortAudio: recorded caller lines are the microphone."
        await s.play(to_active(script).add(e.NoticeRaised, text=text, hint="Install libportaudio2.").take())
        assert "! No PortAudio: recorded caller lines are the microphone. Install" in s.text()
        await s.press("escape")
        assert not s.session.notice.display
