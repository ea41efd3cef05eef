"""When Python looks for garbage: a full look stops every thread for up to 90 ms, so never while somebody waits."""

from __future__ import annotations

import gc


def hold() -> None:
    """The process starts: all that it makes now stays, so there is nothing to look for."""
    gc.disable()


def settle() -> None:
    """The process is up: what there is now is never looked through again, and what grows old only by `collect`."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(700, 10, 1_000_000)
    gc.enable()


def collect() -> None:
    """Between two calls, when a pause disturbs nobody: look through everything that has come since `settle`."""
    if gc.isenabled():
        gc.collect()
