"""Formats the help: options by group, commands by purpose, and an example for each command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

COMMAND_GROUPS: Mapping[str, Sequence[str]] = {
    "Call": ("demo", "connect", "call", "check"),
    "Test": ("test", "scenario", "load"),
    "Saved sessions": ("sessions", "open", "metrics", "compare", "report", "export"),
    "Tools": ("agent", "devices", "calibrate", "config"),
}
"""Headings and the commands below them; a command that is not listed is shown under `OTHER`."""
OTHER = "Other"
OPTIONS = "Options"


class GroupedOption(click.Option):
    """An option that is listed in the help under a group heading."""

    def __init__(self, *args: Any, group: str = OPTIONS, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.group = group


class GroupedCommand(click.Command):
    """A command whose help lists its options by group and ends with an example."""

    def __init__(self, *args: Any, example: str = "", **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.example = example

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the options by group, then the example."""
        write_options(self, ctx, formatter)
        write_example(self.example, formatter)


def write_options(command: click.Command, ctx: click.Context, formatter: click.HelpFormatter) -> None:
    """Writes a command's options by group, in the order of each group's first option; ungrouped options last."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for parameter in command.get_params(ctx):
        record = parameter.get_help_record(ctx)
        if record is not None:
            groups.setdefault(getattr(parameter, "group", OPTIONS), []).append(record)
    for heading in sorted(groups, key=lambda heading: heading == OPTIONS):
        with formatter.section(heading):
            formatter.write_dl(groups[heading])


def write_example(example: str, formatter: click.HelpFormatter) -> None:
    """Writes an example of the command, as the user would type it."""
    if example:
        with formatter.section("Example"):
            formatter.write(f"{'':{formatter.current_indent}}{example}\n")


def write_commands(group: click.Group, ctx: click.Context, formatter: click.HelpFormatter) -> None:
    """Writes the commands of the program, grouped by purpose."""
    known = {name: group.get_command(ctx, name) for name in group.list_commands(ctx)}
    grouped = {name for names in COMMAND_GROUPS.values() for name in names}
    headings = {**COMMAND_GROUPS, OTHER: [name for name in known if name not in grouped]}
    limit = formatter.width - 6 - max(map(len, known))
    for heading, names in headings.items():
        rows = [
            (name, command.get_short_help_str(limit))
            for name in names
            if (command := known.get(name)) is not None and not command.hidden
        ]
        if rows:
            with formatter.section(heading):
                formatter.write_dl(rows)
