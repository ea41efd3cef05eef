"""Layers of settings for a target, laid over each other: who says something last is in force, and is known."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec

from tui.config.model import TargetSettings
from tui.config.strict import SettingsError
from tui.text.visible import one_line


class Layer(msgspec.Struct, frozen=True):
    """Somebody who says something of a target."""

    said: TargetSettings
    who: str
    """With ``{key}``, ``{KEY}`` or ``{flag}`` where the name of the setting belongs."""

    def values(self) -> dict[str, Any]:
        """What is said, by key."""
        every = {key: getattr(self.said, key) for key in TargetSettings.__struct_fields__}
        return {key: value for key, value in every.items() if value not in (None, {}, ())}

    def without(self, keys: Collection[str]) -> Layer:
        """The same but for these keys."""
        return self.only(self.values().keys() - set(keys))

    def only(self, keys: Collection[str]) -> Layer:
        """These keys of it."""
        kept = {key: value for key, value in self.values().items() if key in keys}
        return Layer(TargetSettings(**kept), self.who)

    def called(self, key: str) -> str:
        """The setting as the user wrote it."""
        flag = key.removesuffix("_ms").removesuffix("_s").replace("_", "-")
        return self.who.replace("{key}", key).replace("{KEY}", key.upper()).replace("{flag}", flag)


class Said(msgspec.Struct, frozen=True):
    """What all layers together say."""

    settings: TargetSettings
    origins: Mapping[str, str]
    """By key: what said it, as it is called in a sentence."""

    def values(self) -> dict[str, Any]:
        """What is said, by key."""
        return Layer(self.settings, "").values()

    def who(self, key: str) -> str:
        """What said it."""
        return self.origins.get(key, key)

    def wrong(self, key: str, sentence: str) -> SettingsError:
        """A value that cannot be used, to be raised."""
        value = one_line(str(getattr(self.settings, key)), 200)
        link = " " if self.who(key).startswith("--") else "="
        return SettingsError(f"{self.who(key)}{link}{value}: {sentence}")


def overlay(layers: Iterable[Layer]) -> Said:
    """The last that says something wins. Tables are joined, and so are the fields to redact: none may be lost."""
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for layer in layers:
        for key, value in layer.values().items():
            before = values.get(key)
            if isinstance(before, dict):
                value = {**before, **value}
            elif key == "redact" and before:
                value = tuple(dict.fromkeys((*before, *value)))
            values[key] = value
            origins[key] = layer.called(key)
    return Said(msgspec.convert(values, TargetSettings), origins)
