"""Checks messages against the models of `azure-ai-voicelive`, whose own deserializer accepts anything."""

from __future__ import annotations

import types
import typing
from base64 import b64decode
from collections.abc import Iterator
from datetime import datetime
from enum import Enum
from typing import Any, Literal, Union, get_args, get_origin

from azure.ai.voicelive import _unions, models
from azure.ai.voicelive.models import _models

_NAMES = {**vars(_models), "_models": models, "_unions": _unions}
_NAMES_OF_UNIONS = {**vars(_unions), "_models": models}


def faults_of(kind: Any, body: dict[str, Any], path: str = "$") -> Iterator[str]:
    """Yields violations of the model for a message's type: unknown members, wrong values and missing members."""
    model = type(kind._deserialize(body, []))
    if model is kind and getattr(kind, "__mapping__", None):
        yield f"{path}: {body.get('type')!r} is not a {kind.__name__}"
        return
    hints = typing.get_type_hints(model, _NAMES)
    fields = {field._rest_name: hints[name] for name, field in model._attr_to_rest_field.items()}
    yield from (f"{path}.{name} is unknown to {model.__name__}" for name in body.keys() - fields.keys())
    for name, hint in fields.items():
        if name in body:
            yield from _faults(hint, body[name], f"{path}.{name}")
        elif not _fits(hint, None):
            yield f"{path}.{name} is missing"


def _fits(hint: Any, value: Any) -> bool:
    return not any(_faults(hint, value, ""))


def _faults(hint: Any, value: Any, path: str) -> Iterator[str]:
    origin, inner = get_origin(hint), get_args(hint)
    if isinstance(hint, str | typing.ForwardRef):
        hint = eval(hint if isinstance(hint, str) else hint.__forward_arg__, _NAMES_OF_UNIONS)
        yield from _faults(hint, value, path)
    elif origin in (Union, types.UnionType):
        if not any(_fits(each, value) for each in inner):
            objects = [each for each in inner if hasattr(each, "_deserialize")]
            if isinstance(value, dict) and len(objects) == 1:
                yield from faults_of(objects[0], value, path)
            else:
                yield f"{path} is {value!r}"
    elif origin is Literal:
        if value not in [each.value if isinstance(each, Enum) else each for each in inner]:
            yield f"{path} is {value!r}"
    elif origin is list and isinstance(value, list):
        for number, each in enumerate(value):
            yield from _faults(inner[0], each, f"{path}[{number}]")
    elif origin is dict and isinstance(value, dict):
        for name, each in value.items():
            yield from _faults(inner[1], each, f"{path}.{name}")
    elif hasattr(hint, "_deserialize") and isinstance(value, dict):
        yield from faults_of(hint, value, path)
    elif not _is_a(hint, value):
        yield f"{path} is {value!r}"


def _is_a(hint: Any, value: Any) -> bool:
    if hint is Any:
        return True
    if hint is bytes:
        return isinstance(value, str) and b64decode(value, validate=True) is not None
    if isinstance(hint, type) and issubclass(hint, Enum):
        return value in [each.value for each in hint]
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint in (int, datetime):  # a Unix time
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(hint, type) and isinstance(value, hint)
