"""ExitCode: the exit codes of every command. For scripts, the codes are described in `docs/exit-codes.md`."""

from __future__ import annotations

import signal
from enum import IntEnum


class ExitCode(IntEnum):
    """An exit code.

    Scripts rely on exit codes and their reason codes, so the meaning of a code must never change.
    """

    FINE = 0
    LIMIT_EXCEEDED = 1
    USAGE = 2
    NOT_ANSWERED = 3
    UNREACHABLE = 4
    PROTOCOL_ERROR = 5
    NOT_JUDGED = 6
    CRASHED = 70
    OUTPUT_FAILED = 74
    HUNG_UP = 128 + signal.SIGHUP
    INTERRUPTED = 128 + signal.SIGINT
    QUIT = 128 + signal.SIGQUIT
    OUTPUT_CLOSED = 128 + signal.SIGPIPE
    TERMINATED = 128 + signal.SIGTERM

    @property
    def meaning(self) -> str:
        """A short description for ``--help``."""
        return _MEANINGS[self]

    @property
    def reason(self) -> str:
        """The reason code in errors that ``--json`` prints, such as ``not_answered``."""
        return self.name.lower()


_MEANINGS = {
    ExitCode.FINE: "success",
    ExitCode.LIMIT_EXCEEDED: "limit exceeded",
    ExitCode.USAGE: "usage error",
    ExitCode.NOT_ANSWERED: "the agent did not answer",
    ExitCode.UNREACHABLE: "refused or unreachable",
    ExitCode.PROTOCOL_ERROR: "protocol error, or call cut off",
    ExitCode.NOT_JUDGED: "too uncertain to be judged",
    ExitCode.CRASHED: "internal error",
    ExitCode.OUTPUT_FAILED: "output cannot be written",
    ExitCode.HUNG_UP: "terminal closed",
    ExitCode.INTERRUPTED: "interrupted",
    ExitCode.QUIT: "quit by SIGQUIT",
    ExitCode.OUTPUT_CLOSED: "output reader exited",
    ExitCode.TERMINATED: "terminated",
}
