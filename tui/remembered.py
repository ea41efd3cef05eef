"""What is remembered between runs without being asked: the targets called last, and how the screen was left.

What the user decides stands in the settings (`tui.config`); nothing here may stop the program: a file that cannot be
read is one that was never written, and one that cannot be written is not worth a word.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TypeVar

import msgspec
from platformdirs import user_state_path

from tui.files import private_folder, write_atomically
from tui.models.target import Target
from tui.settings import AUTO
from tui.view.layout import Layout

RECENT_LIMIT = 9
_RECENT_FILE, _SCREEN_FILE = "recent.json", "screen.json"

T = TypeVar("T")


class ScreenMemory(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the screen was left."""

    theme: str = ""
    """The colours chosen last; "" while none was."""
    layout: Layout = Layout()


class RecentTarget(msgspec.Struct, frozen=True, omit_defaults=True):
    """A target as it may be kept on disk: no token, no header, no credentials."""

    url: str
    protocol: str
    token_env: str = ""
    """Name of the variable that holds the token."""
    input: str = AUTO
    output: str = AUTO

    def target(self, base: Target) -> Target:
        """To be called again as ``base`` says, with the token that the environment has now."""
        return msgspec.structs.replace(
            base,
            url=self.url,
            protocol=self.protocol,
            token=os.environ.get(self.token_env, ""),
            token_env=self.token_env,
            input=self.input,
            output=self.output,
        )


def recent_targets(base: Target) -> list[Target]:
    """The targets called last, newest first; what is not remembered of them is as ``base`` says."""
    return [recent.target(base) for recent in _recent()]


def remember_target(target: Target) -> None:
    """Put a target on top of the list."""
    recent = RecentTarget(target.safe_url, target.protocol, target.token_env, target.input, target.output)
    kept = [other for other in _recent() if (other.url, other.protocol) != (recent.url, recent.protocol)]
    _write(_RECENT_FILE, [recent, *kept[: RECENT_LIMIT - 1]])


def screen_memory() -> ScreenMemory:
    """How the screen was left the last time."""
    return _read(_SCREEN_FILE, ScreenMemory) or ScreenMemory()


def remember_screen(memory: ScreenMemory) -> None:
    """Keep how the screen is left."""
    _write(_SCREEN_FILE, memory)


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
