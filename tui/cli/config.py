"""The command that tells what is in force, and writes a file to begin with."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from tui.cli import given
from tui.cli.options import Sentence, option

if TYPE_CHECKING:
    from pathlib import Path

    import msgspec

    from tui.config.reading import SettingsInForce

_SECRET = re.compile("key|token|secret|passw|auth|sign|credential", re.IGNORECASE)
_HIDDEN = "…"


class Row(NamedTuple):
    """One setting."""

    name: str
    value: str
    who: str
    """``file``, ``default``, or the variable."""


@click.command()
@option("--init", is_flag=True, help="Write a file with every setting in comments, if there is none.")
@option(
    "--keys", is_flag=True, help="Print every action that [keys] can name, by screen, with the keys it is on."
)
@given.config_option
def config(init: bool, keys: bool) -> None:
    """Print where the settings file is, and what is in force and who says so."""
    from tui.config.reading import settings_path

    if init:
        path = settings_path(given.settings_file())
        _write_starter(path)
        click.echo(f"written: {path}")
        return
    in_force = given.settings()
    with given.sentences():
        from tui.screens.settings import check_screen

        check_screen(in_force)
    if keys:
        from tui.screens.keymap import every_action, keymap_of

        actions = every_action(keymap_of(in_force.settings.keys))
        _print_tables({where: [Row(*action) for action in there] for where, there in actions.items()})
        return
    there = "" if in_force.found else " (not there; opusagent-tui config --init writes one)"
    click.echo(f"{in_force.path}{there}\n")
    _print_tables({"": list(rows_of(in_force))})


def rows_of(in_force: SettingsInForce) -> Iterator[Row]:
    """Every setting of the program; of targets and keys those that somebody set. No secrets."""
    settings = in_force.settings
    for section in ("thresholds", "screen", "sessions"):
        for key, value in _fields(getattr(settings, section)):
            who = _who(in_force, f"{section}.{key}")
            if value is None:
                value, who = _otherwise(in_force, key)
            yield Row(f"{section}.{key}", _shown(key, value), who)
    both = {**dict(_fields(settings.target)), **_set_fields(in_force.environment)}
    for key, value in both.items():
        who = _who(in_force, f"target.{key}")
        if who != "default":
            yield Row(f"target.{key}", _shown(key, value), who)
    for name, profile in settings.profiles.items():
        for key, value in _set_fields(profile).items():
            yield Row(f"profiles.{name}.{key}", _shown(key, value), "file")
    for action, keys in settings.keys.items():
        yield Row(f"keys.{action}", " ".join(keys), "file")


def _print_tables(tables: dict[str, list[Row]]) -> None:
    """Tables under their headings, with columns that stand under each other."""
    from tui.text.visible import one_line

    every = [row for rows in tables.values() for row in rows]
    widths = [max(len(row[column]) for row in every) for column in (0, 1)]
    blocks = []
    for heading, rows in tables.items():
        lines = (f"{row.name:{widths[0]}}  {row.value:{min(widths[1], 50)}}  {row.who}" for row in rows)
        blocks.append("\n".join(filter(None, (heading, *map(one_line, lines)))))
    click.echo("\n\n".join(blocks))


def _write_starter(path: Path) -> None:
    from importlib.resources import files

    from tui.files import private_folder, write_new

    starter = files("tui.config").joinpath("starter.toml").read_bytes()
    if os.path.lexists(path):
        raise Sentence(f"{path} is there already; it stays as it is.")
    try:
        private_folder(path.parent)
        write_new(path, starter)
    except OSError as error:
        raise Sentence(f"{path} cannot be written: {error.strerror or error}.") from error


def _fields(struct: msgspec.Struct) -> Iterator[tuple[str, Any]]:
    return ((key, getattr(struct, key)) for key in struct.__struct_fields__)


def _set_fields(struct: msgspec.Struct) -> dict[str, Any]:
    return {key: value for key, value in _fields(struct) if value not in (None, {}, ())}


def _otherwise(in_force: SettingsInForce, key: str) -> tuple[str | None, str]:
    """What goes where nobody says anything, and why."""
    from tui.config.targets import sessions_folder
    from tui.remembered import screen_memory

    match key:
        case "folder":
            return str(sessions_folder(in_force)), "default"
        case "theme" if theme := screen_memory().theme:
            return theme, "chosen last"
        case _:
            return None, "default"


def _who(in_force: SettingsInForce, name: str) -> str:
    variable = in_force.variables.get(name)
    return f"${variable}" if variable else "file" if name in in_force.written else "default"


def _shown(key: str, value: object) -> str:
    """A value for people, without what may be a secret."""
    from tui.models.target import safe_url

    match value:
        case None:
            return "–"
        case bool():
            return str(value).lower()
        case dict():
            return ", ".join(
                f"{name}={_HIDDEN if key == 'headers' or _SECRET.search(name) else each}"
                for name, each in value.items()
            )
        case tuple():
            return ", ".join(value) or "–"
        case float():
            return f"{value:g}"
        case _:
            return safe_url(str(value)) if key == "url" else str(value)
