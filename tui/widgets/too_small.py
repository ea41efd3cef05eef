"""TooSmall: a message in place of a screen that does not fit the terminal."""

from __future__ import annotations

from textual.widgets import Static

_SENTENCE = (
    "opusagent-tui needs at least 60 columns and 16 rows.\nThe call continues. Make the window larger."
)


class TooSmall(Static):
    """The message, which is hidden unless the style sheets consider the terminal too small."""

    def __init__(self) -> None:
        super().__init__(_SENTENCE, id="too-small", markup=False)
