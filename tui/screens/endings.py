"""EndingApp: leaves the screen in the same way after a key, a signal, a lost terminal or a crash."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import FrameType

from rich.console import RenderableType
from textual.app import App, SuspendNotSupported

from tui.crash import crash_report
from tui.exit_code import ExitCode

_SIGNALS = {
    signal.SIGTERM: ExitCode.TERMINATED,
    signal.SIGHUP: ExitCode.HUNG_UP,
    signal.SIGINT: ExitCode.FINE,  # like the key ctrl+c
    # The default handler would leave the alternate screen, mouse reporting and raw mode on.
    signal.SIGQUIT: ExitCode.QUIT,
}


class EndingApp(App[int]):
    """An application that exits with a meaningful code, and reports a crash in one sentence."""

    crash_report = ""
    """Sentence about a crash; "" if there was none."""
    suspended = False
    """Whether the program is suspended and the shell has the terminal."""

    def leave(self, code: int = 0) -> None:
        """Exits with the given code. The code that called `run_app` then ends the call properly."""
        self.exit(code, return_code=code)

    async def action_quit(self) -> None:
        """Quits."""
        self.leave()

    def action_suspend_process(self) -> None:
        """Suspends the program until the shell resumes the job. Does nothing without a terminal."""
        with suppress(SuspendNotSupported), self.suspend():
            stop_job()

    def listen_to_signals(self) -> None:
        """Exits on SIGTERM, SIGHUP, SIGINT and SIGQUIT.

        Call it on the event loop, after Textual has taken control of the terminal.
        """
        loop = asyncio.get_running_loop()
        for number, code in _SIGNALS.items():
            loop.add_signal_handler(number, self.leave, code)
        resume = signal.getsignal(signal.SIGCONT)

        def continued(number: int, frame: FrameType | None) -> None:
            """Resumes the screen on SIGCONT, but only after the user has suspended the program.

            A closing terminal also sends SIGCONT; if Textual then painted to the closed terminal, it would
            hang.
            """
            if self.suspended and callable(resume):
                resume(number, frame)

        signal.signal(signal.SIGCONT, continued)

        threading.excepthook = partial(self._thread_failed, loop, threading.excepthook)

    def _thread_failed(
        self,
        loop: asyncio.AbstractEventLoop,
        otherwise: Callable[[threading.ExceptHookArgs], object],
        failure: threading.ExceptHookArgs,
    ) -> None:
        """Exits if a thread has failed with `OSError`; passes other failures to ``otherwise``.

        Textual's writer thread is the first to notice that the terminal is gone.
        """
        if isinstance(failure.exc_value, OSError):
            loop.call_soon_threadsafe(self.leave, ExitCode.HUNG_UP)
        else:
            otherwise(failure)

    def panic(self, *renderables: RenderableType) -> None:
        """Stores the reason of a crash and exits. Textual's own method would print local variables.

        Without a current exception, the cause is a failure of the thread that reads the terminal.
        """
        error = sys.exception() or self._exception
        if error is None:
            self.leave(ExitCode.HUNG_UP)
        else:
            self._crashed(error)

    def _fatal_error(self) -> None:
        self._crashed(sys.exception() or self._exception)

    def _crashed(self, error: BaseException | None) -> None:
        if not self.crash_report:
            self.crash_report = crash_report(error)
        self._return_code = ExitCode.CRASHED
        self._close_messages_no_wait()


def stop_job() -> None:
    """Stops this process and its process group. Returns when the group has the terminal again.

    The shell waits for the process that it started, which may be a wrapper such as `uv run`. A wrapper that
    kept running would keep the terminal, so the whole group is stopped. The engine has a separate session and
    keeps running.
    """
    # With the default handler, the kernel ignores SIGTSTP if no shell could ever continue the job.
    handler = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
    os.killpg(0, signal.SIGTSTP)
    signal.signal(signal.SIGTSTP, handler)
    while _in_background():
        os.killpg(0, signal.SIGSTOP)


def _in_background() -> bool:
    """Returns whether the shell continued the job in the background (`bg`), without the terminal."""
    try:
        return sys.__stdin__ is not None and os.tcgetpgrp(sys.__stdin__.fileno()) != os.getpgrp()
    except OSError:
        return False  # the terminal is gone
