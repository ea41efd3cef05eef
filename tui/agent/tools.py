"""Chooses one of the caller's functions and its arguments by comparing words, without a language model.

A function matches if the user said a word from its name or, failing that, from its description. The agent
passes the arguments that the function's JSON schema requires, and arguments with a suggested value. A value
comes from the first of ``const``, ``default``, ``examples`` and ``enum`` that is present. Without any of
these, the value is the smallest of its type, such as "" for text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

Tool = Mapping[str, Any]

_WORD = re.compile(r"[^\W\d_]{4,}")
_CAMEL_CASE = re.compile(r"(?<=[a-z])(?=[A-Z])")
_COMMON_WORDS = """
about been could does from have hello into like more please should since some than that their them then there they
this very well were what when where which will with would your
"""
_LEAST: Mapping[str, Any] = {"integer": 0, "number": 0, "boolean": False, "array": [], "null": None}


def fitting_tool(tools: Iterable[Tool], said: str, *, required: bool = False) -> Tool | None:
    """Returns the tool that shares the most words with ``said``.

    If no words are shared, returns None unless ``required``.
    """
    words = _words(said)
    named = [tool for tool in tools if isinstance(tool.get("name"), str) and tool["name"]]
    shared = [(_shared(tool, words), tool) for tool in named]
    best = max(shared, key=lambda pair: pair[0], default=None)
    return best[1] if best and (required or any(best[0])) else None


def arguments_for(tool: Tool) -> dict[str, Any]:
    """Returns arguments that the tool's schema allows."""
    arguments = _example({"type": "object", **_object(tool, "parameters")})
    return arguments if isinstance(arguments, dict) else {}


def wrong_value(value: Any) -> Any:
    """Returns a different value of the same type.

    Changes every value in a list or object; adds a value to an empty list or object.
    """
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return f"{value} (wrong)".strip()
        case list():
            return [wrong_value(each) for each in value] or [None]
        case dict():
            return {name: wrong_value(each) for name, each in value.items()} or {"wrong": True}
        case _:
            return "wrong"


def _shared(tool: Tool, words: set[str]) -> tuple[int, int]:
    """Returns how many of the words occur in the tool's name, and how many in its description."""
    description = tool.get("description")
    known = _words(description) if isinstance(description, str) else set()
    return len(words & _words(_CAMEL_CASE.sub(" ", tool["name"]))), len(words & known)


def _words(text: str) -> set[str]:
    return {word.casefold() for word in _WORD.findall(text.replace("_", " "))} - set(_COMMON_WORDS.split())


def _example(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return ""
    if stated := _stated(schema):
        return stated[0]
    for union in ("anyOf", "oneOf", "allOf"):
        if (choices := schema.get(union)) and isinstance(choices, list):
            return _example(choices[0])
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next(iter(kind), None)
    if kind == "object":
        return _example_object(schema)
    least = schema.get("minimum")
    if kind in ("integer", "number") and isinstance(least, int | float):
        return least
    return _LEAST.get(kind, "") if isinstance(kind, str) else ""


def _example_object(schema: Mapping[str, Any]) -> dict[str, Any]:
    required = schema.get("required")
    due = required if isinstance(required, list) else []
    members = _object(schema, "properties").items()
    return {name: _example(member) for name, member in members if name in due or _stated(member)}


def _stated(schema: Any) -> list[Any]:
    """Returns the values that the schema suggests, best first."""
    if not isinstance(schema, dict):
        return []
    values = [schema[name] for name in ("const", "default") if name in schema]
    lists = (schema.get(name) for name in ("examples", "enum"))
    return values + [value for stated in lists if isinstance(stated, list) for value in stated]


def _object(members: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = members.get(name)
    return value if isinstance(value, dict) else {}
