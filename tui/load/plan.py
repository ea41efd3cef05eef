"""LoadPlan: what `opusagent-tui load` hands to the processes of Locust that it starts."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import msgspec

from tui.models.target import Target
from tui.scenario.lines import SpokenLine

NAME = "opusagent-tui load"


class Role(StrEnum):
    """What a process of Locust does."""

    ALONE = "alone"
    """It holds the calls and folds their records."""
    MASTER = "master"
    WORKER = "worker"
    CANARY = "canary"
    """It holds one fully measured call beside the others, without Locust."""


class LoadPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One run. It holds the target's secrets, so it travels through a pipe, never in arguments."""

    role: Role = Role.ALONE
    scenario: str
    """Path of the scenario file."""
    target: Target
    """With a folder to save in, if sessions may be kept."""
    lines: dict[str, SpokenLine] = {}
    """The lines of the scenario, by what its steps say."""
    locustfile: str = ""
    """A file with `VoiceUser` classes of the user's own; empty for the one that comes with the program."""
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
    """Workers hang up if their master is silent for so long: a call may cost money."""
    workers: int = 0
    """How many workers the master waits for."""
    canary_file: str = ""
    """Where the canary writes the records of its calls; empty without one."""
    web: bool = False
    snapshots: bool = False
    """Whether progress is printed as JSON, for the live screen."""
    locust_options: Sequence[str] = ()
    """Further options of Locust's own."""

    def __repr__(self) -> str:
        """Returns a form without secrets, because a traceback may show it."""
        return f"LoadPlan({self.role}, {self.scenario!r}, {self.target!r})"


_current: list[LoadPlan] = []


def set_plan(plan: LoadPlan) -> None:
    """Set the plan of this process."""
    _current[:] = [plan]


def current_plan() -> LoadPlan | None:
    """Returns the plan of this process; None where Locust was started without `opusagent-tui load`."""
    return _current[0] if _current else None
