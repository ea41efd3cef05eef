"""The kinds of options and of their values. What the options are is in `tui.cli.options`."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from tui.cli.help import GroupedOption

Command = Callable[..., Any]


def option(*names: str, **settings: Any) -> Callable[[Command], Command]:
    """Returns `click.option` for an option. The help shows the option's default, if any.

    ``group`` is the heading under which the help lists the option.
    """
    settings.setdefault("cls", GroupedOption)
    settings.setdefault("show_default", settings.get("default") not in (None, "", 0.0))
    return click.option(*names, **settings)


def together(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Combines options into one decorator. The help lists the options in the given order."""

    def decorate(command: Command) -> Command:
        for each in reversed(options):
            command = each(command)
        return command

    return decorate


class NumberInRange(click.FloatRange):
    """A number within limits. Error messages say "number" instead of naming a Python type."""

    name = "number"


class NearChoice(click.Choice):  # type: ignore[type-arg, unused-ignore]  # generic in newer versions
    """A choice of words whose error message suggests the closest match."""

    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:
        """Returns an error message that suggests the closest word."""
        from tui.text.strict import did_you_mean
        from tui.text.visible import one_line

        near = did_you_mean(str(value), map(str, self.choices))
        return f"unknown value '{one_line(str(value), 60)}'{near} Choose from {', '.join(map(str, self.choices))}."


class ExistingFile(click.ParamType):  # type: ignore[type-arg, unused-ignore]  # generic in newer versions
    """A path to an existing file. Unlike `click.Path`, distinguishes an inaccessible file from a missing file."""

    name = "file"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Returns the path unchanged if the file exists."""
        from tui.text.visible import one_line

        shown = f"'{one_line(value, 200)}'"
        try:
            mode = Path(value).stat().st_mode
        except FileNotFoundError:
            self.fail(f"{shown} does not exist.", param, ctx)
        except OSError as error:
            self.fail(f"{shown} cannot be read: {error.strerror}.", param, ctx)
        if stat.S_ISDIR(mode):
            self.fail(f"{shown} is a directory.", param, ctx)
        return value
