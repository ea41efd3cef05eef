from __future__ import annotations

from tests.ui.conftest import Staging
from tests.ui.fakes import MS, Script, telemetry, to_active
from tui.engine.wire import ReadingSession
from tui.models import events as e
from tui.models.events import Loss, Status
from tui.widgets.strip import STATUS_LOOKS

WALK = [
    Status.CONNECTING,
    Status.INITIATING,
    Status.ACTIVE,
    Status.RESUMING,
    Status.ACTIVE,
    Status.ENDING,
    Status.ENDED,
]


async def test_follows_the_status_through_every_state(stage: Staging, script: Script) -> None:
    async with stage() as s:
        assert "○ idle" in s.text()
        await s.play(script.started().take())
        old = Status.IDLE
        for new in WALK:
            await s.play(script.status(old, new).take())
            assert f"{STATUS_LOOKS[new][0]} {new.value}  demo" in s.text().splitlines()[0]
            old = new
        await s.play(script.status(Status.ENDED, Status.ERROR, "the agent hung up").take())
        assert "✗ error  demo  audiocodes  the agent hung up" in s.text().splitlines()[0]


def test_every_status_has_a_glyph_of_its_own() -> None:
    assert len({glyph for glyph, _ in STATUS_LOOKS.values()}) == len(Status)


async def test_a_figure_that_was_not_measured_is_a_dash(stage: Staging, script: Script) -> None:
    async with stage() as s:
        assert "–:––" in s.text().splitlines()[0]
        await s.play(to_active(script).take())
        assert "response –" in s.text()
        assert "greeting –" in s.text()
        assert "ping –" in s.text()
        assert "– dB" in s.text()


async def test_the_clock_goes_on_without_events(stage: Staging, script: Script) -> None:
    async with stage() as s:
        await s.play(to_active(script).take())
        s.clock.now_ns += 3_725_000 * MS
        await s.tick()
        assert s.text().splitlines()[0].endswith("1:02:04")


async def test_a_saved_session_that_is_being_read_is_not_taken_for_a_call(
    stage: Staging, script: Script
) -> None:
    async with stage() as s:
        await s.play([*to_active(script).take(), ReadingSession(share=0.42)])
        first = s.text().splitlines()[0]
        assert first.startswith(" ◌ reading the session: 42%  demo")
        assert "active" not in first
        assert "mic" not in first
        await s.play([ReadingSession(share=1.0)])
        assert "● active  demo" in s.text().splitlines()[0]


async def test_indicators_are_words(stage: Staging, script: Script) -> None:
    async with stage() as s:
        await s.play(to_active(script).take())
        assert "mic off" in s.text()
        script.add(e.RecordingChanged, recording=True).add(e.MutedChanged, muted=True)
        script.add(e.VolumeChanged, volume=0.5).add(e.LineChanged, name="3")
        await s.play(script.take())
        first, second = s.text().splitlines()[:2]
        assert "volume 50%  ▲ MUTED  ◉ mic on" in first
        assert second.endswith("▶ 3")
        await s.play(script.add(e.LineChanged, name="3", finished=True).take())
        assert "▶" not in s.text().splitlines()[1]


async def test_how_far_a_line_has_come(stage: Staging, script: Script) -> None:
    async with stage() as s:
        to_active(script).add(e.LineChanged, name="hours")
        await s.play([*script.take(), telemetry(None, None, line_progress=0.45)])
        assert s.text().splitlines()[1].endswith("▶ hours 45%")
        await s.play([telemetry(None, None, line_progress=7.0)])
        assert s.text().splitlines()[1].endswith("▶ hours 100%")


async def test_usage_is_shown_once_it_was_reported(stage: Staging, script: Script) -> None:
    async with stage((120, 40)) as s:
        await s.play(to_active(script).take())
        assert "tokens" not in s.text().splitlines()[1]
        for total in (1000, 234):
            script.add(e.UsageReported, what="response", figures={"total_tokens": total})
        script.add(e.UsageReported, what="rate limits", figures={"tokens": 38_210})
        await s.play(script.take())
        assert "tokens 1,234  tokens left 38k" in s.text().splitlines()[1]


async def test_groups_that_do_not_fit_are_dropped_by_rank(stage: Staging, script: Script) -> None:
    async with stage() as s:
        to_active(script).add(e.RoundTripMeasured, round_trip_ms=1.5)
        script.add(e.FindingRaised, rule="r", text="t").add(e.LineChanged, name="hours")
        script.add(e.UsageReported, what="response", figures={"total_tokens": 1234})
        script.add(e.UsageReported, what="rate limits", figures={"tokens": 38_210})
        await s.play(script.take())
        line = s.text().splitlines()[1]
        assert "findings 1  tokens 1,234" in line
        assert "greeting" not in line
        await s.pilot.resize_terminal(60, 20)
        await s.tick()
        line = s.text().splitlines()[1]
        assert "response –  loss 0  findings 1" in line
        assert line.endswith("▶ hours")
        assert "tokens left" not in line


async def test_no_loss_is_silent(stage: Staging) -> None:
    async with stage() as s:
        for loss in Loss:
            script = to_active(Script())
            await s.play(script.take())
            assert "loss 0" in s.text()
            await s.play(script.add(e.LossCounted, loss=loss, count=300).take())
            line = s.text().splitlines()[1]
            assert ("loss 0" in line) is not loss.is_fault
            assert "0.3 s" in line or "300" in line


async def test_queued_audio_is_shown(stage: Staging, script: Script) -> None:
    async with stage() as s:
        await s.play([*to_active(script).take(), telemetry(None, None, queued_ms=1500)])
        assert "queued 1.5 s" in s.text()
