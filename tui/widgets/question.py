"""Question: what the line in the footer's place may ask."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec


def _nothing(_: str) -> str:
    return ""


class Question(msgspec.Struct, frozen=True):
    """What is asked, and what becomes of the answer. Each function returns what is wrong with it, or nothing."""

    label: str
    hint: str
    """While nothing is written."""
    entered: Callable[[str], str]
    edited: Callable[[str], str] = _nothing
    """Called at every change."""
    left: Callable[[], None] | None = None
    """Called when it is closed without an answer."""
    complete: Callable[[str], Iterable[str]] | None = None
    """How the text before the cursor may go on."""
    explain: Callable[[], None] | None = None
    """F1."""
