"""A message as it is read by a person: indented JSON with long strings cut to their length.

Bounded whatever comes in; numbers, the order of keys and keys that come twice stay as they were sent.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from tui.models.text import visible

MAX_STRING = 200
"""Characters a string may have before it is cut."""
KEPT_OF_STRING = 24
MAX_LINES = 2_000
MAX_RAW = 20_000


class _Number(str):
    __slots__ = ()


class _Object(tuple[tuple[str, object], ...]):
    __slots__ = ()


def pretty(raw: bytes) -> list[str]:
    """The lines of a message: JSON where it is JSON, otherwise its text."""
    try:
        value = json.loads(
            raw, object_pairs_hook=_Object, parse_int=_Number, parse_float=_Number, parse_constant=_Number
        )
    except (ValueError, RecursionError):
        return raw_lines(raw)
    lines: list[str] = []
    try:
        for line in _lines(value, "", ""):
            if len(lines) == MAX_LINES:
                lines.append(f"… (only the first {MAX_LINES:,} lines are shown)")
                break
            lines.append(line)
    except RecursionError:
        lines.append("… (too deep to be shown further)")
    return lines


def raw_lines(raw: bytes) -> list[str]:
    """The message as it came, as text; bytes that are none in hex."""
    text = visible(raw[:MAX_RAW].decode("utf-8", "backslashreplace"))
    lines = text.expandtabs(4).split("\n")
    if len(raw) > MAX_RAW:
        lines.append(f"… ({len(raw):,} bytes, the first {MAX_RAW:,} are shown)")
    return lines


def elided(text: str) -> str:
    """A string as JSON shows it, cut to its beginning and its length when it is long."""
    if len(text) <= MAX_STRING:
        return visible(json.dumps(text, ensure_ascii=False))
    head = visible(json.dumps(text[:KEPT_OF_STRING], ensure_ascii=False)[:-1])
    return f'{head}… ({len(text):,} characters)"'


def _lines(value: object, indent: str, before: str, after: str = "") -> Iterator[str]:
    match value:
        case _Object() if value:
            yield f"{indent}{before}{{"
            last = len(value) - 1
            for index, (key, member) in enumerate(value):
                yield from _lines(member, indent + "  ", f"{elided(key)}: ", "," if index < last else "")
            yield f"{indent}}}{after}"
        case list() if value:
            yield f"{indent}{before}["
            last = len(value) - 1
            for index, member in enumerate(value):
                yield from _lines(member, indent + "  ", "", "," if index < last else "")
            yield f"{indent}]{after}"
        case _:
            yield f"{indent}{before}{_scalar(value)}{after}"


def _scalar(value: object) -> str:
    match value:
        case _Object():
            return "{}"
        case list():
            return "[]"
        case _Number():
            return elided(value).strip('"')
        case str():
            return elided(value)
        case _:
            return {True: "true", False: "false"}.get(value, "null") if isinstance(value, bool) else "null"
