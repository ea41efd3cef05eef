"""From a URL or the name of a profile to a target: flag before environment before profile before ``[target]``."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tui.config.layers import Layer, Said, overlay
from tui.config.model import TargetSettings, Word
from tui.config.reading import SettingsInForce
from tui.config.strict import SettingsError, did_you_mean, quoted
from tui.models.target import Target, TargetError, check_url
from tui.protocols.registry import is_known
from tui.protocols.registry import names as protocol_names
from tui.saving.folders import default_folder

AUTO = "auto"
SOUND = ("input", "output", "latency", "echo", "fade_ms")
"""What of a target concerns this machine's sound: a call without a screen has none of it."""
FOR_EVERYBODY = (*SOUND, "block_ms", "save", "audio", "redact")
"""What of a target goes for every other, the local agent included."""
_NO_FLAGS = TargetSettings()
_RENAMED = {"on_stop": "stop", "audio": "save_audio"}
_AS_TEXT = ("input", "output", "latency")
_VARIABLE = r"\$\{(\w+)\}"


class Listed(msgspec.Struct, frozen=True):
    """A profile to be chosen from a list."""

    target: Target
    problem: str = ""
    """Why it cannot be called now."""


class AddressBook(msgspec.Struct, frozen=True):
    """Whom the screen can call, and how."""

    base: Target
    """What every target begins with whose URL is yet to be typed."""
    demo: Target
    """What the local agent begins with, which needs no token."""
    profiles: Sequence[Listed]


def make_target(
    name: str,
    in_force: SettingsInForce,
    flags: TargetSettings = _NO_FLAGS,
    *,
    ignoring: Collection[str] = (),
) -> Target:
    """The target that a URL or the name of a profile stands for; ``ignoring`` keys that only a flag may set.

    Raises `SettingsError`.
    """
    profile = "" if "://" in name else _profile(name, in_force)
    said = said_of(in_force, profile, flags, ignoring=ignoring)
    if profile:
        where = f"{in_force.path}: [profiles.{profile}] url"
        url = _expanded(in_force.settings.profiles[profile].url, where)
    else:
        url, where = name, ""
    problem = url_problem(url, said.settings.protocol or AUTO)
    if problem:
        raise SettingsError(f"{where}: {problem}" if where else problem)
    return Target(url=url, title=profile, **_fields(said, in_force))


def address_book(
    in_force: SettingsInForce, flags: TargetSettings | None = None, *, for_demo: bool = False
) -> AddressBook:
    """Whom the screen can call. ``flags`` are those of its first call, or of the demo. Raises `SettingsError`.

    Of the flags, only what concerns everybody goes for later calls: no token or header is sent to somebody else.
    """
    flags = flags or _NO_FLAGS
    shared = Layer(flags, "").only(FOR_EVERYBODY).said
    not_for_demo = set(TargetSettings.__struct_fields__) - set(FOR_EVERYBODY)
    demo = said_of(in_force, "", flags if for_demo else shared, ignoring=not_for_demo)
    return AddressBook(
        base=Target(url="", **_fields(said_of(in_force, "", shared), in_force)),
        demo=Target(url="", **_fields(demo, in_force)),
        profiles=_listed(in_force, shared),
    )


def _listed(in_force: SettingsInForce, flags: TargetSettings) -> list[Listed]:
    """Every profile, also one that cannot be called now."""
    listed = []
    for name, profile in in_force.settings.profiles.items():
        try:
            listed.append(Listed(make_target(name, in_force, flags)))
        except SettingsError as error:
            target = Target(url=profile.url, title=name, protocol=profile.protocol or AUTO)
            listed.append(Listed(target, str(error)))
    return listed


def said_of(
    in_force: SettingsInForce,
    profile: str = "",
    flags: TargetSettings = _NO_FLAGS,
    *,
    ignoring: Collection[str] = (),
) -> Said:
    """What is said of a target, by whom; ``ignoring`` keys that only a flag may set."""
    settings, path = in_force.settings, in_force.path
    kept = settings.sessions
    layers = [
        Layer(
            TargetSettings(save=kept.save, audio=kept.audio, redact=kept.redact),
            f"{path}: [sessions] {{key}}",
        ),
        Layer(settings.target, f"{path}: [target] {{key}}"),
    ]
    if profile:
        layers.append(Layer(settings.profiles[profile], f"{path}: [profiles.{profile}] {{key}}"))
    layers.append(Layer(in_force.environment, "$OPUSAGENT_TUI_TARGET_{KEY}"))
    return overlay([*(layer.without(ignoring) for layer in layers), Layer(flags, "--{flag}")])


