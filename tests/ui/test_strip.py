from __future__ import annotations

import pytest

from tests.ui.conftest import Stage, sized
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


async def test_follows_the_status_through_every_state(script: Script, s: Stage) -> None:
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


@sized((120, 40))
async def test_a_figure_that_was_not_measured_is_a_dash(script: Script, s: Stage) -> None:
    assert "–:––" in s.text().splitlines()[0]
    await s.play(to_active(script).take())
    assert "response –" in s.text()
    assert "greeting –" in s.text()
    assert "ping –" in s.text()
    assert "– dB" in s.text()


async def test_the_clock_goes_on_without_events(call: Stage) -> None:
    call.clock.now_ns += 3_725_000 * MS
    await call.tick()
    assert call.text().splitlines()[0].endswith("1:02:04")


async def test_a_saved_session_that_is_being_read_is_not_taken_for_a_call(script: Script, s: Stage) -> None:
    await s.play([*to_active(script).take(), ReadingSession(share=0.42)])
    first = s.text().splitlines()[0]
    assert first.startswith(" ◌ reading the session: 42%  demo")
    assert "active" not in first
    assert "mic" not in first
    await s.play([ReadingSession(share=1.0)])
    assert "● active  demo" in s.text().splitlines()[0]


async def test_indicators_are_words(script: Script, call: Stage) -> None:
    assert "mic off" in call.text()
    script.add(e.RecordingChanged, recording=True).add(e.MutedChanged, muted=True)
    script.add(e.VolumeChanged, volume=0.5).add(e.LineChanged, name="3")
    await call.play(script.take())
    first, second = call.text().splitlines()[:2]
    assert "volume 50%  ▲ MUTED  ◉ mic on" in first
    assert second.endswith("▶ 3")
    await call.play(script.add(e.LineChanged, name="3", finished=True).take())
    assert "▶" not in call.text().splitlines()[1]


async def test_how_far_a_line_has_come(script: Script, s: Stage) -> None:
    to_active(script).add(e.LineChanged, name="hours")
    await s.play([*script.take(), telemetry(None, None, line_progress=0.45)])
    assert s.text().splitlines()[1].endswith("▶ hours 45%")
    await s.play([telemetry(None, None, line_progress=7.0)])
    assert s.text().splitlines()[1].endswith("▶ hours 100%")


@sized((120, 40))
async def test_usage_is_shown_once_it_was_reported(script: Script, call: Stage) -> None:
    assert "tokens" not in call.text().splitlines()[1]
    for total in (1000, 234):
        script.add(e.UsageReported, what="response", figures={"total_tokens": total})
    script.add(e.UsageReported, what="rate limits", figures={"tokens": 38_210})
    await call.play(script.take())
    assert "tokens 1,234  tokens left 38k" in call.text().splitlines()[1]


async def test_groups_that_do_not_fit_are_dropped_by_rank(script: Script, s: Stage) -> None:
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
    assert "loss 0  findings 1" in line
    assert line.endswith("▶ hours")
    assert "tokens left" not in line


async def test_no_loss_is_silent(s: Stage) -> None:
    for loss in Loss:
        script = to_active(Script())
        await s.play(script.take())
        assert "loss 0" in s.text()
        await s.play(script.add(e.LossCounted, loss=loss, count=300).take())
        line = s.text().splitlines()[1]
        assert ("loss 0" in line) is not loss.is_fault
        assert "0.3 s" in line or "300" in line


async def test_the_target_is_shortened_before_it_is_left_out(call: Stage) -> None:
    first = call.text().splitlines()[0]
    assert "audiocodes  ws://12…11/audiocodes" in first
    await call.pilot.resize_terminal(60, 20)
    await call.tick()
    assert "127" not in call.text().splitlines()[0]


@pytest.mark.parametrize(
    ("title", "hint"),
    [
        ("demo", "press 1 to ask a recorded question"),
        ("staging", "press r to talk, 1 to play a recorded line"),
    ],
)
async def test_until_the_user_speaks_the_header_says_how(
    script: Script, title: str, hint: str, s: Stage
) -> None:
    script.started(title=title)
    await s.play(script.status(e.Status.IDLE, e.Status.CONNECTING).take())
    assert hint not in s.text("SessionStrip")
    await s.play(script.status(e.Status.CONNECTING, e.Status.ACTIVE).take())
    assert hint in s.text("SessionStrip")
    await s.play([telemetry(None, -20, queued_ms=900)])  # the greeting is being played
    assert hint in s.text("SessionStrip")
    s.session.strip.recorded = True
    await s.tick()
    assert hint not in s.text("SessionStrip")
    s.session.strip.recorded = False
    for phase, shown in ((e.ScenarioPhase.PLAYING, False), (e.ScenarioPhase.BY_HAND, True)):
        await s.play(script.add(e.ScenarioChanged, phase=phase, name="x", file="/x").take())
        assert (hint in s.text("SessionStrip")) is shown
    await s.play(script.add(e.RecordingChanged, recording=True).take())
    assert hint not in s.text("SessionStrip")


@sized((120, 40))
async def test_empty_panes_name_the_keys(script: Script, s: Stage) -> None:
    text = " ".join(s.text("#log").replace("│", " ").split())
    assert "Press c to call, n to choose an agent." in text
    text = " ".join(s.text("#side").replace("│", " ").split())
    assert text.count("In a call, press r to talk or 1 to play a recorded line.") == 2
    await s.press("J")
    text = " ".join(s.text("#tools").replace("│", " ").split())
    assert "In a call, press r to talk or 1 to play a recorded line." in text


async def test_callbacks_are_in_the_palette_and_not_among_the_tabs(script: Script, s: Stage) -> None:
    assert "Callbacks" not in s.text("#tabs-line")
    assert "Program: Callbacks  T" in await s.palette()


@sized((160, 50))
async def test_the_header_names_the_devices(script: Script, s: Stage) -> None:
    await s.play(script.started().add(e.AudioOpened, capture="default", playback="default").take())
    assert "default microphone → agent → default speaker" in s.text().splitlines()[0]
    await s.play(script.add(e.AudioOpened, capture="caller lines", playback="none").take())
    assert "recorded lines → agent → not heard" in s.text().splitlines()[0]
    await s.play(script.add(e.AudioOpened, capture="Jabra", playback="HDMI").take())
    assert "Jabra → agent → HDMI" in s.text().splitlines()[0]
