"""The command `load`, which makes many calls at once.

The command runs Locust in separate processes and never imports it.
"""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from tui.cli import options as opts
from tui.cli.help import GroupedCommand
from tui.cli.option import NumberInRange, option, together
from tui.cli.program import Sentence
from tui.exit_code import ExitCode

if TYPE_CHECKING:
    from tui.load.plan import LoadPlan
    from tui.models.target import Target
    from tui.scenario.model import Scenario

EXTRA = "pip install 'opusagent-tui[load]'"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_OTHER_DESCRIPTORS = 200
"""Number of files and sockets that a worker opens in addition to those for its calls."""
_A_CALL = 2
"""Number of descriptors that a call needs: its socket, and a file if the call is saved."""


class _RunTime(click.ParamType):  # type: ignore[type-arg, unused-ignore]  # generic in newer versions
    """A duration such as 90s, 10m or 1h30m, converted to seconds."""

    name = "time"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Returns the duration in seconds."""
        found = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?", str(value).strip())
        if not value or found is None:
            self.fail("write a duration such as 90s, 10m or 1h30m.", param, ctx)
        hours, minutes, seconds = (float(part or 0) for part in found.groups())
        return hours * 3_600 + minutes * 60 + seconds


class _Share(click.ParamType):  # type: ignore[type-arg, unused-ignore]  # generic in newer versions
    """A percentage such as 1%, converted to a value in 0..1."""

    name = "share"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Returns the percentage as a value in 0..1."""
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", str(value).strip())
        if found is None or float(found[1]) > 100:
            self.fail("write a percentage from 0% to 100%.", param, ctx)
        return float(found[1]) / 100


# fmt: off
_load_options = together(
    option("--users", group="Load", type=click.IntRange(1), default=1, metavar="N",
           help="Number of simultaneous callers, each making one call after another."),
    option("--spawn-rate", group="Load", type=NumberInRange(min=0.01), default=1.0, metavar="R",
           help="Number of callers to add per second."),
    option("--run-time", "run_time_s", group="Load", type=_RunTime(), metavar="T",
           help="Length of the run, such as 90s or 10m. Default: until Ctrl+C."),
    option("--warm-up", "warm_up_s", group="Load", type=_RunTime(), default="0s", metavar="T",
           help="Exclude calls that start during this initial period from the figures."),
    option("--canary", group="Load", is_flag=True,
           help="Add one caller, in a separate process, that calls alone first, then with the others. "
                "Its calls are saved."),
    option("--max-call-minutes", group="Load", type=NumberInRange(min=0.01), metavar="N",
           help="End the run once its calls add up to N minutes."),
    option("--allow-host", "allowed", group="Load", multiple=True, metavar="HOST",
           help="Allow load tests of this host from now on. Not needed for this machine. Repeatable."),
    option("--locustfile", group="Load", type=click.Path(exists=True, dir_okay=False), metavar="FILE",
           help="Locustfile with your own VoiceUser classes and load shapes."),
    option("--workers", group="Processes", type=click.IntRange(1), metavar="N",
           help="Number of worker processes to start (default: one per core), or to wait for with --master."),
    option("--master", group="Processes", is_flag=True, help="Coordinate workers on other machines; make no calls."),
    option("--worker", group="Processes", is_flag=True,
           help="Run as a worker: make calls for a master on another machine."),
    option("--master-host", group="Processes", default="", metavar="H",
           help="Address of the master; with --master, the address to listen on."),
    option("--master-port", group="Processes", type=click.IntRange(1, 65535), default=5557, metavar="PORT",
           help="Port of the master."),
    option("--web", group="Output", is_flag=True, help="Serve Locust's web page (http://localhost:8089)."),
    option("--headless", group="Output", is_flag=True, help="Print a line every five seconds; don't open a screen."),
    option("--json", "json_file", group="Output", default="", metavar="FILE",
           help="Write the summary as JSON (- for standard output)."),
    option("--report", "report_file", group="Output", default="", metavar="FILE",
           help="Write the summary as an HTML page with plots."),
    option("--fail-if", group="Verdict", multiple=True, metavar="COND",
           help='Exit with 1 if this condition is met, for example "p95 > 2s" or "failed > 1%". Repeatable.'),
    option("--keep-if", group="Verdict", multiple=True, metavar="COND",
           help='Save calls that meet this condition, for example "failed or response > 2s". Repeatable.'),
    option("--keep", group="Verdict", type=_Share(), default="0%", metavar="SHARE",
           help="Save this percentage of all calls, for example 1%."),
)
# fmt: on


