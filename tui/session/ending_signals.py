"""Handles the signals that end a program without a screen, so that it can hang up its calls first."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


@contextlib.contextmanager
def on_ending_signals(end: Callable[[], object]) -> Iterator[list[signal.Signals]]:
    """Calls ``end`` on each signal that would end the program; yields a list of the signals received.

    Use it on the main thread, in an event loop.
    """
    received: list[signal.Signals] = []

    def take(number: signal.Signals) -> None:
        received.append(number)
        end()

    loop = asyncio.get_running_loop()
    # `nohup` starts a program with SIGHUP ignored, and it must stay ignored.
    ignored = signal.SIGHUP if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else None
    numbers = [number for number in _ENDING if number is not ignored]
    for number in numbers:
        loop.add_signal_handler(number, take, number)
    try:
        yield received
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
