"""Tests calls in code and in worker processes against one local agent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenario.lateness import ignore_lateness
from tui.agent.process import AgentProcess, start_agent
from tui.agent.settings import AgentSettings
from tui.audio.speech import load_detector
from tui.models.target import Target
from tui.scenario.in_code import NotMeasured, StepFailed, call_in_code
from tui.scenario.reading import ScenarioError, read_scenario
from tui.scenario.verdict import RunResult
from tui.scenario.workers import Workers

pytestmark = pytest.mark.xdist_group("calls in code")


@pytest.fixture(scope="module")
def agent() -> Iterator[AgentProcess]:
    with start_agent(AgentSettings()) as agent:
        yield agent


def test_a_call_in_code_has_the_steps_of_a_scenario(
    agent: AgentProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ignore_lateness(monkeypatch)
    load_detector()
    target = Target(url=agent.url("/audiocodes"), protocol="audiocodes", save=str(tmp_path))
    reached: list[str] = []

    async def passes() -> None:
        async with call_in_code(target) as call:
            await call.expects("agent speaks", within="5s")
            await call.hang_up()
            await call.expects("hang-up")
            reached.append("passes")
        assert call.metrics.greeting_latency_ms is not None

    async def fails() -> None:
        async with call_in_code(target) as call:
            with pytest.raises(
                StepFailed, match=r"^tool book within 50 ms: It did not happen within 50 ms\."
            ):
                await call.expects("tool book", within="50ms")
            reached.append("fails")
            await call.expects("tool book", within="50ms")
        reached.append("never")

    async def is_not_measured() -> None:
        async with call_in_code(target) as call:
            with pytest.raises(
                NotMeasured, match=r"^agent keeps speaking for 100 ms: The agent was not speaking"
            ):
                await call.keeps("agent keeps speaking", lasts="100ms")
            reached.append("not measured")

    async def every() -> list[BaseException | None]:
        calls = [passes(), fails(), is_not_measured()]
        return await asyncio.gather(*calls, return_exceptions=True)

    passed, failed, unmeasured = asyncio.run(every())
    assert (passed, unmeasured) == (None, None)
    assert isinstance(failed, StepFailed)
    assert sorted(reached) == ["fails", "not measured", "passes"]
    # The session of the block that raised an exception is kept and named.
    (folder,) = tmp_path.iterdir()
    assert str(failed).endswith(f" Session: {folder}")


def test_an_agent_that_cannot_be_called_fails_the_block() -> None:
    async def hold() -> None:
        async with call_in_code(Target(url="ws://127.0.0.1:9/audiocodes", protocol="audiocodes")):
            raise AssertionError("The block was entered.")

    with pytest.raises(StepFailed, match=r"127\.0\.0\.1"):
        asyncio.run(hold())


def test_workers_hold_calls_in_other_processes(agent: AgentProcess, tmp_path: Path) -> None:
    path = tmp_path / "a.call.toml"
    path.write_text('[[step]]\nsilence = "1ms"\n')
    scenario = read_scenario(path)
    target = Target(url=agent.url("/audiocodes"), protocol="audiocodes")

    async def held() -> tuple[list[RunResult], RunResult]:
        async with Workers(1, [scenario]) as workers:
            both = await asyncio.gather(*(workers.hold(scenario, target) for _ in range(2)))
            path.write_text("[[step]]\n")
            with pytest.raises(ScenarioError, match=r"a\.call\.toml, line 1: this step is empty"):
                await workers.hold(scenario, target)
            path.write_text('[[step]]\nsilence = "1m"\n')
            lost = asyncio.ensure_future(workers.hold(scenario, target))
            await asyncio.sleep(0.2)
            workers._workers[0]._process.kill()
            return both, await lost

    both, lost = asyncio.run(held())
    assert [[case.name for case in run.cases] for run in both] == [["the call", "silence 1 ms"]] * 2
    assert lost.late == "The process that made this call ended."
