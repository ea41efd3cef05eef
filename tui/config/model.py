"""The settings file: sections and keys, with their types and defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from msgspec import Meta, Struct

from tui.models.turns.figures import Thresholds
from tui.settings import SETTINGS, Setting

Text = Annotated[str, Meta(min_length=1)]


class ScreenSettings(Struct, frozen=True, kw_only=True):
    """Settings of the screen."""

    theme: Annotated[
        Text | None, Meta(description="Theme; default: the last one chosen.", examples=["opus-dark"])
    ] = None
    refresh_per_s: Annotated[
        Annotated[int, Meta(ge=2, le=60)] | None,
        Meta(
            description="Level meter updates per second; other updates are half as frequent.", examples=[16]
        ),
    ] = None
    confirm_quit: Annotated[bool, Meta(description="Ask before q ends a call.")] = True


class SessionsSettings(Struct, frozen=True, kw_only=True):
    """Settings for saving sessions, including how long they are kept."""

    folder: Annotated[
        Text | None, Meta(description="Default: the user's data directory.", examples=["~/calls"])
    ] = None
    save: Annotated[bool, Meta(description="Save every call.")] = True
    audio: Annotated[bool, Meta(description="Save both audio tracks and the audio in messages.")] = True
    redact: Annotated[
        tuple[Text, ...], Meta(description="JSON fields whose values are not saved.", examples=[["ssn"]])
    ] = ()
    keep_days: Annotated[
        Annotated[float, Meta(gt=0, le=36_500)] | None,
        Meta(
            description="Age in days after which sessions in the folder are deleted when a call ends.",
            examples=[30],
        ),
    ] = None
    keep_count: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(
            description="Number of sessions to keep; beyond that, the oldest are deleted when a call ends. "
            "Without a limit, nothing is deleted.",
            examples=[100],
        ),
    ] = None


class SoundSettings(Struct, frozen=True, kw_only=True):
    """Settings for this machine's sound system."""

    timeout_s: Annotated[
        float,
        Meta(
            gt=0,
            le=60,
            description="How long to wait for the sound system. After that, recorded lines replace the microphone.",
        ),
    ] = 3.0


class SpeechSettings(Struct, frozen=True, kw_only=True):
    """Settings for speech synthesis and recognition."""

    synthesizer: Annotated[
        Literal["hibari", "espeak-ng", "say"] | None,
        Meta(description="Default: the first of these that is installed.", examples=["hibari"]),
    ] = None
    model: Annotated[
        Text | None,
        Meta(
            description="Speech recognition model: a folder, an installed package that contains one, or a name.",
            examples=["base.en"],
        ),
    ] = None


TargetSettings = Mapping[str, Any]
"""The call settings that a flag, the environment, a profile or ``[target]`` defines, by name (`tui.settings`)."""


class Settings(Struct, frozen=True, kw_only=True):
    """All settings that the settings file may contain."""

    thresholds: Thresholds = Thresholds()
    screen: ScreenSettings = ScreenSettings()
    sessions: SessionsSettings = SessionsSettings()
    sound: SoundSettings = SoundSettings()
    speech: SpeechSettings = SpeechSettings()
    target: dict[str, Any] = {}
    """Settings of every call, unless a profile overrides them."""
    profiles: dict[str, dict[str, Any]] = {}
    """Profiles by name; each has a ``url``."""
    keys: dict[str, tuple[str, ...]] = {}
    """Keys by action id, which replace the action's default keys."""


SECTIONS: dict[str, type[Struct]] = {
    "thresholds": Thresholds,
    "screen": ScreenSettings,
    "sessions": SessionsSettings,
    "sound": SoundSettings,
    "speech": SpeechSettings,
}
"""The sections with a fixed set of settings, which environment variables may set as well."""


def type_of(setting: Setting) -> Any:
    """Returns the type with which msgspec validates the value of a call setting."""
    if setting.choices:
        words: Any = Literal.__getitem__(setting.choices)
        return words if setting.kind is str else words | _number(setting)
    if setting.kind in (int, float):
        return _number(setting)
    return _not_empty(setting.kind)


def _number(setting: Setting) -> Any:
    limits: dict[str, Any] = {"gt": setting.above, "ge": setting.least, "le": setting.most}
    return Annotated[setting.kind, Meta(**limits)]


def _not_empty(kind: Any) -> Any:
    """Returns ``kind`` with the added constraint that strings are not empty, except values in tables."""
    if kind is str:
        return Text
    match get_origin(kind), get_args(kind):
        case origin, (first, second) if origin is dict:
            return dict[_not_empty(first), second]  # type: ignore[misc]
        case origin, (first, _) if origin is tuple:
            return tuple[_not_empty(first), ...]  # type: ignore[misc]
        case _, (first, *others):
            return Union[tuple(map(_not_empty, (first, *others)))]  # noqa: UP007 - of a number of them
    return kind


TARGET_TYPES = {name: type_of(setting) for name, setting in SETTINGS.items()}
"""Types of the call settings, by name."""
PROFILE_TYPES = {"url": Text, **TARGET_TYPES}
"""Types of the settings in a profile, by name; ``${NAME}`` in the URL stands for the value of that variable."""