def _profile(name: str, in_force: SettingsInForce) -> str:
    profiles = in_force.settings.profiles
    if name in profiles:
        return name
    near = did_you_mean(name, profiles)
    if near.endswith("?") or not set(name) & set(":/."):
        known = f" (there are {', '.join(profiles)})" if profiles else ""
        raise SettingsError(
            f"{quoted(name)} is neither a URL, which begins with ws:// or wss://, "
            f"nor a profile in {in_force.path}{known}{near}"
        )
    raise SettingsError(url_problem(name, ""))


def url_problem(url: str, protocol: str) -> str:
    """Why a URL cannot be called, as a sentence; empty if it can. A webhook is on the web."""
    if url.startswith(("http://", "https://")) and protocol in (AUTO, "twilio"):
        return ""
    try:
        check_url(url)
    except TargetError as error:
        return str(error)
    return ""


def _fields(said: Said, in_force: SettingsInForce) -> dict[str, Any]:
    """As `Target` has them. Raises `SettingsError`."""
    _check(said)
    fields: dict[str, Any] = {"protocol": AUTO, **said.values()}
    fields["token"] = _token(said)
    for key in ("options", "params"):
        fields[key] = {name: _text(value) for name, value in fields.get(key, {}).items()}
    fields["headers"] = {
        name: _expanded(value, f"{said.who('headers')} {quoted(name)}")
        for name, value in said.settings.headers.items()
    }
    fields["save"] = _folder(said.settings.save, in_force)
    for key in _AS_TEXT:
        if key in fields:
            fields[key] = str(fields[key])
    return {_RENAMED.get(key, key): value for key, value in fields.items()}


def _check(said: Said) -> None:
    """What only shows when a target is used: names and files that have to exist."""
    protocol = said.settings.protocol or AUTO
    if protocol != AUTO and not protocol.endswith(".py") and not is_known(protocol):
        known = ", ".join((AUTO, *protocol_names()))
        raise said.wrong("protocol", f"there is no such protocol; known are {known}, or a FILE.py.")
    for key in ("cacert", "tools"):
        path = getattr(said.settings, key)
        if path and not Path(path).is_file():
            raise said.wrong(key, "there is no such file.")
    if said.settings.echo == "cancel":
        from tui.audio.webrtc import FRAME_MS, missing

        if sentence := missing():
            raise said.wrong("echo", sentence)
        if (said.settings.block_ms or Target.block_ms) % FRAME_MS:
            raise said.wrong("block_ms", f"--echo cancel works on blocks of whole {FRAME_MS} ms.")


def _token(said: Said) -> str:
    variable = said.settings.token_env
    if not variable:
        return ""
    token = os.environ.get(variable, "")
    if not token:
        raise said.wrong("token_env", "that variable is not set; export it with the agent's token.")
    return token


def _folder(save: bool | str | None, in_force: SettingsInForce) -> str:
    """Where sessions are kept; "" for not at all."""
    if isinstance(save, str):
        return save
    return str(sessions_folder(in_force)) if save else ""


def sessions_folder(in_force: SettingsInForce) -> Path:
    """Where sessions are kept unless something else is said."""
    folder = in_force.settings.sessions.folder
    return Path(folder) if folder else default_folder()


def speaker(in_force: SettingsInForce, flags: TargetSettings) -> str:
    """What a saved session is heard on."""
    return str(said_of(in_force, "", flags).values().get("output", AUTO))


def _expanded(text: str, where: str) -> str:
    """With what variables hold in place of ``${NAME}``. Raises `SettingsError`."""

    def value(match: re.Match[str]) -> str:
        held = os.environ.get(match[1], "")
        if not held:
            raise SettingsError(f"{where}: the variable {match[1]} is not set.")
        return held

    return re.sub(_VARIABLE, value, text)


def _text(value: Word) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
