"""LoadPlan: the instructions that `opusagent-tui load` passes to the Locust processes that it starts."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import msgspec

from tui.models.target import Target
from tui.scenario.lines import SpokenLine

NAME = "opusagent-tui load"


class Role(StrEnum):
    """What a load test process does."""

    ALONE = "alone"
    """Makes the calls and evaluates their records."""
    MASTER = "master"
    WORKER = "worker"
    CANARY = "canary"
    """Makes one fully measured call at a time alongside the others, without Locust."""


class LoadPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The plan of a load test, which is passed through a pipe, never in arguments, because it contains secrets."""

    role: Role = Role.ALONE
    scenario: str
    """Path of the scenario file."""
    target: Target
    """The target. Names a folder for saved sessions if sessions may be kept."""
    lines: dict[str, SpokenLine] = {}
    """The lines of the scenario, by the text of their steps."""
    locustfile: str = ""
    """File with the user's own `VoiceUser` classes; empty for the built-in class."""
    users: int = 1
    spawn_rate: float = 1.0
    run_time_s: float | None = None
    warm_up_s: float = 0.0
    max_call_minutes: float | None = None
    keep_if: str = ""
    keep: float = 0.0
    """Share of all calls to keep, 0..1."""
    fail_if: Sequence[str] = ()
    json_file: str = ""
    report_file: str = ""
    master_host: str = "127.0.0.1"
    master_port: int = 5557
    master_timeout_s: float = 10.0
    """Workers that receive no message from the master for this many seconds hang up, because calls may cost money."""
    workers: int = 0
    """Number of workers for which the master waits."""
    canary_file: str = ""
    """Path of the file for the canary's call records; empty if there is no canary."""
    web: bool = False
    snapshots: bool = False
    """Whether to print progress as JSON, for the live screen."""
    locust_options: Sequence[str] = ()
    """Further options for Locust."""

    def __repr__(self) -> str:
        """Leaves out secrets, because the text may appear in tracebacks."""
        return f"LoadPlan({self.role}, {self.scenario!r}, {self.target!r})"


_current: list[LoadPlan] = []


def set_plan(plan: LoadPlan) -> None:
    """Sets the plan of this process."""
    _current[:] = [plan]


def current_plan() -> LoadPlan | None:
    """Returns the plan of this process; None if Locust was started without `opusagent-tui load`."""
    return _current[0] if _current else None
