"""Merges layers of settings for a call. The last layer with a value wins, and the name of that layer is recorded."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec

from tui.config.model import TargetSettings
from tui.settings import SETTINGS
from tui.text.strict import SettingsError
from tui.text.visible import one_line


class Layer(msgspec.Struct, frozen=True):
    """Settings from one source."""

    values: TargetSettings
    source: str
    """Name of the source, with ``{key}``, ``{KEY}`` or ``{flag}`` in place of the setting."""

    def without(self, names: Collection[str]) -> Layer:
        """Returns the layer without these settings."""
        return self.only(self.values.keys() - set(names))

    def only(self, names: Collection[str]) -> Layer:
        """Returns the layer with only these settings."""
        return Layer({name: value for name, value in self.values.items() if name in names}, self.source)

    def label(self, name: str) -> str:
        """Returns the setting as the user wrote it, for use in a sentence."""
        flag = SETTINGS[name].flag if name in SETTINGS else ""
        return self.source.format(key=name, KEY=name.upper(), flag=flag)


class MergedSettings(msgspec.Struct, frozen=True):
    """The settings of all layers together."""

    values: TargetSettings
    labels: Mapping[str, str]
    """Settings as the user wrote them, by name."""

    def get(self, name: str) -> Any:
        """Returns the value of a setting, or its default if no layer has one."""
        return self.values.get(name, SETTINGS[name].default)

    def label(self, name: str) -> str:
        """Returns the setting as the user wrote it, for use in a sentence."""
        return self.labels.get(name, name)

    def error(self, name: str, sentence: str) -> SettingsError:
        """Returns an error about the value of a setting, which the caller should raise."""
        value = one_line(str(self.get(name)), 200)
        link = " " if self.label(name).startswith("--") else "="
        return SettingsError(f"{self.label(name)}{link}{value}: {sentence}")


def overlay(layers: Iterable[Layer]) -> MergedSettings:
    """Merges the layers; later ones take precedence.

    Tables and lists of fields to redact are joined, so that no entry is lost.
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
