from __future__ import annotations

from tui.models import events as e
from tui.models.scenario_progress import ScenarioProgress

STARTED = e.SessionStarted(at_ns=0, session_id="1", started_utc="", target="", protocol="pcm")
BEGUN = e.ScenarioChanged(at_ns=0, phase=e.ScenarioPhase.PLAYING, name="n", steps=("one", "two"))


def step(number: int, verdict: str = "", at_ns: int = 0) -> e.StepChanged:
    return e.StepChanged(number=number * 10, at_ns=at_ns, step=number, text=f"step {number}", verdict=verdict)


def folded(*events: e.SessionEvent) -> ScenarioProgress:
    progress = ScenarioProgress()
    for event in events:
        progress.apply(event)
    return progress


def test_steps_are_known_from_the_start_and_judged_one_after_the_other() -> None:
    progress = folded(STARTED, BEGUN)
    assert [(rung.text, rung.verdict) for rung in progress.rungs] == [("one", ""), ("two", "")]
    assert progress.current is None
    progress = folded(STARTED, BEGUN, step(1), step(1, "passed", at_ns=2_000_000), step(2))
    assert (progress.current, progress.rungs[0].verdict, progress.rungs[0].took_ms) == (1, "passed", 2.0)
    assert progress.rungs[0].number == 10


def test_a_script_without_a_file_has_its_steps_as_they_come() -> None:
    progress = folded(STARTED, step(1), step(1, "done"))
    assert (len(progress.rungs), progress.phase) == (1, None)


def test_another_session_forgets_them() -> None:
    assert folded(BEGUN, step(1), STARTED).rungs == []


def test_numbers_that_nobody_has_written_cost_nothing() -> None:
    progress = folded(STARTED, step(0), step(2**50), BEGUN)
    assert len(progress.rungs) == 2
