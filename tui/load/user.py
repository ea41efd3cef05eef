"""VoiceUser: a Locust user that makes one call after another.

Subclass `VoiceUser` in your own locustfile, with Locust's waits, weights and shapes::

    from tui.load import VoiceUser

    class Booker(VoiceUser):
        scenario = "book.call.toml"
        weight = 3

Every call is reported through Locust's `request` event: "call" (failed if the call failed), "connect",
"greeting", "response" (each turn), "barge-in", "dead air", "finding". Figures of turns in which the worker
itself was late are not reported.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import click
import gevent
import locust
from locust.env import Environment
from locust.exception import StopUser
from locust.runners import MasterRunner, WorkerRunner

from tui.audio.speech import load_detector
from tui.handlers.tools.file import load_tools
from tui.load.board import Board
from tui.load.caller import CallerScript
from tui.load.caller_thread import ThreadsReplaced
from tui.load.conditions import OF_A_CALL, Criterion
from tui.load.output import line_of
from tui.load.plan import NAME, Role, current_plan
from tui.load.records import CallEnding, CallRecord
from tui.load.snapshot import print_json
from tui.load.station import HANG_UP, RECORDS, Station
from tui.models.target import Target
from tui.scenario.lines import SpokenLine, lines_of
from tui.scenario.reading import read_scenario
from tui.speech.process import SpeechProcess

logger = logging.getLogger(__name__)

_PAUSE_AFTER_REFUSAL_S = 1.0
"""Pause, in seconds, before a caller whose call was not accepted makes another call."""

_stations: WeakKeyDictionary[Environment, Station] = WeakKeyDictionary()
_boards: WeakKeyDictionary[Environment, Board] = WeakKeyDictionary()


class CallFailed(Exception):
    """A failed call, as Locust counts it. The message contains the kind of the failure and its reason."""


class VoiceUser(locust.User):
    """A caller. ``scenario`` and ``target`` default to those given to `opusagent-tui load`."""

    abstract = True
    scenario: ClassVar[str] = ""
    """Path of a scenario file."""
    target: ClassVar[Target | None] = None
    """The agent to call, without devices."""

    @classmethod
    def script(cls) -> CallerScript:
        """Prepares the scenario for callers of this class. May be slow.

        Raises `ValueError`, whose message is a sentence.
        """
        plan = current_plan()
        target = plan.target if plan and cls.target is None else cls.target
        path = plan.scenario if plan and not cls.scenario else cls.scenario
        if not path or target is None:
            raise ValueError(
                f"{cls.__name__} needs a scenario and a target: set them in the class, or pass them to `{NAME}`."
            )
        scenario = read_scenario(Path(path))
        if plan and not cls.scenario:
            lines: Mapping[str, SpokenLine] = plan.lines
        else:
            with SpeechProcess() as speech:
                lines = lines_of(scenario, speech.speak)
        return CallerScript(
            scenario=scenario,
            target=target,
            lines=lines,
            tools=load_tools(target.tools) if target.tools else [],
            keep_if=Criterion(plan.keep_if, OF_A_CALL) if plan and plan.keep_if else None,
        )

    @locust.task
    def hold_call(self) -> None:
        """Locust task: makes one call and reports its figures."""
        station = _stations[self.environment]
        if station.stopping:
            raise StopUser
        script = _script_of(type(self))
        plan = current_plan()
        record = station.hold(script, keep=plan.keep if plan else 0.0)
        for name, value_ms, error in figures_to_report(record):
            self.environment.events.request.fire(
                request_type=name,
                name=script.scenario.name,
                response_time=value_ms,
                response_length=0,
                exception=error,
                context={},
            )
        if record.active_s is None and not station.stopping:
            gevent.sleep(_PAUSE_AFTER_REFUSAL_S)


def figures_to_report(record: CallRecord) -> Iterator[tuple[str, float, CallFailed | None]]:
    """Yields the figures of a call as Locust requests: type, time in ms, and failure."""
    if record.outcome is not CallEnding.STOPPED:
        failure = (
            CallFailed(f"{record.kind}: {record.reason}") if record.outcome is CallEnding.FAILED else None
        )
        yield "call", (record.ended_s - record.began_s) * 1_000, failure
    if record.connect_ms is not None and not record.late_ms:
        yield "connect", record.connect_ms, None
    if record.greeting_ms is not None and not record.late_ms:
        yield "greeting", record.greeting_ms, None
    for turn in record.turns:
        if turn.trusted and turn.response_ms is not None:
            yield "response", turn.response_ms, None
    for barge_in_ms in record.barge_in_ms if not record.late_ms else ():
        yield "barge-in", barge_in_ms, None
    for dead_ms in record.dead_air_ms:
        yield "dead air", dead_ms, None
    for rule in record.findings:
        yield "finding", 0.0, CallFailed(f"finding: {rule}")


_scripts: dict[type[VoiceUser], CallerScript] = {}


def _script_of(kind: type[VoiceUser]) -> CallerScript:
    if kind not in _scripts:
        _scripts[kind] = kind.script()
    return _scripts[kind]


def load_early(**_: Any) -> None:
    """Handles Locust's `init_command_line_parser` event: loads everything that calls need.

    Loading blocks the process. A worker that had already reported itself ready would miss heartbeats in the
    meantime. A master that loses all workers stops the load test.
    """
    plan = current_plan()
    if plan and plan.role is Role.MASTER:
        return
    load_detector()
    kinds = [VoiceUser]
    while kinds:
        kind = kinds.pop()
        kinds += kind.__subclasses__()
        if not kind.abstract:
            with suppress(ValueError):  # raised again by `prepare` if the run uses the class
                _script_of(kind)


def board_of(environment: Environment) -> Board | None:
    """Returns the board of a Locust environment; None on a worker."""
    return _boards.get(environment)


def prepare(environment: Environment, **_: Any) -> None:
    """Handles Locust's `init` event: prepares the process for voice users.

    If the preparation fails, prints a sentence and ends the process.
    """
    kinds = [kind for kind in environment.user_classes if issubclass(kind, VoiceUser)]
    runner = environment.runner
    if not kinds or runner is None:
        return
    events = environment.events
    if not isinstance(runner, WorkerRunner):
        plan = current_plan()
        snapshots = plan is not None and plan.snapshots
        board = _boards[environment] = Board(
            runner,
            max_call_minutes=plan.max_call_minutes if plan else None,
            show=print_json if snapshots else lambda snapshot: click.echo(line_of(snapshot)),
            show_every_s=1.0 if snapshots else 5.0,
            canary_file=plan.canary_file if plan and snapshots else "",
        )
        runner.register_message(RECORDS, board.take_message)
        events.test_start.add_listener(lambda **_: board.begin())
    if not isinstance(runner, MasterRunner):
        try:
            station = _stations[environment] = Station(environment)
            for kind in kinds:
                _script_of(kind)
        except (ThreadsReplaced, ValueError) as error:
            raise SystemExit(str(error)) from error
        runner.register_message(HANG_UP, lambda **_: station.hang_up_all(), concurrent=True)
        events.test_start.add_listener(lambda **_: station.begin())
        events.test_stopping.add_listener(lambda **_: station.hang_up_all())
        events.test_stop.add_listener(lambda **_: station.flush())
        events.quit.add_listener(lambda **_: station.close())
    else:
        events.test_stopping.add_listener(lambda **_: board.wait_for_calls())


locust.events.init_command_line_parser.add_listener(load_early)
locust.events.init.add_listener(prepare)
