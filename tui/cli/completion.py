"""Shell completion for profiles, saved sessions and protocols. Imports modules only when they are needed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from tui.config.reading import SettingsInForce

_FILES = "file"
"""The completion type that makes the shell complete file names as well."""


def profiles(context: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    """Returns the names of the profiles in the settings file."""
    settings = _settings(context)
    return _beginning(typed, settings.settings.profiles if settings else ())


def protocols(
    context: click.Context, parameter: click.Parameter, typed: str
) -> list[click.shell_completion.CompletionItem]:
    """Returns the names of the protocols, and the names of files that may define a protocol."""
    from tui.protocols.registry import names
    from tui.settings import AUTO

    item = click.shell_completion.CompletionItem
    return [
        *(item(name) for name in _beginning(typed, (AUTO, *names()))),
        *([item(typed, type=_FILES)] if typed.startswith((".", "/", "~")) else ()),
    ]


def sessions(context: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    """Returns ``latest`` and the folder names of saved sessions, newest first."""
    from tui.config.targets import sessions_folder
    from tui.saving.listing import list_sessions
    from tui.saving.record import SavedSessionError

    settings = _settings(context)
    if settings is None:
        return []
    try:
        found = [summary.name for summary in list_sessions(sessions_folder(settings))]
    except (OSError, SavedSessionError):
        found = []
    return _beginning(typed, ("latest", *found))


def _settings(context: click.Context) -> SettingsInForce | None:
    """Returns the settings; None if they contain an error, which the command itself will report."""
    from tui.config.reading import read_settings
    from tui.text.strict import SettingsError

    try:
        return read_settings(context.params.get("config"))
    except (OSError, SettingsError):
        return None


def _beginning(typed: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(typed)]
