"""Reads the description and parameters of a function from its type hints and docstring."""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

_SECTION = re.compile(
    r"(args|arguments|parameters|returns?|yields?|raises|examples?|notes?):\s*$", re.IGNORECASE
)
_ARGS_SECTIONS = ("args", "arguments", "parameters")
_ENTRY = re.compile(r"\*{0,2}(\w+)(?:\s*\([^)]*\))?\s*:\s*(.*)")


class NotATool(ValueError):
    """Raised if a function cannot be offered to an agent. The message states the reason."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a function."""

    name: str
    hint: Any
    """The parameter's type, for `msgspec.convert`; `Any` if it has no type hint."""
    required: bool


@dataclass(frozen=True, slots=True)
class Signature:
    """The description of a function for an agent."""

    description: str
    parameters: tuple[Parameter, ...]
    schema: Mapping[str, Any]
    """The JSON schema of the arguments, as one object."""


def describe(function: Callable[..., Any]) -> Signature:
    """Describes a function from its type hints and docstring. Raises `NotATool`."""
    description, texts = parse_docstring(inspect.getdoc(function) or "")
    signature = inspect.signature(function)
    parameters = tuple(_parameter(function, parameter) for parameter in signature.parameters.values())
    properties, definitions = msgspec.json.schema_components(
        [parameter.hint for parameter in parameters], ref_template="#/$defs/{name}"
    )
    described = {
        parameter.name: {
            **_description(texts, parameter.name),
            **schema,
            **_default(signature, parameter.name),
        }
        for parameter, schema in zip(parameters, properties, strict=True)
    }
    schema: dict[str, Any] = {
        "type": "object",
        "properties": described,
        "required": [parameter.name for parameter in parameters if parameter.required],
        "additionalProperties": False,
    }
    return Signature(description, parameters, schema | ({"$defs": definitions} if definitions else {}))


def parse_docstring(docstring: str) -> tuple[str, dict[str, str]]:
    """Returns the text before the first section, and the entries under ``Args:`` by name."""
    section = ""
    lines: dict[str, list[str]] = {"": []}
    for line in docstring.splitlines():
        if heading := _SECTION.match(line):
            section = heading[1].lower()
        lines.setdefault(section, []).append("" if heading else line)
    paragraphs = "\n".join(lines[""]).strip().split("\n\n")
    description = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    return description, _entries([line for name in _ARGS_SECTIONS for line in lines.get(name, [])])


def _entries(lines: list[str]) -> dict[str, str]:
    """Parses entries of the form ``name (type): text``. Lines with a deeper indent continue an entry."""
    filled = [line for line in lines if line.strip()]
    depth = min((_indentation(line) for line in filled), default=0)
    entries: dict[str, str] = {}
    name = ""
    for line in filled:
        entry = _ENTRY.match(line.strip()) if _indentation(line) == depth else None
        if entry:
            name, entries[entry[1]] = entry[1], entry[2]
        elif name:
            entries[name] = f"{entries[name]} {line.strip()}".strip()
    return entries


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())


def _parameter(function: Callable[..., Any], parameter: inspect.Parameter) -> Parameter:
    if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
        raise NotATool(f"parameter {parameter} cannot be passed by name")
    hint = _hint(function, parameter)
    if parameter.default is None and hint is not Any:
        optional: Any = typing.Optional
        hint = optional[hint]
    return Parameter(parameter.name, hint, required=parameter.default is parameter.empty)


def _hint(function: Callable[..., Any], parameter: inspect.Parameter) -> Any:
    """Evaluates the parameter's type hint in the function's module. Returns only types that JSON schemas support."""
    if parameter.annotation is parameter.empty:
        return Any
    holder = types.SimpleNamespace(__annotations__={"hint": parameter.annotation})
    scope = getattr(inspect.unwrap(function), "__globals__", {})
    try:
        hint = typing.get_type_hints(holder, scope, include_extras=True)["hint"]
        msgspec.json.schema_components([hint])
    except Exception as error:
        written = parameter.annotation
        shown = written if isinstance(written, str) else inspect.formatannotation(written)
        reason = str(error).splitlines()[-1:] or [type(error).__name__]
        raise NotATool(f"parameter {parameter.name} has the unsupported type {shown}: {reason[0]}") from error
    return hint


def _description(texts: Mapping[str, str], name: str) -> dict[str, str]:
    return {"description": texts[name]} if texts.get(name) else {}


def _default(signature: inspect.Signature, name: str) -> dict[str, Any]:
    """Returns the parameter's default as part of a JSON schema; {} if it is not informative or not valid JSON."""
    default = signature.parameters[name].default
    if default is inspect.Parameter.empty or default is None:
        return {}
    try:
        return {"default": msgspec.to_builtins(default, str_keys=True)}
    except (TypeError, ValueError, RecursionError):
        return {}
