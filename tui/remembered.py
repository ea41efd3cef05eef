"""Saves state between starts of the program: recent targets, hosts that may be load-tested, theme, pane layout.

Settings that the user chooses are in `tui.config`. Errors must not stop the program: an unreadable file
counts as missing, and a failed write is ignored.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TypeVar

import msgspec
from platformdirs import user_state_path

from tui.files import private_folder, write_atomically
from tui.models.target import Target
from tui.settings import AUTO
from tui.text.redaction import token_in_environment
from tui.view.layout import Layout

RECENT_LIMIT = 9
_RECENT_FILE, _SCREEN_FILE, _HOSTS_FILE = "recent.json", "screen.json", "load-hosts.json"

T = TypeVar("T")


class ScreenMemory(msgspec.Struct, frozen=True, omit_defaults=True):
    """The theme and the pane layout."""

    theme: str = ""
    """The theme that was chosen last; "" if none was chosen."""
    layout: Layout = Layout()


class RecentTarget(msgspec.Struct, frozen=True, omit_defaults=True):
    """A target in the form in which it is saved: without token, headers and credentials."""

    url: str
    protocol: str
    token_env: str = ""
    """Name of the environment variable that contains the token."""
    input: str = AUTO
    output: str = AUTO

    def target(self, base: Target) -> Target:
        """Returns a target to call. The token comes from the environment, other settings from ``base``."""
        token = _token(self.token_env)
        return msgspec.structs.replace(base, token=token, **msgspec.structs.asdict(self))


def _token(variable: str) -> str:
    """Returns the token in an environment variable; "" if it is missing or invalid, which the call will report."""
    try:
        return token_in_environment(variable)
    except ValueError:
        return ""


def recent_targets(base: Target) -> list[Target]:
    """Returns the recent targets, newest first. Settings that were not saved come from ``base``."""
    return [recent.target(base) for recent in _recent()]


def remember_target(target: Target) -> None:
    """Adds a target to the top of the list of recent targets."""
    recent = RecentTarget(target.safe_url, target.protocol, target.token_env, target.input, target.output)
    kept = [other for other in _recent() if (other.url, other.protocol) != (recent.url, recent.protocol)]
    _write(_RECENT_FILE, [recent, *kept[: RECENT_LIMIT - 1]])


def screen_memory() -> ScreenMemory:
    """Returns the theme and the pane layout that were saved last."""
    return _read(_SCREEN_FILE, ScreenMemory) or ScreenMemory()


def remember_screen(memory: ScreenMemory) -> None:
    """Saves the theme and the pane layout."""
    _write(_SCREEN_FILE, memory)


def allowed_hosts() -> list[str]:
    """Returns the hosts for which the user has allowed load tests."""
    return _read(_HOSTS_FILE, list[str]) or []


def allow_host(host: str) -> None:
    """Remembers that load tests against a host are allowed."""
    _write(_HOSTS_FILE, sorted({*allowed_hosts(), host}))


def _recent() -> list[RecentTarget]:
    return _read(_RECENT_FILE, list[RecentTarget]) or []


def _read(name: str, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(_path(name).read_bytes(), type=kind)
    except (OSError, ValueError, RecursionError):
        return None


def _write(name: str, content: object) -> None:
    path = _path(name)
    with contextlib.suppress(OSError):
        private_folder(path.parent)
        write_atomically(path, msgspec.json.format(msgspec.json.encode(content)))


def _path(name: str) -> Path:
    return user_state_path("opusagent-tui") / name
