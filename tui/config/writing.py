"""Changes settings in the settings file. Comments, order and all other content stay the same."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tui.config.model import Settings
from tui.files import private_folder, write_to
from tui.text.strict import SettingsError

Changes = Mapping[str, Mapping[str, object]]
"""Values by section and key; None removes a key, so that its default applies again."""


def changes_between(old: Settings, new: Settings) -> Changes:
    """Returns the differences between two settings in the sections that the screen can change."""
    changes: dict[str, dict[str, object]] = {}
    for section in ("thresholds", "screen"):
        before, after = getattr(old, section), getattr(new, section)
        names = [name for name in before.__struct_fields__ if getattr(before, name) != getattr(after, name)]
        changes[section] = {name: getattr(after, name) for name in names}
    actions = [name for name in {**old.keys, **new.keys} if old.keys.get(name) != new.keys.get(name)]
    changes["keys"] = {name: new.keys.get(name) for name in actions}
    return {section: values for section, values in changes.items() if values}


def change_file(path: Path, changes: Changes) -> None:
    """Writes changed settings to the file, and creates it if necessary.

    If the file cannot be read or written, raises `SettingsError` with a sentence and leaves the file
    unchanged.
    """
    import tomlkit  # imported only if something changes
    from tomlkit.exceptions import TOMLKitError

    try:
        text = path.read_text(encoding="utf-8-sig") if path.exists() else ""
        document = tomlkit.parse(text)
        for section, values in changes.items():
            _change(document.setdefault(section, tomlkit.table()), values)
        private_folder(path.parent)
        write_to(path, tomlkit.dumps(document).encode())
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {error.strerror or error}.") from error
    except (TOMLKitError, ValueError) as error:
        raise SettingsError(f"{path} is not valid TOML: {error}.") from error


def _change(table: Any, values: Mapping[str, object]) -> None:
    for key, value in values.items():
        if value is None:
            table.pop(key, None)
        elif isinstance(value, tuple):
            table[key] = value[0] if len(value) == 1 else list(value)
        elif isinstance(value, float) and value.is_integer():
            table[key] = int(value)
        else:
            table[key] = value
