"""Encodes values as JSON, even if their text is not valid Unicode."""

from __future__ import annotations

from typing import Any

import msgspec


def json_of(value: object) -> bytes:
    """Returns a value as one line of JSON, in UTF-8.

    A lone surrogate, which UTF-8 cannot represent, becomes "?".
    """
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return msgspec.json.encode(_writable(msgspec.to_builtins(value)))


def _writable(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()
        case dict():
            return {_writable(key): _writable(each) for key, each in value.items()}
        case list():
            return [_writable(each) for each in value]
        case _:
            return value
