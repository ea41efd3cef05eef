"""Draws JSON: converts lines of an `EventTree` to pieces of text with styles.

Text from the far side is cut to a readable length, and its control characters are made visible.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence

from rich.cells import cell_len

from tui.models.message.json import JsonNumber, JsonObject, Path, child_at, shown_key
from tui.models.message.tree import EventTree, TreeLine
from tui.text.visible import one_line, visible
from tui.widgets.wrap import broken, fit

MAX_STRING = 200
"""Maximum number of characters shown of a closed text."""
KEPT_OF_STRING = 24
"""Number of characters shown of a longer closed text, which is usually audio."""
OPENED_TEXT = 1_000
"""Maximum length in characters of a text that is initially open although it does not fit on a line."""
_MAX_KEY = 40
_PREVIEWED = 12
_NOISE = re.compile(r"[A-Za-z0-9+/=_-]{100,}")
_STEP = 2

Pieces = list[tuple[str, str]]


def tree_of(value: object, width: Callable[[], int]) -> EventTree:
    """Returns a tree with lines ``width()`` cells wide, in which short values are open."""

    def fits(path: Path, text: str) -> bool:
        return _fits(text, width() - _before_value(path, width()))

    def break_text(path: Path, text: str) -> Sequence[str]:
        return broken(visible(text).expandtabs(4), width() - _indent(max(len(path), 1), width()) - _STEP)

    tree = EventTree(value, fits, break_text)
    tree.open_some(_is_read_at_once)
    return tree


def tree_pieces(line: TreeLine, width: int, *, none: str = "null") -> Pieces:
    """Returns the pieces of a line. ``none`` is the text for null."""
    indent = " " * _indent(line.depth, width)
    if line.text is not None:
        return [(f"{indent}  {line.text}", "detail--string")]
    name = _name(line.path)
    left = width - cell_len(name) - len(indent) - _STEP
    text, style = _value(line, left, none)
    marker = {None: "  ", True: "▾ ", False: "▸ "}[line.opened]
    return [(indent + marker, "detail--label"), (name, "detail--key"), (text, style)]


def quoted(text: str) -> str:
    """Returns a string as JSON, with visible control characters."""
    return visible(json.dumps(text, ensure_ascii=False))


def cut_text(text: str, cells: int) -> str:
    """Returns a string as JSON. For a string that does not fit, returns the beginning and the length."""
    if _fits(text, cells):
        return quoted(text)
    length = f"… ({len(text):,} characters)"
    kept = KEPT_OF_STRING if len(text) > MAX_STRING else len(text)
    room = max(min(kept + 1, cells - len(length) - 1), 4)
    return f'{fit(quoted(text[:kept])[:-1], room).rstrip("…").rstrip()}{length}"'


def _value(line: TreeLine, cells: int, none: str) -> tuple[str, str]:
    match line.value:
        case JsonObject() | list() if not line.value:
            return "{}" if isinstance(line.value, JsonObject) else "[]", "detail--text"
        case JsonObject():
            names = "" if line.opened else ", ".join(shown_key(name) for name, _ in line.value[:_PREVIEWED])
            return _preview(f"{{{len(line.value):,}}}", names, cells), "detail--label"
        case list():
            return _preview(
                f"[{len(line.value):,}]", "" if line.opened else _elements(line.value), cells
            ), "detail--label"
        case JsonNumber():
            return one_line(line.value, max(cells, 8)), "detail--value"
        case str():
            if line.opened:
                return f"{len(line.value):,} characters", "detail--label"
            return cut_text(line.value, cells), "detail--string"
        case None:
            return none, "detail--value"
        case _:
            return json.dumps(line.value), "detail--value"


def _elements(values: Sequence[object]) -> str:
    """Returns the first elements of an array, if they are numbers or short values."""
    first = [child_at(values, place)[1] for place in range(min(len(values), _PREVIEWED))]
    if any(isinstance(value, JsonObject | list) for value in first):
        return ""
    return ", ".join(
        value if isinstance(value, JsonNumber) else json.dumps(value, ensure_ascii=False)[:80]
        for value in first
    )


def _preview(count: str, inside: str, cells: int) -> str:
    return one_line(f"{count} {inside}", max(cells, 8)).rstrip()


def _name(path: Path) -> str:
    return f"{one_line(shown_key(path[-1]), _MAX_KEY)}: " if path else ""


def _before_value(path: Path, width: int) -> int:
    return _indent(max(len(path) - 1, 0), width) + _STEP + cell_len(_name(path))


def _indent(depth: int, width: int) -> int:
    """Returns the indentation for a depth, which is at most half of the line."""
    return min(_STEP * depth, width // 2)


def _fits(text: str, cells: int) -> bool:
    return len(text) <= min(MAX_STRING, max(cells, 0)) and cell_len(quoted(text)) <= cells


def _is_read_at_once(value: object) -> bool:
    return type(value) is not str or (len(value) <= OPENED_TEXT and not _NOISE.fullmatch(value))
