"""Reads the settings from the file and the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_origin

import msgspec
from platformdirs import user_config_path

from tui.config.model import PROFILE_TYPES, SECTIONS, TARGET_TYPES, Settings, TargetSettings
from tui.files import path_of
from tui.models.turns.figures import Thresholds
from tui.settings import SETTINGS
from tui.text.strict import SettingsError, did_you_mean, quoted, to_struct, to_value, to_values

FILE_VARIABLE = "OPUSAGENT_TUI_CONFIG"
"""Environment variable with the path of a settings file to read instead of the default file."""
_PREFIX = "OPUSAGENT_TUI"
_MAX_BYTES = 1_000_000
_PATHS = ("folder", *(name for name, setting in SETTINGS.items() if setting.is_path))
"""Settings that are paths; relative paths are resolved against the folder of the file."""
_TYPES = {
    name: {field.name: field.type for field in msgspec.structs.fields(kind)}
    for name, kind in SECTIONS.items()
}
_PROFILE_NAME = r"\w[\w.-]*"

S = TypeVar("S", bound=msgspec.Struct)


class SettingsInForce(msgspec.Struct, frozen=True):
    """The effective settings and their sources."""

    settings: Settings
    """The merged settings from the file and the environment.

    ``target`` is not merged, because profiles override it before the environment does.
    """
    path: Path
    """Path of the settings file, whether or not it exists."""
    found: bool
    environment: TargetSettings
    """Settings from the environment that apply to every call."""
    variables: Mapping[str, str]
    """Environment variables in use, by section and key ("screen.theme")."""
    written: frozenset[str]
    """Settings in the file, by section and key."""
    warning: str = ""
    """Warns that the defaults apply because the default settings file is inaccessible; empty if it is accessible."""

    @property
    def thresholds(self) -> Thresholds:
        """The limits for good and slow response times."""
        return self.settings.thresholds


def settings_path(named: str | None = None) -> Path:
    """Returns the path of the settings file: ``named``, the path in an environment variable, or the default."""
    path = named or _in_environment(FILE_VARIABLE)
    return path_of(path) if path else user_config_path("opusagent-tui") / "config.toml"


def read_settings(named: str | None = None) -> SettingsInForce:
    """Reads the settings. Raises `SettingsError`.

    The default file may be missing; a file that the user named must exist.
    """
    path = settings_path(named)
    must_exist = bool(named or _in_environment(FILE_VARIABLE))
    warning = "" if must_exist else _unreachable(path)
    table = None if warning else _read(path, must_exist=must_exist)
    try:
        settings = _to_settings({} if table is None else table, path.parent)
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from error
    variables: dict[str, str] = {}
    sections = {name: _with_environment(getattr(settings, name), name, variables) for name in SECTIONS}
    return SettingsInForce(
        settings=msgspec.structs.replace(settings, **sections),
        path=path,
        found=table is not None,
        environment=_from_environment("target", TARGET_TYPES, variables),
        variables=variables,
        written=frozenset(_written(table or {})),
        warning=warning,
    )


def unknown_variables() -> list[str]:
    """Returns a warning for each environment variable that looks like a setting but is unknown."""
    known = [FILE_VARIABLE] + [
        _variable(section, name)
        for section, types in {**_TYPES, "target": TARGET_TYPES}.items()
        for name, kind in types.items()
        if not _is_table(kind)
    ]
    sentences = []
    for name in sorted(set(os.environ) - set(known)):
        if not name.startswith(f"{_PREFIX}_"):
            continue
        section, _, _ = name.removeprefix(f"{_PREFIX}_").partition("_")
        meant = did_you_mean(name, known, 0.9)
        if section.lower() in (*SECTIONS, "target") or meant != ".":
            sentences.append(f"${name} is not a setting{meant}")
    return sentences


def _variable(section: str, key: str) -> str:
    return f"{_PREFIX}_{section}_{key}".upper()


def _unreachable(path: Path) -> str:
    """Explains why the path cannot be examined, such as an inaccessible home folder; "" if it can be examined."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        reason = error.strerror or str(error)
        return f"{path} cannot be accessed: {reason}. The default settings are used."
    return ""


