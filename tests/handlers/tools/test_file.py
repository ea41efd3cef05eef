from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.handlers.realtime_agent import Agent
from tui.callbacks import callback_name
from tui.handlers.tools.file import Tool, ToolsFileError, load_tools
from tui.handlers.tools.running import CallRefused
from tui.handlers.tools.schema import parse_docstring

Load = Callable[[str], list[Tool]]

SHOP = '''
from __future__ import annotations

import asyncio
import dataclasses
import enum
import threading
from os.path import join
from typing import Annotated, Any, Literal, Optional, TypedDict

import msgspec


class Day(enum.Enum):
    MONDAY = "monday"
    SUNDAY = "sunday"


@dataclasses.dataclass
class Guest:
    """Somebody who comes."""

    name: str
    age: int = 30


class Wishes(TypedDict, total=False):
    note: str


MENU = {"soup": 4}
_lambda = lambda: 1


def opening_hours(
    day: Day,
    guests: list[Guest],
    size: Annotated[int, msgspec.Meta(description="How many", ge=1)] = 2,
    *,
    when: str = None,
    wishes: Optional[Wishes] = None,
    mode: Literal["inside", "outside"] = "inside",
    last: Day = Day.SUNDAY,
    anything=None,
) -> NotDefinedAnywhere:
    """Tell when the shop
    is open.

    Ask for the day first.

    Args:
        day: The day
            of the week.
        guests (list[Guest], maybe none): Who comes: all of them.
        size: Overruled by the annotation.

    Returns:
        The hours.
    """
    return {"day": day, "guests": guests, "size": size, "when": when}


async def where() -> str:
    """Tell the thread."""
    await asyncio.sleep(0)
    return threading.current_thread().name


def where_plain() -> str:
    return threading.current_thread().name


def _helper() -> None: ...
'''


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def write_and_load(source: str) -> list[Tool]:
        path = tmp_path / "shop.py"
        path.write_text(textwrap.dedent(source), "utf-8")
        return load_tools(path)

    return write_and_load


@pytest.fixture
def shop(load: Load) -> dict[str, Tool]:
    return {tool.name: tool for tool in load(SHOP)}


# -- what becomes a tool --


def test_public_functions_of_the_file_are_tools_in_their_order(shop: dict[str, Tool]) -> None:
    assert list(shop) == ["opening_hours", "where", "where_plain"]
    assert callback_name(shop["where"]) == "where"


def test_the_definition_is_what_openai_wants(shop: dict[str, Tool]) -> None:
    assert shop["opening_hours"].definition() == {
        "type": "function",
        "name": "opening_hours",
        "description": "Tell when the shop is open.\n\nAsk for the day first.",
        "parameters": {
            "type": "object",
            "properties": {
                "day": {"$ref": "#/$defs/Day", "description": "The day of the week."},
                "guests": {
                    "type": "array",
                    "items": {"$ref": "#/$defs/Guest"},
                    "description": "Who comes: all of them.",
                },
                "size": {"type": "integer", "minimum": 1, "description": "How many", "default": 2},
                "when": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                "wishes": {"anyOf": [{"$ref": "#/$defs/Wishes"}, {"type": "null"}]},
                "mode": {"enum": ["inside", "outside"], "default": "inside"},
                "last": {"$ref": "#/$defs/Day", "default": "sunday"},
                "anything": {},
            },
            "required": ["day", "guests"],
            "additionalProperties": False,
            "$defs": {
                "Day": {"title": "Day", "enum": ["monday", "sunday"]},
                "Guest": {
                    "title": "Guest",
                    "description": "Somebody who comes.",
                    "type": "object",
                    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "default": 30}},
                    "required": ["name"],
                },
                "Wishes": {
                    "title": "Wishes",
                    "type": "object",
                    "properties": {"note": {"type": "string"}},
                    "required": [],
                },
            },
        },
    }


def test_a_function_without_parameters_or_docstring_has_a_definition_too(shop: dict[str, Tool]) -> None:
    assert shop["where_plain"].definition() == {
        "type": "function",
        "name": "where_plain",
        "description": "",
        "parameters": {"type": "object", "properties": {}, "required": [], "additionalProperties": False},
    }


