"""Tests VoiceUser in a Locust environment, against the tests' server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import locust
import pytest
from locust.env import Environment
from locust.event import Events
from locust.rpc.protocol import Message
from locust.runners import STATE_MISSING, STATE_RUNNING, WorkerNode

from tests.load.calls import call_record, refused_record
from tests.load.serving import serving, short_scenario
from tui.load import VoiceUser
from tui.load.board import Board
from tui.load.caller import CallerScript, outcome_of
from tui.load.processes import free_port
from tui.load.records import CallAccepted, CallBegan, CallEnding, Record, TurnRecord, encode
from tui.load.summary import Summary
from tui.load.user import board_of, figures_to_report, prepare
from tui.models.target import Target
from tui.scenario.verdict import Case, RunResult, StepVerdict


class Run:
    """A short run of two callers."""

    def __init__(self, environment: Environment, board: Board, summary: Summary) -> None:
        self.environment = environment
        self.board = board
        self.summary = summary


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    path = short_scenario(tmp_path_factory.mktemp("load"))
    with serving() as server:

        class Caller(VoiceUser):
            scenario = str(path)
            target = Target(
                url=server.url, protocol="pcm", input="lines", output="none", greeting_timeout_s=0.1
            )

        environment = Environment(user_classes=[Caller], events=Events())
        runner = environment.create_local_runner()
        prepare(environment)
        board = board_of(environment)
        assert board is not None
        runner.start(2, spawn_rate=10)
        with gevent.Timeout(30):
            while environment.stats.get("short", "call").num_requests < 2:
                gevent.sleep(0.02)
        runner.quit()
        summary = board.summary(warm_up_s=0, scenario="short", target="here")
        environment.events.quit.fire(exit_code=0)
        yield Run(environment, board, summary)


def user_class(folder: Path) -> type[VoiceUser]:
    """Returns a class as in a locustfile, whose agent does not exist."""

    class Far(VoiceUser):
        scenario = str(short_scenario(folder))
        target = Target(url="ws://127.0.0.1:1/pcm", protocol="pcm")
        weight = 3

    return Far


def test_every_call_is_accounted_for(run: Run) -> None:
    summary = run.summary
    assert summary.calls == summary.completed + summary.failed + summary.stopped
    assert summary.completed >= 2
    assert run.board.accepted
    assert (summary.failed, summary.lost) == (0, 0)


def test_locust_counts_what_a_call_is_made_of(run: Run) -> None:
    entries = {key[1]: stats for key, stats in run.environment.stats.entries.items()}
    # On a busy machine, figures are omitted and the agent is silent for longer.
    assert {"call"} <= set(entries) <= {"call", "connect", "response", "dead air"}
    assert entries["call"].num_failures == 0
    assert entries["call"].max_response_time < 8_000  # a line that begins with the call is not lost
    responses = entries["response"].num_requests if "response" in entries else 0
    assert responses == run.summary.response.count


def test_the_response_is_measured_from_what_was_heard(run: Run) -> None:
    measured = run.summary.response.count + run.summary.not_trusted
    assert measured >= 2
    worst_ms = run.summary.response.worst_ms
    # The server notices after 300 ms and answers 200 ms later. On a busy machine, fewer turns are trusted.
    assert worst_ms is None or 350 < worst_ms < 1_500


def test_what_locust_is_told_of_a_late_or_failed_call() -> None:
    def reported(**fields: Any) -> list[tuple[str, bool]]:
        record = call_record(**fields)
        return [(name, error is not None) for name, _, error in figures_to_report(record)]

    turns = [TurnRecord(1.0, 500.0), TurnRecord(2.0, 500.0, late_ms=40.0), TurnRecord(3.0, None)]
    assert reported(connect_ms=5.0, turns=turns) == [("call", False), ("connect", False), ("response", False)]
    assert reported(connect_ms=5.0, late_ms=40.0, turns=turns) == [("call", False), ("response", False)]
    failed = {
        "outcome": CallEnding.FAILED,
        "kind": "closed early",
        "findings": ["twice"],
        "dead_air_ms": [2_500.0],
    }
    assert reported(**failed) == [("call", True), ("dead air", False), ("finding", True)]
    assert reported(outcome=CallEnding.STOPPED) == []


def test_a_class_without_a_scenario_is_refused_with_a_sentence() -> None:
    class Nobody(VoiceUser):
        pass

    with pytest.raises(ValueError, match="Nobody needs a scenario and a target"):
        Nobody.script()


def test_a_locustfile_may_have_classes_of_its_own(tmp_path: Path) -> None:
    script = user_class(tmp_path).script()
    assert (script.scenario.name, list(script.lines)) == ("short", ["word.wav"])
    assert not user_class(tmp_path).abstract


def test_what_calls_need_is_loaded_before_a_worker_reports_itself_ready(tmp_path: Path) -> None:
    loaded: list[str] = []

    class Slow(user_class(tmp_path)):  # type: ignore[misc]
        @classmethod
        def script(cls) -> CallerScript:
            loaded.append(cls.__name__)
            script: CallerScript = super().script()
            return script

    locust.events.init_command_line_parser.fire(parser=None)  # the last event before a worker connects
    assert loaded == ["Slow"]
    environment = Environment(user_classes=[Slow], events=Events())
    environment.create_local_runner()
    prepare(environment)
    environment.events.quit.fire(exit_code=0)
    assert loaded == ["Slow"]


@pytest.mark.parametrize(("state", "ends"), [(STATE_MISSING, True), (STATE_RUNNING, False)])
def test_a_run_ends_with_its_last_worker(tmp_path: Path, state: str, ends: bool) -> None:
    environment = Environment(user_classes=[user_class(tmp_path)], events=Events())
    runner = environment.create_master_runner("127.0.0.1", free_port())
    prepare(environment)
    board = board_of(environment)
    assert board is not None
    runner.clients["a"] = WorkerNode("a", state=state)
    environment.events.test_stopping.fire(environment=environment)
    assert board.workers_gone == ends
    assert board.ended_early == ("All workers were lost." if ends else "")
    runner.quit()


@pytest.mark.parametrize("accepted", [True, False])
def test_a_run_that_is_refused_ends_only_if_no_call_is_in_progress(accepted: bool) -> None:
    runner = Environment(user_classes=[], events=Events()).create_local_runner()
    board = Board(runner, show=lambda snapshot: None)
    refused = [refused_record(f"w-{number}", 1.0, "The agent is full.") for number in range(5)]
    in_progress: list[Record] = [CallBegan("w-9", "w", 1.0), *([CallAccepted("w-9")] if accepted else [])]
    board.take_message(runner.environment, Message("records", encode([*in_progress, *refused]), "w"))
    board.end_if_due()
    assert board.unreachable == ("" if accepted else "The agent is full.")
    assert board.ended_early == ("" if accepted else "No call was accepted. The agent is full.")


@pytest.mark.parametrize(("cut_short", "ending"), [(True, CallEnding.FAILED), (False, CallEnding.COMPLETED)])
def test_a_call_that_the_agent_ended_before_the_script_was_closed_early(
    cut_short: bool, ending: CallEnding
) -> None:
    case = Case(name="expect agent speaks", verdict=StepVerdict.NOT_MEASURED, reason="The socket closed.")
    outcome, kind, reason = outcome_of(
        RunResult(cases=[case], cut_short=cut_short), fatal=None, accepted=True, stopped=False
    )
    assert outcome is ending
    assert (kind, reason) == (
        ("closed early", "expect agent speaks: The socket closed.") if cut_short else ("", "")
    )
