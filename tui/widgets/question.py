"""Question: describes what the prompt asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec


class Question(msgspec.Struct, frozen=True):
    """A question for the prompt, with callbacks for the answer.

    ``entered`` and ``edited`` return a sentence if the answer is not valid; otherwise "".
    """

    label: str
    hint: str
    """Placeholder in the empty input line."""
    entered: Callable[[str], str]
    edited: Callable[[str], str] = lambda text: ""
    """Called on every change of the text."""
    left: Callable[[], None] | None = None
    """Called when the prompt is closed without an answer."""
    complete: Callable[[str], Iterable[str]] | None = None
    """Returns completions of the text before the cursor."""
    explain: Callable[[], None] | None = None
    """Shows the help page (F1)."""
