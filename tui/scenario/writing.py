"""Writes values as TOML, for scenario files that this program creates."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any


def toml_of(value: Any) -> str:
    """Returns a value as TOML. A value that TOML cannot represent is written as text."""
    write: Callable[[Any], str] = toml_of
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case Mapping():
            pairs = (f"{_key(str(key))} = {write(each)}" for key, each in value.items())
            return f"{{{', '.join(pairs)}}}"
        case list():
            return f"[{', '.join(map(write, value))}]"
        case _:
            # A JSON string is also a TOML string, except for DEL and lone surrogates.
            text = str(value).encode(errors="replace").decode()
            return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else toml_of(key)
