from __future__ import annotations

from typing import Any

import pytest

from tui.agent.tools import arguments_for, fitting_tool

_HOURS = {"name": "opening_hours", "description": "When the shop is open on a weekday."}
_BOOK = {"name": "bookAppointment"}
_ORDER = {"name": "lookup", "description": "The state of an order, by its number"}


@pytest.mark.parametrize(
    ("said", "fitting"),
    [
        ("Hello, what are your opening hours today?", _HOURS),
        ("I would like to book an appointment for next Tuesday at ten.", _BOOK),
        ("The order number is four seven one, two nine zero, five.", _ORDER),
        ("the HOURS of the order", _HOURS),
        ("What is open?", _HOURS),
        ("Yes.", None),
        ("when on the", None),
        ("", None),
    ],
)
def test_the_tool_that_shares_words(said: str, fitting: dict[str, Any] | None) -> None:
    assert fitting_tool([_ORDER, _BOOK, _HOURS], said) is fitting


@pytest.mark.parametrize("tool", [{}, {"name": 7}, {"name": ""}, {"name": "x", "description": ["hours"]}])
def test_tools_that_are_none(tool: dict[str, Any]) -> None:
    assert fitting_tool([tool], "hours") is None


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, ""),
        ({"type": "string", "enum": ["monday", "tuesday"]}, "monday"),
        ({"type": "string", "enum": ["monday", "tuesday"], "default": "tuesday"}, "tuesday"),
        ({"type": "string", "examples": ["noon"]}, "noon"),
        ({"const": 4}, 4),
        ({"type": "integer"}, 0),
        ({"type": "number", "minimum": 1.5}, 1.5),
        ({"type": "boolean"}, False),
        ({"type": "array", "items": {}}, []),
        ({"type": "null"}, None),
        ({"type": ["integer", "null"]}, 0),
        ({"anyOf": [{"type": "boolean"}, {"type": "null"}]}, False),
        (
            {"type": "object", "properties": {"a": {"type": "string"}, "b": {}}, "required": ["a"]},
            {"a": ""},
        ),
        ({}, ""),
        ("nonsense", ""),
        ({"type": {}, "enum": 4, "anyOf": {}}, ""),
    ],
)
def test_arguments_that_a_schema_allows(schema: Any, value: Any) -> None:
    parameters = {"type": "object", "properties": {"it": schema}, "required": ["it"]}
    assert arguments_for({"name": "x", "parameters": parameters}) == {"it": value}


def test_optional_arguments_only_with_a_value() -> None:
    members = {"day": {"type": "string"}, "unit": {"type": "string", "enum": ["hour"]}}
    assert arguments_for({"parameters": {"type": "object", "properties": members}}) == {"unit": "hour"}


@pytest.mark.parametrize("parameters", [None, [], {}, {"type": "string"}, {"default": 4}, {"properties": 4}])
def test_parameters_that_are_none(parameters: Any) -> None:
    assert arguments_for({"name": "x", "parameters": parameters}) == {}
