from __future__ import annotations

from tests.ui.conftest import Stage
from tests.ui.fakes import Script, telemetry, to_active
from tui.models import events as e


def user_meter(s: Stage) -> str:
    return s.text().splitlines()[2][:40].rstrip()


async def test_unmeasured_is_a_dash_and_silence_is_not(s: Stage) -> None:
    assert user_meter(s).endswith("– dB")
    await s.play([telemetry(float("-inf"), None)])
    assert user_meter(s).endswith("-∞ dB")


async def test_a_call_that_is_over_has_no_level(script: Script, s: Stage) -> None:
    await s.play([*to_active(script).take(), telemetry(-20, -30)])
    assert user_meter(s).endswith("-20 dB")
    await s.play(
        script.status(e.Status.ACTIVE, e.Status.ENDING).status(e.Status.ENDING, e.Status.ENDED).take()
    )
    assert user_meter(s).endswith("– dB")
    assert "│" not in user_meter(s)


async def test_any_level_can_be_drawn(s: Stage) -> None:
    for level in (-60.0, -41.3, -18.0, -0.1, 0.0, 3.0, float("nan"), float("inf")):
        await s.play([telemetry(level, level)])
        assert "dB" in user_meter(s)


async def test_the_bar_grows_in_eighths(s: Stage) -> None:
    bars = []
    for level in (-30.0, -29.8, -29.5, -20.0):
        await s.play([telemetry(level, None)])
        bars.append(user_meter(s))
    full = [bar.count("█") for bar in bars]
    assert full[0] < full[-1]
    assert len(set(bars)) == 4


async def test_the_peak_stands_where_the_engine_holds_it(s: Stage) -> None:
    await s.play([telemetry(-20, None)])
    held = user_meter(s).index("│")
    await s.play([telemetry(-50, None)])
    assert user_meter(s).index("│") < held


async def test_clipping_is_a_word(s: Stage) -> None:
    await s.play([telemetry(-1, None, clipped=True)])
    assert user_meter(s).endswith("CLIP")
    await s.play([telemetry(-9, None)])
    assert user_meter(s).endswith("-9 dB")
