"""Tests the scenario on the screen: its steps, taking it over, and the available actions."""

from __future__ import annotations

from pathlib import Path

from tests.ui.conftest import TARGET, Stage, Staging, sized
from tests.ui.fakes import Script, to_active
from tui.engine.wire import Connect, PlayScenario, SpeakSentence, SteerScenario
from tui.models import events as e
from tui.screens.commands import CommandsScreen

STEPS = (
    "agent speaks within 3 s",
    "say Sorry, can I stop you there? at agent speaks + 600 ms",
    "agent stops within 400 ms",
    "press 471#",
    'tool book_table {"people":2} within 5 s',
    "hang-up within 10 s",
)
PLAYING, BY_HAND, OVER = e.ScenarioPhase.PLAYING, e.ScenarioPhase.BY_HAND, e.ScenarioPhase.OVER


def scenario(script: Script, phase: e.ScenarioPhase = PLAYING, **fields: object) -> Script:
    return script.add(e.ScenarioChanged, phase=phase, name="books a table", file="/x/a.call.toml", **fields)


def step(script: Script, number: int, verdict: str = "", reason: str = "") -> Script:
    place = f"/x/a.call.toml, line {4 * number}"
    return script.add(
        e.StepChanged, step=number, text=STEPS[number - 1], place=place, verdict=verdict, reason=reason
    )


def at_the_fourth_step(script: Script) -> Script:
    scenario(to_active(script), steps=STEPS)
    step(step(script, 1).after(1210), 1, "passed")
    step(step(script, 2).after(2400), 2, "done")
    late = "It happened after 812 ms (limit 400 ms)."
    step(step(script, 3).after(900), 3, "failed", late)
    return step(script, 4)


def title(s: Stage) -> str:
    return s.text("LadderPane").splitlines()[0].strip("╭─╮ ")


@sized((80, 24), (120, 40), (200, 60))
async def test_the_ladder_comes_with_the_scenario(script: Script, s: Stage) -> None:
    assert "Scenario" not in s.text("PaneTabs")
    await s.play(at_the_fourth_step(script).take())
    s.check("ladder", "LadderPane")
    assert "▶   4 press 471#" in s.text("LadderPane")
    assert title(s) == "Scenario · 3 of 6 · 1 failed · books a table"
    assert "S Scenario" in s.text("PaneTabs") or "S Sc" in s.text("PaneTabs")


async def test_the_current_step_stays_in_view_when_the_pane_gets_smaller(script: Script, s: Stage) -> None:
    scenario(to_active(script), steps=tuple(f"press {number}" for number in range(1, 16)))
    await s.play(script.add(e.StepChanged, step=1, text="press 1").take())
    assert "▶   1 press 1" in s.text("LadderPane")
    await s.pilot.resize_terminal(80, 20)
    await s.tick()
    assert "▶   1 press 1" in s.text("LadderPane")


async def test_verdicts_come_and_the_last_is_that_of_the_whole(script: Script, s: Stage) -> None:
    at_the_fourth_step(script)
    step(script, 4, "done")
    step(step(script, 5), 5, "not measured", "opusagent-tui fell 90 ms behind in the meantime.")
    script.add(e.StepChanged, step=7, text="limit findings ≤ 0", verdict="passed")
    scenario(script, OVER, verdict="failed", reason="agent stops within 400 ms: It happened after 812 ms.")
    await s.play(script.take())
    assert "✗   3 agent stops within 400 ms: It happened after" in s.text("LadderPane")
    assert "~   5 tool book_table" in s.text("LadderPane")
    assert "✓   7 limit findings ≤ 0" in s.text("LadderPane")
    # The focus is on the failed step.
    assert "▌✗   3" in s.text("LadderPane")
    assert title(s) == "Scenario · failed · 1 failed · 1 not measured · books a table"


async def test_enter_shows_the_events_of_a_step(script: Script, s: Stage) -> None:
    await s.play(at_the_fourth_step(script).take())
    await s.press("S", "up", "enter")
    assert s.session.log_pane.has_focus
    assert s.number == s.bridge.scenario.rungs[2].number


async def test_a_call_without_a_scenario_hides_the_ladder_of_the_one_before(script: Script, s: Stage) -> None:
    await s.play(at_the_fourth_step(script).take())
    assert "scenario" in s.session.panes.shown
    await s.play(to_active(script).take())
    assert "scenario" not in s.session.panes.shown
    assert "Scenario" not in s.text("PaneTabs")


