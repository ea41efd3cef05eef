"""Decodes JSON and encodes it exactly as it was received, and names its values by paths.

Numbers keep their characters, members keep their order, and duplicate names are kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import msgspec

from tui.models.events import MessageLogged, SessionEvent
from tui.text.numbers import since

Key = str | int
"""The name of a member, or the position of an element."""
Path = tuple[Key, ...]

_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class JsonNumber(str):
    """A number with its original characters. A `JsonNumber` does not equal a string of the same characters."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JsonNumber) and str(self) == str(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


class JsonObject(tuple[tuple[str, object], ...]):
    """A JSON object, whose members keep their order."""

    __slots__ = ()


class _Written(str):
    """A piece of JSON that is already encoded."""

    __slots__ = ()


def decode_json(raw: bytes | str) -> object:
    """Returns the decoded value. Raises `ValueError` for invalid JSON, or JSON nested too deeply."""
    try:
        return json.loads(
            raw,
            object_pairs_hook=JsonObject,
            parse_int=JsonNumber,
            parse_float=JsonNumber,
            parse_constant=JsonNumber,
        )
    except RecursionError as error:
        raise ValueError("too deep") from error


def as_json(value: object) -> str:
    """Returns the value as compact JSON; values may be nested to any depth."""
    parts: list[str] = []
    waiting: list[object] = [value]
    while waiting:
        part = waiting.pop()
        match part:
            case _Written() | JsonNumber():
                parts.append(part)
            case JsonObject():
                waiting.append(_Written("}"))
                for index in range(len(part) - 1, -1, -1):
                    name, member = part[index]
                    waiting += [member, _Written(f"{json.dumps(name, ensure_ascii=False)}: ")]
                    if index:
                        waiting.append(_Written(", "))
                parts.append("{")
            case list():
                waiting.append(_Written("]"))
                for index in range(len(part) - 1, -1, -1):
                    waiting.append(part[index])
                    if index:
                        waiting.append(_Written(", "))
                parts.append("[")
            case _:
                parts.append(json.dumps(part, ensure_ascii=False))
    return "".join(parts)


def from_builtins(value: object) -> object:
    """Converts Python dictionaries, lists and numbers to the types of this module."""
    match value:
        case dict():
            return JsonObject((str(name), from_builtins(member)) for name, member in value.items())
        case list() | tuple():
            return [from_builtins(element) for element in value]
        case bool() | None:
            return value
        case int() | float():
            return JsonNumber(json.dumps(value))
        case _:
            return str(value)


def content_of(event: SessionEvent, raw: bytes | None, start_ns: int) -> object:
    """Returns the content of an event to show: a message as JSON, text or hex, or the fields of any other event.

    Returns None for a message that was not kept. ``start_ns`` is the start of the session.
    """
    if not isinstance(event, MessageLogged):
        names = (field.name for field in msgspec.structs.fields(event))
        values = ((name, getattr(event, name)) for name in names if name not in ("number", "at_ns"))
        return JsonObject(_field(name, value, start_ns) for name, value in values)
    if raw is None:
        return None
    try:
        return decode_json(raw)
    except ValueError:
        return raw.hex(" ") if b"\0" in raw else raw.decode("utf-8", "backslashreplace")


def _field(name: str, value: object, start_ns: int) -> tuple[str, object]:
    """Returns a field as it is shown.

    A time is shown relative to the session's start, and a duration with its unit.
    """
    stem, _, unit = name.rpartition("_")
    if unit == "ns":
        time = JsonNumber(f"{since(value, start_ns)} s") if isinstance(value, int) else None
        return stem, time
    if unit == "ms" and isinstance(value, int | float):
        return stem, JsonNumber(f"{round(value, 3):,.12g} ms")
    return stem if unit == "ms" else name, from_builtins(msgspec.to_builtins(value))


def children_of(value: object) -> Sequence[object]:
    """Returns the pairs of an object or the elements of an array; empty for any other value."""
    return value if isinstance(value, JsonObject | list) else ()


def child_at(value: object, index: int) -> tuple[Key, object]:
    """Returns the name and value of a member, or the position and value of an element."""
    if isinstance(value, JsonObject):
        return value[index]
    assert isinstance(value, list)
    return index, value[index]


def path_text(path: Path) -> str:
    """Returns a path as text: ``$.session.tools[3].name``, ``$["odd name"]``."""
    return "$" + "".join(_step(key) for key in path)


def _step(key: Key) -> str:
    if isinstance(key, int):
        return f"[{key}]"
    return f".{key}" if _PLAIN_NAME.fullmatch(key) else f"[{json.dumps(key, ensure_ascii=False)}]"


def shown_key(key: Key) -> str:
    """Returns a member's name as it is shown before the value. An ambiguous name is quoted."""
    return (
        str(key)
        if isinstance(key, int) or _PLAIN_NAME.fullmatch(key)
        else json.dumps(key, ensure_ascii=False)
    )
