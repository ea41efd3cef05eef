"""Ends a load test process when the command that started it exits, because calls may cost money."""

from __future__ import annotations

import os
import signal

from gevent.monkey import get_original

from tui.exit_code import ExitCode

LIMIT_S = 15.0
"""Time, in seconds, that the process has to hang up its calls before it is ended."""


def end_with_parent(limit_s: float = LIMIT_S) -> None:
    """Interrupts the main thread when stdin ends; kills the process if it still runs ``limit_s`` later.

    Must be called in the main thread. If gevent replaces threads in this process, call this function after
    the replacement: gevent's import lock blocks forever if another thread already exists.
    """
    # An OS thread, because it runs even while the hub is blocked or waits for messages from a lost peer.
    sleep, main_thread = get_original("time", "sleep"), get_original("_thread", "get_ident")()

    def watch() -> None:
        while os.read(0, 1_024):
            pass
        signal.pthread_kill(main_thread, signal.SIGINT)
        sleep(limit_s)
        os._exit(ExitCode.INTERRUPTED)

    get_original("_thread", "start_new_thread")(watch, ())