async def test_a_key_takes_the_call_over_and_gives_it_back(script: Script, call: Stage) -> None:
    await call.press("G")
    assert call.sent() == []
    assert "no scenario is being played" in call.text("KeyBar")
    await call.play(at_the_fourth_step(script).take())
    assert "G By hand" in call.text("KeyBar")
    await call.press("G")
    assert call.sent() == [SteerScenario(by_hand=True)]
    await call.play(scenario(script, BY_HAND).take())
    assert title(call) == "Scenario · 3 of 6 · 1 failed · by hand · books a table"
    assert "G Give back" in call.text("KeyBar")
    await call.press("G")
    assert call.sent() == [SteerScenario(by_hand=False)]
    await call.play(scenario(script, OVER, verdict="passed").take())
    await call.press("G")
    assert call.sent() == []


@sized((120, 36))
async def test_a_narrow_title_shortens_the_name_and_a_narrow_row_leaves_the_reason_to_the_foot(
    script: Script, s: Stage
) -> None:
    reason = "The agent went on speaking for 812 ms after it was interrupted (limit 400 ms)."
    scenario(to_active(script), steps=STEPS)
    script.add(e.ScenarioChanged, phase=PLAYING, name="books a table for two on a Tuesday evening", file="/x")
    step(step(step(script, 1), 1, "failed", reason), 2)
    await s.play(script.take())
    assert title(s) == "Scenario · 1 of 6 · 1 failed · books a table fo…"
    await s.press("S", "up", "down")
    assert title(s) == "Scenario · 1 of 6 · paused · 1 failed"
    text = " ".join(s.text("LadderPane").replace("│", " ").split())
    assert f"✗ 1 {reason}" in text


async def test_a_file_is_asked_for_read_and_played_in_the_call(
    stage: Staging, script: Script, tmp_path: Path
) -> None:
    path = tmp_path / "a.call.toml"
    path.write_text('[[step]]\nexpect = "agent sings"\n')
    async with stage((120, 40)) as s:
        await s.play(to_active(script).take())
        s.sent()
        await s.press("L")
        s.session.questions.prompt.line.value = str(path)
        await s.press("enter")
        assert "line 2: " in s.text("PromptLine")
        assert s.sent() == []
        path.write_text('[[step]]\npress = "1"\n')
        await s.press("enter")
        assert s.sent() == [PlayScenario(path=str(path))]


async def test_the_commands_of_a_scenario_are_run_only_if_the_user_allows_them(stage: Staging) -> None:
    wanted = PlayScenario(path="/x/a.call.toml", commands=("rm -r [/b] \x1b[2J",))
    for keys, commands in ((("tab", "enter"), wanted.commands), (("enter",), ()), (("escape",), ())):
        async with stage(scenario=wanted) as s:
            await s.until(lambda: isinstance(s.app.screen, CommandsScreen))
            await s.tick()
            assert "rm -r [/b] ␛[2J" in s.text("#commands")
            assert s.sent() == []
            await s.press(*keys)
            await s.until(lambda: s.engine.sent)
            (connect,) = [each for each in s.sent() if isinstance(each, Connect)]
            assert connect.scenario == PlayScenario(path=wanted.path, commands=commands)


async def test_a_scenario_without_commands_goes_with_every_call(stage: Staging) -> None:
    wanted = PlayScenario(path="/x/a.call.toml")
    async with stage(scenario=wanted) as s:
        assert [each for each in s.sent() if isinstance(each, Connect)] == [
            Connect(target=TARGET, scenario=wanted)
        ]


async def test_any_sentence_can_be_spoken(call: Stage) -> None:
    await call.press("W", "H", "i", "space", "y", "o", "u", "enter")
    assert call.sent() == [SpeakSentence(text="Hi you")]
    await call.press("W", "escape")
    assert call.sent() == []


async def test_a_scenario_is_made_of_the_session_that_is_shown(
    tmp_path: Path, saved_folder: Path, booking: Stage
) -> None:
    booking.bridge.folder.use(saved_folder)
    await booking.press("X")
    path = tmp_path / "bug.call.toml"
    booking.session.questions.prompt.line.value = str(path)
    await booking.press("enter")
    await booking.until(lambda: booking.app._notifications)
    (told,) = booking.app._notifications
    assert told.message == f"Wrote 5 steps and 1 WAV file to {path}."
    assert path.exists()
    booking.bridge.folder.use(None)
    await booking.press("X")
    assert "This session is not being saved" in list(booking.app._notifications)[-1].message
