"""Checks and reads the options of a caller's end. Raises `ValueError` with an explanation."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from tui.protocols.json_frames import cut


def check_choice(name: str, value: str, known: Collection[str], due: str = "") -> None:
    """Raises `ValueError` if ``value`` is not in ``known``. ``due`` describes the valid values in words."""
    if value not in known:
        due = due or f"one of {', '.join(filter(None, known))}"
        raise ValueError(f"The {name} option must be {due}, not {cut(value, 60)!r}.")


def is_on(options: Mapping[str, str], name: str, default: str = "off") -> bool:
    """Returns whether an option is "on". Raises `ValueError` for values other than "on" and "off"."""
    value = options.get(name, default)
    check_choice(name, value, ("on", "off"), "on or off")
    return value == "on"


def read_tools(options: Mapping[str, str]) -> list[dict[str, Any]]:
    """Parses the option ``tools``: a JSON array in the format of OpenAI Realtime."""
    tools = _read("tools", options, [])
    if not (isinstance(tools, list) and all(isinstance(tool, dict) for tool in tools)):
        raise ValueError("The tools option must be a JSON array of tool objects.")
    return tools


def read_object(name: str, options: Mapping[str, str], fields: str) -> dict[str, Any]:
    """Parses an option that is a JSON object. ``fields`` describes the members of the object in the error message."""
    value = _read(name, options, {})
    if not isinstance(value, dict):
        raise ValueError(f"The {name} option must be a JSON object with {fields}.")
    return value


def _read(name: str, options: Mapping[str, str], default: Any) -> Any:
    try:
        return msgspec.json.decode(options[name]) if options[name].strip() else default
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ValueError(f"The {name} option is not JSON: {error}.") from None
