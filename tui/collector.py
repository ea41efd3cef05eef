"""Controls garbage collection: a full collection over all that is loaded stops every thread for up to 90 ms."""

from __future__ import annotations

import gc


def hold() -> None:
    """Stop collecting while the process starts: what it allocates now stays, so there is no garbage."""
    gc.disable()


def settle() -> None:
    """Collect once and start again; what exists now is never scanned after that."""
    gc.collect()
    gc.freeze()
    gc.enable()
