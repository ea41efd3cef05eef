"""Fitting text into terminal cells. What comes in has been through `tui.models.text` already."""

from __future__ import annotations

import re

from rich.cells import cell_len, chop_cells, set_cell_size

_WORDS = re.compile(r" *[^ ]+| +")
"""A no-break space does not part words."""


def fit(text: str, cells: int, *, keep_end: bool = False) -> str:
    """Exactly ``cells`` wide: padded, or cut with an ellipsis at the end (or in front, to keep the end)."""
    if cells <= 0:
        return ""
    if text.isascii() and len(text) <= cells:
        return text.ljust(cells)
    if cell_len(text) <= cells:
        return set_cell_size(text, cells)
    if not keep_end:
        return set_cell_size(text, cells - 1) + "…"
    tail = text[-cells:]
    while cell_len(tail) > cells - 1:
        tail = tail[1:]
    return set_cell_size("…" + tail, cells)


def wrap(text: str, width: int) -> list[str]:
    """The lines of a text at a width, broken between words, and inside a word only where it has to be."""
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
