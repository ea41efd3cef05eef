"""Merges layers of settings for a call. The last layer with a value wins and is named in error messages."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec

from tui.config.model import TargetSettings
from tui.settings import SETTINGS
from tui.text.strict import SettingsError
from tui.text.visible import one_line


class Layer(msgspec.Struct, frozen=True):
    """Call settings from one source, such as a profile or the environment."""

    values: TargetSettings
    source: str
    """Name of the source, with ``{key}``, ``{KEY}`` or ``{flag}`` in place of the setting."""

    def without(self, names: Collection[str]) -> Layer:
        """Returns a copy of the layer without the settings in ``names``."""
        return self.only(self.values.keys() - set(names))

    def only(self, names: Collection[str]) -> Layer:
        """Returns a copy of the layer with only the settings in ``names``."""
        return Layer({name: value for name, value in self.values.items() if name in names}, self.source)

    def label(self, name: str) -> str:
        """Returns the name of a setting as this source spells it, for use in error messages."""
        flag = SETTINGS[name].flag if name in SETTINGS else ""
        return self.source.format(key=name, KEY=name.upper(), flag=flag)


class MergedSettings(msgspec.Struct, frozen=True):
    """The call settings that result from merging all layers."""

    values: TargetSettings
    labels: Mapping[str, str]
    """Settings as the user wrote them, by name."""

    def get(self, name: str) -> Any:
        """Returns the value of a setting, or its default if no layer contains the setting."""
        return self.values.get(name, SETTINGS[name].default)

    def label(self, name: str) -> str:
        """Returns the name of a setting as its source spells it, for use in error messages."""
        return self.labels.get(name, name)

    def error(self, name: str, sentence: str) -> SettingsError:
        """Returns an exception about the value of a setting, for the caller to raise."""
        value = one_line(str(self.get(name)), 200)
        link = " " if self.label(name).startswith("--") else "="
        return SettingsError(f"{self.label(name)}{link}{value}: {sentence}")


def overlay(layers: Iterable[Layer]) -> MergedSettings:
    """Merges layers; later ones take precedence.

    Tables, and lists of fields to redact, are joined, so that no entry is lost.
    """
    values: dict[str, Any] = {}
    labels: dict[str, str] = {}
    for layer in layers:
        for name, value in layer.values.items():
            previous = values.get(name)
            if isinstance(previous, dict):
                value = {**previous, **value}
            elif name == "redact" and previous:
                value = tuple(dict.fromkeys((*previous, *value)))
            values[name] = value
            labels[name] = layer.label(name)
    return MergedSettings(values, labels)
