"""What is remembered between runs: the targets called last, without their secrets."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

import msgspec
from platformdirs import user_state_path

from tui.models.target import Target

RECENT_LIMIT = 9


class RecentTarget(msgspec.Struct, frozen=True, omit_defaults=True):
    """A target as it may be kept on disk: no token, no header, no credentials."""

    url: str
    protocol: str
    token_env: str = ""
    """Name of the variable that holds the token."""
    input: str = "auto"
    output: str = "auto"

    def target(self) -> Target:
        """To be called again, with the token that the environment has now."""
        return Target(
            url=self.url,
            protocol=self.protocol,
            token=os.environ.get(self.token_env, ""),
            token_env=self.token_env,
            input=self.input,
            output=self.output,
        )


def recent_targets() -> list[Target]:
    """The targets called last, newest first; an unreadable file is none."""
    return [recent.target() for recent in _read()]


def remember_target(target: Target) -> None:
    """Put a target on top of the list. A list that cannot be written is not worth a word."""
    recent = RecentTarget(target.safe_url, target.protocol, target.token_env, target.input, target.output)
    kept = [other for other in _read() if (other.url, other.protocol) != (recent.url, recent.protocol)]
    path = _path()
    with contextlib.suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        content = msgspec.json.encode([recent, *kept[: RECENT_LIMIT - 1]])
        write_atomically(path, msgspec.json.format(content))


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file so that nobody ever sees half of it. Raises `OSError`."""
    fd, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(content)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


def _read() -> list[RecentTarget]:
    try:
        return msgspec.json.decode(_path().read_bytes(), type=list[RecentTarget])
    except (OSError, msgspec.DecodeError):
        return []


def _path() -> Path:
    return user_state_path("opusagent-tui") / "recent.json"
