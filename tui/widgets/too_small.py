"""TooSmall: a message that replaces a screen for which the terminal is too small."""

from __future__ import annotations

from textual.widgets import Static

_SENTENCE = (
    "opusagent-tui needs at least\n60 columns and 16 rows.\n"
    "Make the window larger.\nA call in progress continues."
)


class TooSmall(Static):
    """A message that the style sheets show if the terminal is too small."""

    def __init__(self) -> None:
        super().__init__(_SENTENCE, id="too-small", markup=False)