@click.command(
    cls=GroupedCommand,
    example="opusagent-tui load book.call.toml --users 50 --spawn-rate 2 --run-time 5m --url ws://127.0.0.1:9000/pcm",
)
@click.argument("scenario", metavar="SCENARIO", type=click.Path(path_type=Path))
@click.argument("locust_options", metavar="[-- LOCUST OPTIONS]", nargs=-1, type=click.UNPROCESSED)
@option("--url", group="Load", metavar="URL", help="The agent's URL; overrides the scenario's target.")
@option(
    "--profile",
    group="Load",
    metavar="NAME",
    help="A profile from the settings file; overrides the scenario's target.",
)
@_load_options
@opts.tools_option
@opts.target_options
@opts.config_option
def load(scenario: Path, url: str | None, profile: str | None, **options: Any) -> None:
    """Call an agent with many callers at once, and find out how many it can handle.

    Each caller plays the scenario repeatedly. Everything after -- is passed on to Locust, such as --csv NAME or
    --html FILE.

    Exit codes: 0 success, 1 a --fail-if condition was met, 2 wrong usage, 4 unreachable, 6 not judged.
    """
    own = {name: options.pop(name) for name in _own_names()}
    _check_options(own)
    if find_spec("locust") is None:
        raise Sentence(f"Load tests need the load extra: {EXTRA}.")
    found = _read(scenario)
    target = opts.scenario_target(found, url, profile, opts.typed_settings(options))
    _check_host(target, own["allowed"])
    workers = own["workers"] or 1
    _check_descriptors(own["users"] if own["worker"] else math.ceil(own["users"] / workers))
    with TemporaryDirectory(prefix="opusagent-tui-load-") as scratch:
        plans = _plans(found, target, {**own, "scratch": scratch})
        if own["canary"]:
            click.echo(
                "The canary makes its first call alone. The other callers start when that call has ended.",
                err=True,
            )
        code = _run_on_screen(plans) if _has_screen(own) else _run(plans)
    sys.exit(code)


def _has_screen(own: dict[str, Any]) -> bool:
    """Returns whether to use the live screen: not with --headless, --web or --worker, or without a terminal."""
    terminal = sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    return terminal and not (own["headless"] or own["web"] or own["worker"])


def _run(plans: Sequence[LoadPlan]) -> int:
    from tui.load.processes import run

    return run(plans)


def _run_on_screen(plans: Sequence[LoadPlan]) -> int:
    import msgspec

    from tui.load.processes import LoadProcesses
    from tui.remembered import screen_memory
    from tui.screens.load import LoadApp

    first, *workers = plans
    with LoadProcesses(
        [msgspec.structs.replace(first, snapshots=True), *workers], captures=True
    ) as processes:
        theme = opts.effective_settings().settings.screen.theme or screen_memory().theme
        app = LoadApp(processes, f"{Path(first.scenario).name} · {first.target.safe_url}", theme)
        code = app.run()
        for line in app.printed:
            click.echo(line)
        if processes.killed:
            click.echo(processes.killed, err=True)
    return ExitCode.CRASHED if code is None else code


def _own_names() -> list[str]:
    return [
        parameter.name
        for parameter in load.params
        if getattr(parameter, "group", "") in ("Load", "Processes", "Output", "Verdict")
        and parameter.name not in ("url", "profile", None)
    ] + ["locust_options"]


def _check_options(own: dict[str, Any]) -> None:
    from tui.load.conditions import OF_A_CALL, OF_A_RUN, Criterion
    from tui.text.strict import SettingsError

    if own["master"] and own["worker"]:
        raise Sentence("--master and --worker cannot be used together: run them on different machines.")
    if own["worker"] and not own["master_host"]:
        raise Sentence("--worker needs --master-host, the address of the machine that runs --master.")
    if own["canary"] and (own["master"] or own["worker"]):
        raise Sentence(
            "--canary works only on a single machine. During a distributed run, use `opusagent-tui connect`."
        )
    if own["web"] and own["headless"]:
        raise Sentence("--web and --headless cannot be used together.")
    for flag, names in (("keep_if", OF_A_CALL), ("fail_if", OF_A_RUN)):
        for text in own[flag]:
            try:
                Criterion(text, names)
            except SettingsError as error:
                raise Sentence(f"--{flag.replace('_', '-')}: {error}") from error
    for flag in ("json_file", "report_file"):
        if own[flag] not in ("", "-") and not Path(own[flag]).resolve().parent.is_dir():
            raise Sentence(f"--{flag.removesuffix('_file')} {own[flag]}: its folder does not exist.")


