"""Checks the theme and the keys in the settings, which requires the code of the screens."""

from __future__ import annotations

from tui.config.reading import SettingsInForce
from tui.screens.themes import check_theme
from tui.text.strict import SettingsError


def check_screen(in_force: SettingsInForce) -> None:
    """Checks the theme and the keymap. Raises `SettingsError`."""
    settings, variable = in_force.settings, in_force.variables.get("screen.theme")
    where = f"${variable}" if variable else str(in_force.path)
    try:
        check_theme(settings.screen.theme)
        where = str(in_force.path)
        if settings.keys:
            # Imported late, because it loads every screen.
            from tui.screens.keymap import keymap_of

            keymap_of(settings.keys)
    except SettingsError as error:
        raise SettingsError(f"{where}: {error}") from error
