"""``python -m tui.agent SETTINGS`` runs the local agent as a child process, which exits when its stdin closes.

The process prints one line on stdout: ``listening on ws://HOST:PORT`` or ``failed: SENTENCE``.
"""

from __future__ import annotations

import asyncio
import logging
import sys

from tui.agent.process import FAILED, READY, settings_from
from tui.agent.settings import AgentError
from tui.crash import crash_report
from tui.exit_code import ExitCode
from tui.text.redaction import log_without_secrets


def main() -> int:
    """Runs the agent until SIGINT, SIGTERM or the end of stdin; returns the exit code."""
    log_without_secrets(logging.WARNING, "%(asctime)s %(name)s %(levelname)s %(message)s")
    try:
        asyncio.run(_serve(sys.argv[1]))
    except AgentError as error:
        _report(f"{FAILED}{error}")
        return ExitCode.UNREACHABLE
    except Exception as error:  # noqa: BLE001 - its parent shows the sentence
        _report(f"{FAILED}{crash_report(error)}")
        return ExitCode.CRASHED
    return ExitCode.FINE


async def _serve(settings: str) -> None:
    from tui.agent.server import serve

    await serve(settings_from(settings), lambda url: _report(f"{READY}{url}"), lifeline=sys.stdin.fileno())


def _report(line: str) -> None:
    # UTF-8 in every locale, because that is what the parent reads.
    sys.stdout.buffer.write(f"{line}\n".encode(errors="backslashreplace"))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
