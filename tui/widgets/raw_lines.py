"""Lines of a message as received: wrapped text, or a hex dump if the message is not text."""

from __future__ import annotations

from collections.abc import Sequence

from tui.text.visible import visible
from tui.widgets.wrap import LazyLines, broken

MAX_RAW = 2_000_000
"""Maximum number of bytes shown of a message. Copying includes all bytes."""


def raw_lines(raw: bytes, width: int) -> Sequence[str]:
    """Returns the lines of a message.

    A line is created only when it is requested.
    """
    shown = raw[:MAX_RAW]
    if b"\0" in shown:
        return _HexLines(raw, width)
    text, more = shown.decode("utf-8", "backslashreplace"), ""
    if len(raw) > MAX_RAW:
        more = f"\n… ({len(raw):,} bytes, the first {MAX_RAW:,} are shown)"
    return broken(visible(text).expandtabs(4) + more, width, between_words=False)


class _HexLines(LazyLines):
    """A hex dump with columns for offset, bytes and characters."""

    def __init__(self, raw: bytes, width: int) -> None:
        self._raw = raw
        self._bytes = 16 if width >= len(_hex_line(bytes(16), 0, 16)) else 8

    def __len__(self) -> int:
        return max(-(-len(self._raw) // self._bytes), 1)

    def line(self, index: int) -> str:
        return _hex_line(self._raw, index * self._bytes, self._bytes)


def _hex_line(raw: bytes, at: int, count: int) -> str:
    piece = raw[at : at + count]
    characters = "".join(chr(code) if 0x20 <= code < 0x7F else "·" for code in piece)
    return f"{at:08x}  {piece.hex(' '):<{3 * count - 1}}  {characters}"
