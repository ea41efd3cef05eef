"""TooSmall: the sentence in place of a screen for which the terminal has no room."""

from __future__ import annotations

from textual.widgets import Static

_SENTENCE = "opusagent-tui needs at least 60 columns and 16 rows.\nThe call goes on; make the window larger."


class TooSmall(Static):
    """Hidden, unless the style sheets find the screen too small for everything else."""

    def __init__(self) -> None:
        super().__init__(_SENTENCE, id="too-small", markup=False)
