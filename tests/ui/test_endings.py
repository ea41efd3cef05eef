from __future__ import annotations

from pathlib import Path

import pytest
from textual.filter import Monochrome, NoColor
from textual.widget import Widget

from tests.ui.conftest import TARGET, Stage, Staging
from tests.ui.fakes import FakeClock, FakeEngine
from tui.app import Launch, OpusAgentApp
from tui.bridge import Bridge
from tui.engine.wire import Pause
from tui.exit_code import ExitCode


@pytest.mark.parametrize("key", ["q", "ctrl+c", "ctrl+q"])
async def test_quitting_exits_with_0(stage: Staging, key: str) -> None:
    async with stage() as s:
        await s.pilot.press(key)
    assert s.app.return_code == 0
    assert s.app.return_value == 0


async def test_in_a_field_ctrl_c_quits_and_q_is_typed(stage: Staging) -> None:
    async with stage(target=None) as s:
        await s.press("q")
        assert s.app.return_code is None
        await s.pilot.press("ctrl+c")
    assert s.app.return_code == 0


async def test_a_crash_is_one_sentence_without_local_variables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    app = OpusAgentApp(Bridge(FakeEngine(), FakeClock()), target=TARGET, launch=Launch(auto_tick=False))

    def fail() -> None:
        local_secret = "hunter2"
        raise RuntimeError(f"boom {len(local_secret)}")

    async def crash() -> None:
        async with app.run_test() as pilot:
            app.call_later(fail)
            await pilot.pause()

    with pytest.raises(RuntimeError, match="boom"):
        await crash()
    assert app.return_code == ExitCode.CRASHED
    sentence, _, file = app.crash_report.partition(" The details are in ")
    assert sentence == "opusagent-tui stopped because of an internal error (RuntimeError)."
    assert file.startswith(f"{tmp_path}/opusagent-tui-crash-")
    assert "local_secret = " not in capsys.readouterr().err


async def test_no_color_leaves_the_terminals_own_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = OpusAgentApp(Bridge(FakeEngine(), lambda: 0), launch=Launch(auto_tick=False))
    assert any(isinstance(each, NoColor) for each in app._filters)
    assert not any(isinstance(each, Monochrome) for each in app._filters)


async def test_everything_is_redrawn_on_resume(booking: Stage) -> None:
    booking.app.app_suspend_signal.publish(booking.app)
    assert booking.sent() == [Pause(paused=True)]
    await booking.tick()
    booking.app.app_resume_signal.publish(booking.app)
    assert booking.sent() == [Pause(paused=False)]
    seen = [widget for widget in booking.session.walk_children(Widget) if widget.region]
    assert len(seen) > 8
    assert [widget for widget in seen if not widget._repaint_required] == []
