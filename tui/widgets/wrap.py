"""Fits text into terminal cells. The text must already have passed through `tui.text.visible`."""

from __future__ import annotations

import re
from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import overload

from rich.cells import cell_len, chop_cells, set_cell_size

_WORDS = re.compile(r" *[^ ]+| +")
"""Matches words and blanks. A no-break space does not separate words."""
_WRAPPED_CHARS = 4_000
"""Length above which text is not measured character by character."""


def fit(text: str, cells: int, *, keep_ends: bool = False) -> str:
    """Returns a text that is exactly ``cells`` wide: padded, or cut with an ellipsis.

    With ``keep_ends``, the text is cut in the middle, and more is kept of its end than of its beginning.
    """
    if cells <= 0:
        return ""
    if text.isascii() and len(text) <= cells:
        return text.ljust(cells)
    if cell_len(text) <= cells:
        return set_cell_size(text, cells)
    if not keep_ends:
        return set_cell_size(text, cells - 1) + "…"
    head = set_cell_size(text, cells // 3)
    tail = text[-cells:]
    while cell_len(tail) > cells - 1 - cells // 3:
        tail = tail[1:]
    return set_cell_size(f"{head}…{tail}", cells)


def wrap(text: str, width: int) -> list[str]:
    """Wraps a text to a width, between words where possible."""
    width = max(width, 1)
    if text.isascii() and len(text) <= width and "\n" not in text:
        return [text]
    return [line for paragraph in text.split("\n") for line in _wrap_paragraph(paragraph, width)]


def _wrap_paragraph(text: str, width: int) -> list[str]:
    lines: list[str] = []
    line, used = "", 0
    for word in _WORDS.findall(text):
        cells = cell_len(word)
        if used + cells <= width:
            line, used = line + word, used + cells
            continue
        if line.strip(" "):
            lines.append(line)
            word = word.lstrip(" ")
        else:
            word = line + word
        *full, line = chop_cells(word, width) or [""]
        lines += full
        used = cell_len(line)
    return [*lines, line]


def broken(text: str, width: int, *, between_words: bool = True) -> Sequence[str]:
    """Returns the lines of a text of any length.

    The lines of a long text have the same number of characters, and are created only when they are requested.
    """
    width = max(width, 2)
    if len(text) > _WRAPPED_CHARS:
        return _Broken(text, width)
    if between_words:
        return wrap(text, width)
    return [line for paragraph in text.split("\n") for line in chop_cells(paragraph, width) or [""]]


class LazyLines(Sequence[str]):
    """Lines that are created only when they are requested. Subclasses implement `__len__` and `line`."""

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> list[str]: ...

    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self.line(place) for place in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self.line(index)

    @abstractmethod
    def line(self, index: int) -> str:
        """Returns the line at ``index``, which is always in range."""


class _Broken(LazyLines):
    """Lines with a fixed number of characters.

    The number is small enough for lines that contain only wide characters.
    """

    def __init__(self, text: str, width: int) -> None:
        self._paragraphs = text.split("\n")
        self._width = width
        self._ends = list(
            accumulate(-(-len(text) // self._characters(text)) or 1 for text in self._paragraphs)
        )

    def _characters(self, paragraph: str) -> int:
        return self._width if paragraph.isascii() else self._width // 2

    def __len__(self) -> int:
        return self._ends[-1]

    def line(self, index: int) -> str:
        place = bisect_right(self._ends, index)
        paragraph = self._paragraphs[place]
        characters = self._characters(paragraph)
        at = (index - (self._ends[place - 1] if place else 0)) * characters
        return paragraph[at : at + characters]
