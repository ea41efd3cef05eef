"""The one function that every text from the far side passes before it is shown."""

from __future__ import annotations

import re

# C0 but tab and newline, DEL, C1, zero-width and bidi controls, line separators, lone surrogates, BOM.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u115f\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def visible(text: str) -> str:
    """Returns the text with terminal control made visible instead of effective.

    C0 controls become their Unicode pictures (ESC is ``␛``), everything else that could move, hide or reorder
    what is drawn becomes its code point in angle quotes (``‹202E›``). Tab and newline stay.
    """
    return _UNSAFE.sub(_picture, text)


def one_line(text: str, width: int | None = None) -> str:
    """Returns `visible` text on one line, cut with an ellipsis at ``width`` characters."""
    line = visible(text if width is None else text[: 4 * width + 1]).replace("\n", "⏎").replace("\t", " ")
    return line if width is None or len(line) <= width else line[: max(width - 1, 0)] + "…"


def _picture(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else f"‹{code:04X}›"
