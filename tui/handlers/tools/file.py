"""Tools files: the user's Python files whose functions the agent may call."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from tui.callbacks import is_coroutine_callback
from tui.handlers.tools.running import CallRefused, on_side_loop
from tui.handlers.tools.schema import NotATool, Signature, describe
from tui.user_code import UserCodeError, run_file

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
"""Pattern of the function names that OpenAI accepts."""


class ToolsFileError(Exception):
    """Raised when a tools file cannot be used. The message is one sentence with the place and the reason."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A function from a tools file.

    A `FunctionHandler` calls the tool in a thread, with the argument dict, like any registered function. The
    function in the file gets keyword arguments, converted according to its type hints. A coroutine function
    runs on a separate loop, so that no code in a tools file can block the caller's loop.
    """

    name: str
    function: Callable[..., Any]
    signature: Signature

    @property
    def __name__(self) -> str:
        """The tool's name, for reports and statistics."""
        return self.name

    def definition(self) -> dict[str, Any]:
        """Returns the description of the tool that is sent to the agent, in the format of OpenAI Realtime."""
        return {
            "type": "function",
            "name": self.name,
            "description": self.signature.description,
            "parameters": self.signature.schema,
        }

    def __call__(self, arguments: Mapping[str, Any]) -> Any:
        """Calls the function. Raises `CallRefused` if the arguments do not match its parameters."""
        call = functools.partial(self.function, **self._convert(arguments))
        if is_coroutine_callback(self.function):
            return on_side_loop(call)
        result = call()
        return on_side_loop(lambda: result) if inspect.isawaitable(result) else result

    def _convert(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        parameters = self.signature.parameters
        wrong = [
            f"unknown argument {name!r}"
            for name in sorted(arguments.keys() - {known.name for known in parameters})
        ]
        converted: dict[str, Any] = {}
        for parameter in parameters:
            if parameter.name not in arguments:
                wrong += [f"argument {parameter.name!r} is missing"] if parameter.required else []
                continue
            try:
                converted[parameter.name] = msgspec.convert(
                    arguments[parameter.name], parameter.hint, strict=False
                )
            except msgspec.ValidationError as error:
                wrong.append(f"argument {parameter.name!r}: {error}")
        if wrong:
            raise CallRefused(f"{self.name} was called with wrong arguments: {'; '.join(wrong)}.")
        return converted


def load_tools(path: str | Path) -> list[Tool]:
    """Runs a tools file and returns its public functions as tools, in source order.

    A function is public if it is defined in the file itself and its name does not start with an underscore.
    Coroutine functions are allowed. Raises `ToolsFileError`.
    """
    path = Path(path)
    try:
        module = run_file(path, "tools file")
    except UserCodeError as error:
        raise ToolsFileError(str(error)) from error
    tools = [
        _tool(path, name, value)
        for name, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
    ]
    if not tools:
        raise ToolsFileError(
            f"{path} has no public functions. Functions whose names start with an underscore are not offered."
        )
    return tools


def _tool(path: Path, name: str, function: Callable[..., Any]) -> Tool:
    try:
        if not _NAME.fullmatch(name):
            raise NotATool("its name must consist of up to 64 letters a-z, digits, underscores and hyphens")
        return Tool(name, function, describe(function))
    except NotATool as error:
        raise ToolsFileError(
            f"{path}: the function {name} cannot be a tool: {error}. If it is not meant to be one, rename "
            f"it to _{name}."
        ) from error
