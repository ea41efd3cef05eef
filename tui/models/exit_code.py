"""ExitCode: how a call went, as the program tells a shell."""

from __future__ import annotations

from enum import IntEnum

from tui.models.events import ErrorRaised


class ExitCode(IntEnum):
    """Exit codes; `--help` of the commands lists them."""

    FINE = 0
    LIMIT_EXCEEDED = 1
    USAGE = 2
    NOT_ANSWERED = 3
    UNREACHABLE = 4
    PROTOCOL_ERROR = 5
    CRASHED = 70
    """An error of our own."""
    INTERRUPTED = 130


def exit_code_of(fatal: ErrorRaised, *, accepted: bool) -> ExitCode:
    """What came of a call that this error ended; ``accepted``: it had been up."""
    match fatal:
        case ErrorRaised(source="engine"):
            return ExitCode.CRASHED
        case ErrorRaised(code="impossible"):
            return ExitCode.USAGE
        case ErrorRaised(source="agent", code="silent") if not accepted:
            return ExitCode.NOT_ANSWERED
        case ErrorRaised(source="socket") | ErrorRaised(code="unreachable" | "unknown") if not accepted:
            return ExitCode.UNREACHABLE
        case _:
            return ExitCode.PROTOCOL_ERROR
