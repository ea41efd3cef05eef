"""ExitCode: the exit codes of all commands. `docs/exit-codes.md` describes the codes for authors of scripts."""

from __future__ import annotations

import signal
from enum import IntEnum
from typing import Self


class ExitCode(IntEnum):
    """The exit code of a command.

    Scripts rely on exit codes and their reason codes, so the meaning of a code must never change.
    """

    meaning: str
    """A short description for ``--help``."""

    def __new__(cls, value: int, meaning: str = "") -> Self:
        """Creates a member from its number and its description."""
        code = int.__new__(cls, value)
        code._value_ = value
        code.meaning = meaning
        return code

    FINE = 0, "success"
    LIMIT_EXCEEDED = 1, "limit exceeded"
    USAGE = 2, "usage error"
    NOT_ANSWERED = 3, "the agent did not answer"
    UNREACHABLE = 4, "refused or unreachable"
    PROTOCOL_ERROR = 5, "protocol error, or call cut off"
    NOT_JUDGED = 6, "too uncertain to be judged"
    CRASHED = 70, "internal error"
    OUTPUT_FAILED = 74, "output cannot be written"
    HUNG_UP = 128 + signal.SIGHUP, "terminal closed"
    INTERRUPTED = 128 + signal.SIGINT, "interrupted"
    QUIT = 128 + signal.SIGQUIT, "quit by SIGQUIT"
    OUTPUT_CLOSED = 128 + signal.SIGPIPE, "output reader exited"
    TERMINATED = 128 + signal.SIGTERM, "terminated"

    @property
    def reason(self) -> str:
        """The reason code that ``--json`` prints in errors, such as ``not_answered``."""
        return self.name.lower()