def _read(path: Path, *, must_exist: bool) -> dict[str, Any] | None:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        if must_exist:
            raise SettingsError(f"{path}: settings file not found.") from error
        return None
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror or error}.") from error
    if len(content) > _MAX_BYTES:
        raise SettingsError(f"{path} is larger than 1 MB, the limit of a settings file.")
    try:
        import tomllib  # imported only if there is a file

        # Editors on Windows begin files with an invisible byte order mark.
        return tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not valid UTF-8 at byte {error.start}. Save it as UTF-8.") from error
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{path} is not valid TOML: {str(error) or 'nested too deeply'}.") from error


def _to_settings(table: dict[str, Any], folder: Path) -> Settings:
    known = (*SECTIONS, "target", "profiles", "keys")
    for key in table:
        if key not in known:
            raise SettingsError(f"unknown section {quoted(key)}{did_you_mean(key, known)}")
    sections: dict[str, Any] = {
        name: to_struct(kind, _at(table[name], folder), f"[{name}]")
        for name, kind in SECTIONS.items()
        if name in table
    }
    target = to_values(TARGET_TYPES, _at(table.get("target", {}), folder), "[target]")
    profiles = {
        name: to_values(
            PROFILE_TYPES, _at(profile, folder), f"[profiles.{_profile_name(name)}]", required=["url"]
        )
        for name, profile in _table(table, "profiles").items()
    }
    keys = {action: _keys(action, value) for action, value in _table(table, "keys").items()}
    return Settings(**sections, target=target, profiles=profiles, keys=keys)


def _table(table: dict[str, Any], name: str) -> dict[str, Any]:
    value = table.get(name, {})
    if not isinstance(value, dict):
        raise SettingsError(f"[{name}] must be a table of settings.")
    return value


def _profile_name(name: str) -> str:
    if not re.fullmatch(_PROFILE_NAME, name):
        raise SettingsError(
            f"[profiles.{quoted(name)}] is not a valid name: use letters, digits, dots, dashes and underscores."
        )
    return name


def _keys(action: str, value: object) -> tuple[str, ...]:
    keys = [value] if isinstance(value, str) else value
    if not isinstance(keys, list) or not keys or not all(isinstance(key, str) and key for key in keys):
        raise SettingsError(f'[keys] {quoted(action)} must be a key like "ctrl+f", or a list of keys.')
    return tuple(keys)


def _at(table: object, folder: Path) -> object:
    """Returns the table with relative paths resolved against ``folder``."""
    if not isinstance(table, dict):
        return table
    resolved = dict(table)
    for key, value in table.items():
        if _is_path(key, value):
            if "\0" in value:
                raise SettingsError(f"{key} is not a path: {quoted(value)}.")
            resolved[key] = str(folder / path_of(value))
    return resolved


def _is_path(key: str, value: object) -> bool:
    if not isinstance(value, str) or not value:
        return False
    return key in _PATHS or (key == "protocol" and value.endswith(".py"))


def _with_environment(section: S, name: str, variables: dict[str, str]) -> S:
    """Returns a section with values from environment variables. Records in ``variables`` those that were used."""
    values = _from_environment(name, _TYPES[name], variables)
    try:
        return msgspec.structs.replace(section, **values)
    except ValueError as error:
        raise SettingsError(f"Environment variable {name}: {error}.") from error


def _from_environment(name: str, types: Mapping[str, Any], variables: dict[str, str]) -> dict[str, Any]:
    """Returns a section's values in environment variables. Records in ``variables`` those that were used."""
    values = {}
    for key, kind in types.items():
        variable = _variable(name, key)
        text = _in_environment(variable)
        if text and not _is_table(kind):
            values[key] = to_value(kind, text, f"${variable}", text=True)
            variables[f"{name}.{key}"] = variable
    return values


def _in_environment(variable: str) -> str:
    """Returns a variable's value without surrounding spaces, CR and quotes, which ``.env`` files may add."""
    value = os.environ.get(variable, "").strip()
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        value = value[1:-1].strip()
    return value


def _is_table(kind: Any) -> bool:
    return get_origin(kind) is dict


def _written(table: dict[str, Any]) -> set[str]:
    found = set()
    for section, keys in table.items():
        for key, value in keys.items():
            found |= (
                {f"profiles.{key}.{each}" for each in value}
                if section == "profiles"
                else {f"{section}.{key}"}
            )
    return found
