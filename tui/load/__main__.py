"""A load test process: ``python -m tui.load`` reads its plan, one line of JSON, from stdin.

The process runs Locust's own main function. In the master, which makes no calls, gevent replaces threads and
sockets, as Locust expects. In the other processes, threads and sockets stay as they are. The end of stdin
means that the command that started the process has exited.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tui.exit_code import ExitCode
from tui.load.conditions import OF_A_RUN, Criterion
from tui.load.plan import LoadPlan, Role, set_plan

if TYPE_CHECKING:
    from locust.env import Environment

    from tui.load.summary import Summary

_NOISE = ("open file limit", "didn't have proper args")
"""Substrings of the Locust messages that are not printed.

Locust warns if the limit is below 10,000 open files, but the command has already checked how many the run
needs. Locust also logs an error if a user ends while all users are being stopped.
"""


def main() -> None:
    """Runs the process and exits with its exit code."""
    try:
        _run()
    except KeyboardInterrupt:  # interrupted before Locust's main function could handle it
        sys.exit(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes stdout at exit
        sys.exit(ExitCode.OUTPUT_CLOSED)


def _run() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # shells make background processes ignore SIGINT
    plan = _read_plan(0)
    set_plan(plan)
    if plan.role is Role.CANARY:
        from tui.load.canary import main as hold_calls
        from tui.load.parent import end_with_parent

        end_with_parent()
        hold_calls(plan)
        return
    # Set regardless of the environment, because a master without the patches would not receive its workers' messages
    # while it waits for them.
    os.environ["LOCUST_SKIP_MONKEY_PATCH"] = "" if plan.role is Role.MASTER else "1"
    import locust
    import locust.main
    import locust.runners
    from gevent.hub import Hub

    from tui.load.parent import end_with_parent
    from tui.text.redaction import log_without_secrets

    end_with_parent()
    log_without_secrets(logging.WARNING, "%(message)s")
    logging.getLogger("locust.stats_logger").setLevel(logging.CRITICAL)  # the summary shows the same figures
    logging.getLogger("locust.runners").setLevel(logging.ERROR)
    for name in ("locust.main", "locust.runners"):
        logging.getLogger(name).addFilter(
            lambda record: not any(text in record.getMessage() for text in _NOISE)
        )
    # An interruption ends the run properly, but gevent would print a traceback of the interrupted greenlet.
    Hub.NOT_ERROR = (*Hub.NOT_ERROR, KeyboardInterrupt)
    locust.runners.MASTER_HEARTBEAT_TIMEOUT = round(plan.master_timeout_s)  # Locust's default is a minute
    environments: list[Environment] = []
    locust.events.init.add_listener(lambda environment, **_: environments.append(environment))
    sys.argv = ["locust", *arguments(plan)]
    code: int | str | None = 0
    try:
        locust.main.main()
    except SystemExit as ending:
        code = ending.code
    if isinstance(code, str):
        sys.stderr.write(f"{code}\n")
        sys.exit(ExitCode.USAGE)
    if plan.role is Role.WORKER:
        sys.exit(ExitCode.FINE)
    if not environments:
        sys.exit(code or ExitCode.USAGE)
    sys.exit(_finish(plan, environments[0]))


def arguments(plan: LoadPlan) -> list[str]:
    """Converts the plan to Locust's command-line options."""
    locustfile = plan.locustfile or str(Path(__file__).with_name("locustfile.py"))
    options = ["--locustfile", locustfile, "--skip-log-setup"]
    if plan.role is Role.WORKER:
        master = ["--worker", "--master-host", plan.master_host, "--master-port", str(plan.master_port)]
        return [*options, *master, *plan.locust_options]
    options += ["--users", str(plan.users), "--spawn-rate", str(plan.spawn_rate)]
    options += ["--autostart"] if plan.web else ["--headless", "--only-summary"]
    if plan.run_time_s is not None:
        options += ["--run-time", f"{round(plan.run_time_s)}s"]
    if plan.role is Role.MASTER:
        options += ["--master", "--expect-workers", str(plan.workers)]
        options += ["--master-bind-host", plan.master_host, "--master-bind-port", str(plan.master_port)]
    return [*options, *plan.locust_options]


def _read_plan(descriptor: int) -> LoadPlan:
    """Reads the plan byte by byte, so that data after its line stays unread."""
    data = bytearray()
    while (byte := os.read(descriptor, 1)) not in (b"\n", b""):
        data += byte
    return msgspec.json.decode(bytes(data), type=LoadPlan)


def _finish(plan: LoadPlan, environment: Environment) -> ExitCode:
    """Prints the summary and writes it to files; returns the exit code."""
    from tui.load.canary import read_records
    from tui.load.output import lines_of_summary
    from tui.load.summary import with_canary
    from tui.load.user import board_of
    from tui.text.redaction import without_secrets

    board = board_of(environment)
    if board is None:
        sys.stderr.write(f"{plan.locustfile} has no VoiceUser class.\n")
        return ExitCode.USAGE
    summary = with_canary(
        board.summary(
            warm_up_s=plan.warm_up_s, scenario=Path(plan.scenario).name, target=plan.target.safe_url
        ),
        read_records(plan.canary_file),
    )
    data = without_secrets(msgspec.json.format(msgspec.json.encode(summary), indent=2).decode()) + "\n"
    if plan.json_file not in ("", "-"):
        Path(plan.json_file).write_text(data, encoding="utf-8")
    if plan.report_file:
        from tui.load.page import page_of

        Path(plan.report_file).write_text(without_secrets(page_of(summary)), encoding="utf-8")
    if plan.json_file == "-":
        sys.stdout.write(data)
    else:
        for line in lines_of_summary(summary):
            print(without_secrets(line))
    sys.stdout.flush()
    if board.unreachable:
        return ExitCode.UNREACHABLE
    if board.workers_gone:
        return ExitCode.NOT_JUDGED
    return judge(plan, summary)


def judge(plan: LoadPlan, summary: Summary) -> ExitCode:
    """Prints the conditions of ``--fail-if`` that the load test meets; returns the exit code."""
    conditions = [Criterion(text, OF_A_RUN) for text in plan.fail_if]
    failed = [condition for condition in conditions if condition.holds(summary.figures)]
    unmeasured = [condition for condition in conditions if condition.unmeasured(summary.figures)]
    for condition in failed:
        sys.stderr.write(f"Failed: {condition.text}\n")
    for condition in unmeasured:
        sys.stderr.write(f"Not measured: {condition.text}\n")
    if failed:
        return ExitCode.LIMIT_EXCEEDED
    return ExitCode.NOT_JUDGED if unmeasured else ExitCode.FINE


if __name__ == "__main__":
    main()
