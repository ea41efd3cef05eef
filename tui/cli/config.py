"""The command `config`, which shows the effective settings and creates a settings file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import click

from tui.cli import options as opts
from tui.cli.help import GroupedCommand
from tui.cli.option import option
from tui.cli.program import Sentence

if TYPE_CHECKING:
    from pathlib import Path

    from tui.config.reading import SettingsInForce


class SettingRow(NamedTuple):
    """A row in the table of settings."""

    name: str
    value: str
    source: str
    """Source of the value: ``file``, ``default``, or the name of the variable."""


@click.command(cls=GroupedCommand, example="opusagent-tui config --init")
@option("--init", is_flag=True, help="Create a settings file with every setting commented out.")
@option(
    "--keys", is_flag=True, help="List every action that can be used under [keys], by screen, with its keys."
)
@opts.config_option
def config(init: bool, keys: bool) -> None:
    """Show the settings file, the effective settings and where each comes from."""
    from tui.config.reading import settings_path

    if init:
        path = settings_path(opts.settings_file())
        _write_starter(path)
        click.echo(f"Wrote {path}")
        return
    in_force = opts.effective_settings()
    with opts.settings_errors():
        from tui.screens.settings import check_screen

        check_screen(in_force)
    if keys:
        from tui.screens.keymap import every_action, keymap_of

        actions = every_action(keymap_of(in_force.settings.keys))
        _print_tables({where: [SettingRow(*action) for action in there] for where, there in actions.items()})
        return
    there = "" if in_force.found else " (not found; create it with opusagent-tui config --init)"
    click.echo(f"{in_force.path}{there}\n")
    _print_tables({"": list(rows_of(in_force))})


def rows_of(in_force: SettingsInForce) -> Iterator[SettingRow]:
    """Yields all settings of the program, and the call settings and keys that the user has set. Hides secrets."""
    import msgspec

    from tui.config.model import SECTIONS

    settings = in_force.settings
    for section in SECTIONS:
        for key, value in msgspec.structs.asdict(getattr(settings, section)).items():
            source = _source(in_force, f"{section}.{key}")
            if value is None:
                value, source = _default(in_force, key)
            yield SettingRow(f"{section}.{key}", _shown(key, value), source)
    for key, value in {**settings.target, **in_force.environment}.items():
        yield SettingRow(f"target.{key}", _shown(key, value), _source(in_force, f"target.{key}"))
    for name, profile in settings.profiles.items():
        for key, value in profile.items():
            yield SettingRow(f"profiles.{name}.{key}", _shown(key, value), "file")
    for action, keys in settings.keys.items():
        yield SettingRow(f"keys.{action}", " ".join(keys), "file")


def _print_tables(tables: dict[str, list[SettingRow]]) -> None:
    """Prints tables under their headings, with aligned columns."""
    from tui.text.visible import one_line

    every = [row for rows in tables.values() for row in rows]
    widths = [max(len(row[column]) for row in every) for column in (0, 1)]
    blocks = []
    for heading, rows in tables.items():
        lines = (f"{row.name:{widths[0]}}  {row.value:{min(widths[1], 50)}}  {row.source}" for row in rows)
        blocks.append("\n".join(filter(None, (heading, *map(one_line, lines)))))
    click.echo("\n\n".join(blocks))


def _write_starter(path: Path) -> None:
    from tui.config.starter import starter_file
    from tui.files import private_folder, write_new

    if os.path.lexists(path):
        raise Sentence(f"{path} already exists and was not changed.")
    try:
        private_folder(path.parent)
        write_new(path, starter_file().encode())
    except OSError as error:
        raise Sentence(f"Cannot write to {path}: {error.strerror or error}.") from error


def _default(in_force: SettingsInForce, key: str) -> tuple[str | None, str]:
    """Returns the current value, and its source, of a setting without a fixed default."""
    from tui.config.targets import sessions_folder
    from tui.remembered import screen_memory

    match key:
        case "folder":
            return str(sessions_folder(in_force)), "default"
        case "theme" if theme := screen_memory().theme:
            return theme, "chosen last"
        case _:
            return None, "default"


def _source(in_force: SettingsInForce, name: str) -> str:
    variable = in_force.variables.get(name)
    return f"${variable}" if variable else "file" if name in in_force.written else "default"


def _shown(key: str, value: object) -> str:
    """Returns a value as text. Hides values that may be secret."""
    from tui.text.redaction import HIDDEN, is_secret_name, safe_url

    match value:
        case None:
            return "–"
        case bool():
            return str(value).lower()
        case dict():
            return ", ".join(
                f"{name}={HIDDEN if key == 'headers' or is_secret_name(name) else each}"
                for name, each in value.items()
            )
        case tuple():
            return ", ".join(value) or "–"
        case float():
            return f"{value:g}"
        case _:
            return safe_url(str(value)) if key == "url" else str(value)
