"""Controls garbage collection and how much freed memory the process keeps.

A full collection over all loaded objects stops every thread for up to 90 ms.
"""

from __future__ import annotations

import contextlib
import gc


def hold() -> None:
    """Disables garbage collection while the process starts, because objects from startup are kept anyway."""
    gc.disable()


def resume() -> None:
    """Enables garbage collection again, without ever scanning the objects that exist now."""
    gc.freeze()
    gc.enable()


def settle() -> None:
    """Collects garbage once and enables collection again. Later collections never scan existing objects."""
    gc.collect()
    gc.freeze()
    gc.enable()


def give_back() -> None:
    """Returns freed memory to the operating system.

    Takes a few milliseconds without holding the GIL. May be called from any thread.
    """
    import ctypes  # late: the first picture does not need it

    # glibc keeps freed memory: an engine grew to 400 MB over 100 calls, although it had no more objects than
    # at the start. With another C library, this does nothing.
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
