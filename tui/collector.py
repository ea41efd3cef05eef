"""Controls garbage collection and how much freed memory the process keeps.

A full collection over all loaded objects stops every thread for up to 90 ms.
"""

from __future__ import annotations

import contextlib
import gc


def hold() -> None:
    """Disables collection while the process starts, because objects allocated during startup are kept."""
    gc.disable()


def resume() -> None:
    """Enables collection again, without ever scanning the objects that exist now."""
    gc.freeze()
    gc.enable()


def settle() -> None:
    """Collects once and enables collection again. Existing objects are not scanned after that."""
    gc.collect()
    gc.freeze()
    gc.enable()


def give_back() -> None:
    """Returns freed memory to the system.

    Takes a few milliseconds without holding the GIL. May be called from any thread.
    """
    import ctypes  # late: the first picture does not need it

    # glibc keeps freed memory: an engine grew to 400 MB over 100 calls, although it had no more objects than
    # at the start. With another C library, this does nothing.
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
