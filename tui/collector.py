"""When Python looks for garbage: a look through all the program is made of stops every thread for up to 90 ms."""

from __future__ import annotations

import gc


def hold() -> None:
    """The process starts: all that it makes now stays, so there is nothing to look for."""
    gc.disable()


def settle() -> None:
    """The process is up: what there is now is never looked through again, only what comes from now on."""
    gc.collect()
    gc.freeze()
    gc.enable()
