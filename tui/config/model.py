"""The settings as the file has them: sections and keys, with their types and defaults."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

Text = Annotated[str, Meta(min_length=1)]
Milliseconds = Annotated[float, Meta(gt=0, le=600_000)]
Seconds = Annotated[float, Meta(gt=0, le=600)]
Word = str | int | float | bool
"""What TOML may write for an option that is text on the wire."""

MAX_LATENCY_S = 2
"""A speaker that holds more is of no use in a call."""
Latency = Literal["auto", "low", "high"] | Annotated[float, Meta(gt=0, le=MAX_LATENCY_S)]

GOOD_MS, SLOW_MS = 800.0, 1500.0


class Thresholds(Struct, frozen=True, kw_only=True):
    """When a response counts as good, slow or bad."""

    good_ms: Milliseconds = GOOD_MS
    """Good up to here."""
    slow_ms: Milliseconds = SLOW_MS
    """Bad beyond."""

    def __post_init__(self) -> None:
        if self.slow_ms < self.good_ms:
            raise ValueError(f"slow_ms ({self.slow_ms:g}) has to be at least good_ms ({self.good_ms:g})")

    def judge(self, latency_ms: float) -> Literal["good", "slow", "bad"]:
        """How a response of that latency is."""
        return "good" if latency_ms <= self.good_ms else "slow" if latency_ms <= self.slow_ms else "bad"


class ScreenSettings(Struct, frozen=True, kw_only=True):
    """The screen."""

    theme: Text | None = None
    """The colours to begin with; without it those that were chosen last."""
    refresh_per_s: Annotated[int, Meta(ge=2, le=60)] | None = None
    """How often levels are drawn, everything else half as often; without it 16, over SSH 8."""


class SessionsSettings(Struct, frozen=True, kw_only=True):
    """How sessions are kept on disk, and for how long."""

    folder: Text | None = None
    """Where; without it in the user's data directory."""
    save: bool = True
    audio: bool = True
    """Whether the tracks, and the audio in messages, are kept too."""
    redact: tuple[Text, ...] = ()
    """Names of JSON fields whose values are not kept."""
    keep_days: Annotated[float, Meta(gt=0, le=36_500)] | None = None
    """Older ones are deleted when a session ends."""
    keep_count: Annotated[int, Meta(ge=1)] | None = None
    """All but the newest so many are deleted when a session ends."""


class TargetSettings(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What can be said of a target, by a flag, the environment, a profile; None and empty: nothing is."""

    protocol: Text | None = None
    token_env: Text | None = None
    """Name of the variable that holds the token."""
    headers: dict[Text, str] = {}
    """Secrets; ``${NAME}`` in a value is what that variable holds."""
    insecure: bool | None = None
    cacert: Text | None = None
    formats: tuple[Text, ...] = ()
    options: dict[Text, Word] = {}
    params: dict[Text, Word] = {}
    tools: Text | None = None
    input: Text | int | None = None
    output: Text | int | None = None
    latency: Latency | None = None
    block_ms: Annotated[int, Meta(ge=10, le=250)] | None = None
    echo: Literal["none", "gate", "cancel"] | None = None
    fade_ms: Annotated[int, Meta(ge=0, le=500)] | None = None
    barge_in: bool | None = None
    on_stop: Literal["silence", "close"] | None = None
    agent_name: Text | None = None
    caller: Text | None = None
    connect_timeout_s: Seconds | None = None
    accept_timeout_s: Seconds | None = None
    save: bool | Text | None = None
    """Whether sessions are kept, or the folder in which."""
    audio: bool | None = None
    redact: tuple[Text, ...] = ()


class Profile(TargetSettings, frozen=True, kw_only=True, omit_defaults=True):
    """A target by name."""

    url: Text
    """``${NAME}`` in it is what that variable holds."""


class Settings(Struct, frozen=True, kw_only=True):
    """Everything the file may say."""

    thresholds: Thresholds = Thresholds()
    screen: ScreenSettings = ScreenSettings()
    sessions: SessionsSettings = SessionsSettings()
    target: TargetSettings = TargetSettings()
    """What holds for every target unless its profile says otherwise."""
    profiles: dict[str, Profile] = {}
    keys: dict[str, tuple[str, ...]] = {}
    """Action by id: the keys it is on instead of its own."""