def _read(path: Path) -> Scenario:
    from tui.scenario.reading import find_scenarios, read_scenario

    with opts.file_errors():
        files = find_scenarios([path])
        if len(files) != 1:
            raise Sentence(f"{path} contains {len(files)} scenarios. Specify a single file.")
        return read_scenario(files[0])


def _check_host(target: Target, allowed: Sequence[str]) -> None:
    """Raises `Sentence` unless the host is this machine or the user has allowed load tests of it."""
    from tui.remembered import allow_host, allowed_hosts

    host = (urlsplit(target.url).hostname or "").lower()
    for each in allowed:
        allow_host(each.lower())
    if host in _LOOPBACK or host in (each.lower() for each in allowed) or host in allowed_hosts():
        return
    why = f"A load test of {host} may look like an attack and may cost the owner money."
    if sys.stdin.isatty() and sys.stdout.isatty():
        if click.confirm(f"{why} Do you have permission to load-test it?", err=True):
            allow_host(host)
            return
        raise Sentence(f"A load test of {host} was not allowed.")
    raise Sentence(f"{why} If you have permission to load-test it, add --allow-host {host}.")


def _check_descriptors(calls: int) -> None:
    """Increases the limit on open files to the number that ``calls`` need.

    Raises `Sentence` if that is impossible.
    """
    import resource

    needed = calls * _A_CALL + _OTHER_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or needed <= soft:
        return
    if hard != resource.RLIM_INFINITY and needed > hard:
        raise Sentence(
            f"{calls:,} calls in one process need {needed:,} open files, but only {hard:,} are allowed. Raise the "
            f"limit with `ulimit -n {needed}` (as root, or in /etc/security/limits.conf), or use more --workers."
        )
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    except (OSError, ValueError) as error:
        raise Sentence(
            f"{calls:,} calls in one process need {needed:,} open files, but only {soft:,} are allowed. "
            f"Raise the limit with `ulimit -n {needed}`."
        ) from error


def _plans(scenario: Scenario, target: Target, own: dict[str, Any]) -> list[LoadPlan]:
    """Returns one plan per process. The first plan is for the master, the others are for its workers."""
    import msgspec

    from tui.config.targets import sessions_folder
    from tui.load.plan import LoadPlan, Role
    from tui.load.processes import free_port
    from tui.scenario.lines import lines_of
    from tui.speech.process import SpeechProcess

    saves = bool(own["keep_if"]) or own["keep"] > 0
    settings = opts.effective_settings()
    sessions = str(sessions_folder(settings))
    folder = sessions if saves else ""
    # Done once and before any call, because a process that synthesizes speech has no time for callers.
    with opts.file_errors(), SpeechProcess(synthesizer=settings.settings.speech.synthesizer or "") as speech:
        lines = {} if own["master"] else lines_of(scenario, speech.speak)
    plan = LoadPlan(
        scenario=str(Path(scenario.path).resolve()),
        target=msgspec.structs.replace(target, input="lines", output="none", save=folder),
        lines=lines,
        keep_if=" or ".join(own["keep_if"]),
        **{name: own[name] for name in _PASSED_ON},
        locustfile=str(Path(own["locustfile"]).resolve()) if own["locustfile"] else "",
        workers=own["workers"] or 1,
    )
    replace = msgspec.structs.replace
    if own["worker"]:
        return [replace(plan, role=Role.WORKER, master_host=own["master_host"])]
    if own["master"]:
        return [replace(plan, role=Role.MASTER, master_host=own["master_host"] or "*")]
    canary: list[LoadPlan] = []
    if own["canary"]:
        plan = replace(plan, canary_file=str(Path(own["scratch"], "canary.jsonl")))
        canary = [replace(plan, role=Role.CANARY, target=replace(plan.target, save=sessions))]
    if own["workers"] is None:
        return [plan, *canary]
    port = free_port()
    worker = replace(plan, role=Role.WORKER, master_port=port, locust_options=())
    return [replace(plan, role=Role.MASTER, master_port=port), *([worker] * own["workers"]), *canary]


_PASSED_ON = (
    *("users", "spawn_rate", "run_time_s", "warm_up_s", "max_call_minutes", "keep", "fail_if"),
    *("json_file", "report_file", "master_port", "web", "locust_options"),
)
