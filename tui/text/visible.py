"""Makes control characters visible in text from the far side.

All text from the far side passes through `visible` before it is shown.
"""

from __future__ import annotations

import re
from unicodedata import category

# C0 except tab and newline, DEL, C1, zero-width and bidi controls, line separators, lone surrogates, BOM.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u115f\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


_JOINERS = "\u200c\u200d"
"""Zero-width non-joiner and joiner, which are part of the spelling of Persian and Hindi, and of many emoji."""


def visible(text: str) -> str:
    """Returns the text with characters that could control a terminal replaced by visible ones.

    C0 controls become their Unicode pictures (ESC becomes ``␛``). Other characters that could move, hide or
    reorder text become their code points in angle quotes (``‹202E›``). Tab, newline, and joiners within words
    and emoji are harmless and are kept.
    """
    return _UNSAFE.sub(_picture, text)


def harmless(text: str) -> str:
    """Returns the text without the characters that `visible` would replace."""
    return _UNSAFE.sub(lambda match: match[0] if _picture(match) == match[0] else "", text)


def one_line(text: str, width: int | None = None) -> str:
    """Returns `visible` text on one line, cut with an ellipsis if it has more than ``width`` characters."""
    line = visible(text if width is None else text[: 4 * width + 1]).replace("\n", "⏎").replace("\t", " ")
    if width is None or len(line) <= width:
        return line
    # A joiner at the end would join with the ellipsis.
    return line[: max(width - 1, 0)].rstrip(_JOINERS) + "…"


def _picture(match: re.Match[str]) -> str:
    if match[0] in _JOINERS and _joins(match.string, match.start()):
        return match[0]
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else f"‹{code:04X}›"


def _joins(text: str, at: int) -> bool:
    """Returns whether the zero-width joiner at index ``at`` joins two letters or symbols.

    Next to ASCII characters, a joiner has no effect.
    """
    before, after = text[at - 1 : at] if at else "", text[at + 1 : at + 2]
    # Letters, combining marks, and emoji with their skin tones and variants.
    return all(char and not char.isascii() and category(char)[0] in "LMS" for char in (before, after))