@pytest.mark.parametrize(
    ("hint", "schema"),
    [
        ("str", {"type": "string"}),
        ("int", {"type": "integer"}),
        ("float", {"type": "number"}),
        ("bool", {"type": "boolean"}),
        ("list", {"type": "array"}),
        ("list[int]", {"type": "array", "items": {"type": "integer"}}),
        ("dict[str, float]", {"type": "object", "additionalProperties": {"type": "number"}}),
        ("int | None", {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        ("'int'", {"type": "integer"}),
    ],
)
def test_hints_of_the_language_have_a_schema(load: Load, hint: str, schema: dict[str, Any]) -> None:
    [tool] = load(f"def f(x: {hint}): ...")
    assert tool.definition()["parameters"]["properties"] == {"x": schema}


def test_a_decorated_function_shows_the_one_it_wraps(load: Load) -> None:
    [tool] = load(
        """
        import functools

        def _logged(function):
            @functools.wraps(function)
            def run(*args, **kwargs):
                return function(*args, **kwargs)
            return run

        @_logged
        def add(a: int, b: int) -> int:
            "Add."
            return a + b
        """
    )
    assert tool.definition()["description"] == "Add."
    assert tool({"a": 1, "b": "2"}) == 3


def test_a_default_without_a_json_form_is_left_out(load: Load) -> None:
    [tool] = load("def f(x=object()): return 'ran'")
    assert tool.definition()["parameters"]["properties"] == {"x": {}}
    assert tool({}) == "ran"


def test_the_docstring_is_read_up_to_its_sections() -> None:
    assert parse_docstring("") == ("", {})
    assert parse_docstring("One line.") == ("One line.", {})
    assert parse_docstring("Do.\n\nReturns:\n    x: no parameter") == ("Do.", {})
    described = "Do.\n\nArgs:\n  a: First.\n\n  **b (int): Second\n    line.\n\nRaises:\n  c: no"
    assert parse_docstring(described) == ("Do.", {"a": "First.", "b": "Second line."})


# -- calling a tool --


def test_arguments_are_converted_to_the_types_of_the_hints(shop: dict[str, Tool]) -> None:
    result = shop["opening_hours"](
        {"day": "monday", "guests": [{"name": "Ada", "age": "36"}], "size": "3", "when": None}
    )
    assert result["day"].name == "MONDAY"
    assert (result["guests"][0].name, result["guests"][0].age) == ("Ada", 36)
    assert (result["size"], result["when"]) == (3, None)


def test_everything_that_is_wrong_with_the_arguments_is_in_one_sentence(shop: dict[str, Tool]) -> None:
    with pytest.raises(CallRefused) as raised:
        shop["opening_hours"]({"day": "friday", "size": 0, "place": "x"})
    assert str(raised.value) == (
        "opening_hours was called with wrong arguments: unknown argument 'place'; "
        "argument 'day': Invalid enum value 'friday'; argument 'guests' is missing; "
        "argument 'size': Expected `int` >= 1."
    )


async def test_a_handler_runs_tools_off_the_loop_and_answers_with_the_result(shop: dict[str, Tool]) -> None:
    agent = Agent()
    for name, tool in shop.items():
        agent.handler.register_function(name, tool)
        await agent.ends_item(
            name, '{"day": "monday", "guests": []}' if tool.signature.parameters else "{}", name
        )
    await agent.idle()
    assert agent.socket.outputs == {
        "opening_hours": {"day": "monday", "guests": [], "size": 2, "when": None},
        "where": "coroutine tools",
        "where_plain": "tool",
    }


async def test_wrong_arguments_are_answered_and_do_not_count_as_a_failure(shop: dict[str, Tool]) -> None:
    agent = Agent()
    agent.handler.register_function("where", shop["where"])
    output = await agent.calls("where", '{"who": "me"}')
    assert output == {"error": "where was called with wrong arguments: unknown argument 'who'."}
    assert agent.reporter.total == 0


async def test_coroutine_tools_share_a_loop_that_lives_on_between_calls(load: Load) -> None:
    agent = Agent()
    [tool] = load(
        """
        import asyncio
        _lock = None

        async def locked() -> str:
            global _lock
            _lock = _lock or asyncio.Queue(1)
            await _lock.put(1)
            await asyncio.wait_for(_lock.get(), 5)
            return str(id(asyncio.get_running_loop()))
        """
    )
    await agent.runs({"a": tool})
    outputs = await agent.runs({"b": tool})
    assert outputs["a"] == outputs["b"]


async def test_a_coroutine_tool_is_cancelled_at_the_time_limit(load: Load) -> None:
    agent = Agent(time_limit_s=0.3)
    tools = load(
        """
        import asyncio, threading
        _cancelled = threading.Event()

        async def endless():
            try:
                await asyncio.Event().wait()
            finally:
                _cancelled.set()

        def was_cancelled() -> bool:
            return _cancelled.wait(10)
        """
    )
    agent.handler.register_function("endless", tools[0])
    output = await agent.calls("endless")
    assert output == {"error": "TimeoutError: it did not return within 0.3 s"}
    assert tools[1]({})


async def test_a_coroutine_tool_that_exits_is_one_more_error_and_the_next_one_runs(load: Load) -> None:
    agent = Agent()
    tools = load("import sys\nasync def leave(): sys.exit(2)\nasync def stay(): return 'here'")
    assert await agent.runs({tool.name: tool for tool in tools}) == {
        "leave": {"error": "RuntimeError: it raised SystemExit: 2"},
        "stay": "here",
    }


async def test_what_a_plain_tool_returns_is_awaited_off_the_loop_too(load: Load) -> None:
    agent = Agent()
    [tool] = load(
        """
        import threading
        async def _work(): return threading.current_thread().name
        def work(): return _work()
        """
    )
    agent.handler.register_function("work", tool)
    assert await agent.calls("work") == "coroutine tools"


# -- files that cannot be used --


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("def f(:\n", "shop.py, line 1: invalid syntax."),
        ("x = 1\n\ndef f(): return ]", "shop.py, line 3: unmatched ']'."),
        ("# coding: nonsense\n", "shop.py: unknown encoding: nonsense."),
        ("x = '\0'", "shop.py: source code string cannot contain null bytes."),
        ("import no_such_module", "shop.py, line 1: ModuleNotFoundError: No module named 'no_such_module'."),
        ("def _f():\n    raise KeyError('x')\n\n_f()", "shop.py, line 2: KeyError: 'x'."),
        ("raise SystemExit(3)", "shop.py, line 1: SystemExit: 3."),
        (
            "from os.path import join\n_x = 1",
            "shop.py has no public functions. Functions whose names start with an underscore are not offered.",
        ),
    ],
)
def test_a_file_that_cannot_be_used_gets_a_sentence(load: Load, source: str, sentence: str) -> None:
    with pytest.raises(ToolsFileError) as raised:
        load(source)
    assert str(raised.value).rpartition("/")[2] == sentence


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (
            "def f(x: complex): ...",
            "parameter x has the unsupported type complex: type <class 'complex'> is not supported",
        ),
        (
            "def f(ok: int, x: 'Nowhere'): ...",
            "parameter x has the unsupported type Nowhere: name 'Nowhere' is not defined",
        ),
        ("def f(*rows): ...", "parameter *rows cannot be passed by name"),
        ("def f(**options: int): ...", "parameter **options: int cannot be passed by name"),
        ("def f(x, /): ...", "parameter x cannot be passed by name"),
    ],
)
def test_a_function_that_cannot_be_a_tool_is_named_with_its_parameter(
    load: Load, source: str, reason: str
) -> None:
    with pytest.raises(ToolsFileError) as raised:
        load(source)
    hint = "If it is not meant to be one, rename it to _f."
    assert (
        str(raised.value).rpartition("/")[2] == f"shop.py: the function f cannot be a tool: {reason}. {hint}"
    )


def test_a_name_openai_does_not_take_is_refused(load: Load) -> None:
    with pytest.raises(ToolsFileError, match="the function schön cannot be a tool: its name must consist of"):
        load("def schön(): ...")


def test_a_file_that_fails_leaves_no_module_imported(load: Load) -> None:
    before = set(sys.modules)
    with pytest.raises(ToolsFileError):
        load("raise ValueError")
    assert set(sys.modules) == before


def test_a_file_that_cannot_be_read_gets_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ToolsFileError, match=r"none\.py cannot be read: No such file or directory\."):
        load_tools(tmp_path / "none.py")
    with pytest.raises(ToolsFileError, match="cannot be read: Is a directory"):
        load_tools(tmp_path)


def test_loading_leaves_nothing_beside_the_file(load: Load, tmp_path: Path) -> None:
    load("def f(): ...")
    assert [path.name for path in tmp_path.iterdir()] == ["shop.py"]
