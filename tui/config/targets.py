"""Makes targets from URLs and profiles.

Flags override the environment, which overrides a profile, ``[target]`` and ``[sessions]``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tui.config.layers import Layer, MergedSettings, overlay
from tui.config.model import TargetSettings
from tui.config.reading import SettingsInForce
from tui.files import path_of
from tui.models.target import Target, TargetError, check_url
from tui.protocols.registry import is_known
from tui.protocols.registry import names as protocol_names
from tui.saving.folders import default_folder
from tui.settings import AUTO, SETTINGS, Scope, names_with
from tui.text.redaction import clean_header, clean_secret, know_secrets, token_in_environment
from tui.text.strict import SettingsError, did_you_mean, quoted

SOUND = names_with(Scope.SOUND)
FOR_EVERYBODY = names_with(Scope.SOUND, Scope.EVERY_CALL)
_NO_FLAGS: TargetSettings = {}
_AROUND = " \t\r\n\u00a0\u200b\ufeff"
"""Characters that may surround a copied URL."""
_VARIABLE = r"\$\{(\w+)\}"
_HEADER_NAME = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
"""Pattern for a header name: a token as defined in RFC 9110, section 5.6.2."""


class Listed(msgspec.Struct, frozen=True):
    """A profile in the list of agents to call."""

    target: Target
    problem: str = ""
    """Reason why the profile cannot be called now; empty if it can be called."""


class AddressBook(msgspec.Struct, frozen=True):
    """The agents that the screen can call, and the settings for calling them."""

    base: Target
    """Settings of a target whose URL is typed on the screen."""
    demo: Target
    """Settings of the local agent, which needs no token."""
    profiles: Sequence[Listed]


def make_target(
    name: str,
    in_force: SettingsInForce,
    flags: TargetSettings = _NO_FLAGS,
    *,
    ignoring: Collection[str] = (),
) -> Target:
    """Returns the target for a URL or a profile name. Only flags can set the settings in ``ignoring``.

    Raises `SettingsError`.
    """
    name = name.strip(_AROUND)
    profile = "" if "://" in name else _profile(name, in_force)
    merged = merged_settings(in_force, profile, flags, ignoring=ignoring)
    if profile:
        where = f"{in_force.path}: [profiles.{profile}] url"
        url = _expanded(in_force.settings.profiles[profile]["url"], where)
    else:
        url, where = name, ""
    problem = url_problem(url, merged.get("protocol"))
    if problem:
        raise SettingsError(f"{where}: {problem}" if where else problem)
    target = Target(url=url, title=profile, **_fields(merged, in_force))
    know_secrets(target.secrets)
    return target


def address_book(
    in_force: SettingsInForce, flags: TargetSettings | None = None, *, for_demo: bool = False
) -> AddressBook:
    """Returns the agents that the screen can call. Raises `SettingsError`.

    ``flags`` are the flags for the screen's first call, or for the demo. Flags of scope `Scope.TARGET` do not
    apply to later calls, so that no token or header is sent to another agent.
    """
    flags = flags or _NO_FLAGS
    shared = Layer(flags, "").only(FOR_EVERYBODY).values
    not_for_demo = SETTINGS.keys() - set(FOR_EVERYBODY)
    demo = merged_settings(in_force, "", flags if for_demo else shared, ignoring=not_for_demo)
    return AddressBook(
        base=Target(url="", **_fields(merged_settings(in_force, "", shared), in_force)),
        demo=Target(url="", **_fields(demo, in_force)),
        profiles=_listed(in_force, shared),
    )


def _listed(in_force: SettingsInForce, flags: TargetSettings) -> list[Listed]:
    """Returns every profile, including those that cannot be called now."""
    listed = []
    for name, profile in in_force.settings.profiles.items():
        try:
            listed.append(Listed(make_target(name, in_force, flags)))
        except SettingsError as error:
            target = Target(url=profile["url"], title=name, protocol=profile.get("protocol", AUTO))
            listed.append(Listed(target, str(error)))
    return listed


def merged_settings(
    in_force: SettingsInForce,
    profile: str = "",
    flags: TargetSettings = _NO_FLAGS,
    *,
    ignoring: Collection[str] = (),
) -> MergedSettings:
    """Returns the settings of a call from all sources. Only flags can set the settings in ``ignoring``."""
    settings, path = in_force.settings, in_force.path
    saving = settings.sessions
    layers = [
        Layer(
            {"save": saving.save, "audio": saving.audio, "redact": saving.redact}, _in_file(path, "sessions")
        ),
        Layer(settings.target, _in_file(path, "target")),
    ]
    if profile:
        layers.append(
            Layer(settings.profiles[profile], _in_file(path, f"profiles.{profile}")).without(["url"])
        )
    layers.append(Layer(in_force.environment, "$OPUSAGENT_TUI_TARGET_{KEY}"))
    return overlay([*(layer.without(ignoring) for layer in layers), Layer(flags, "{flag}")])


def _in_file(path: Path, section: str) -> str:
    escaped = str(path).replace("{", "{{").replace("}", "}}")
    return f"{escaped}: [{section}] {{key}}"


def _profile(name: str, in_force: SettingsInForce) -> str:
    profiles = in_force.settings.profiles
    if name in profiles:
        return name
    near = did_you_mean(name, profiles)
    if near.endswith("?") or not set(name) & set(":/."):
        known = f" (available: {', '.join(profiles)})" if profiles else ""
        raise SettingsError(
            f"{quoted(name)} is neither a URL (ws:// or wss://) nor a profile in {in_force.path}{known}{near}"
        )
    raise SettingsError(url_problem(name, ""))


def url_problem(url: str, protocol: str) -> str:
    """Explains why a URL cannot be called; empty if it can be called.

    The URL of a Twilio webhook may start with http:// or https://.
    """
    if url.startswith(("http://", "https://")) and protocol in (AUTO, "twilio"):
        return ""
    try:
        check_url(url)
    except TargetError as error:
        return str(error)
    return ""


def _fields(merged: MergedSettings, in_force: SettingsInForce) -> dict[str, Any]:
    """Returns the fields of a `Target`. Raises `SettingsError`."""
    _check(merged)
    fields = {name: merged.get(name) for name in SETTINGS}
    for name in ("options", "params"):
        fields[name] = {
            key: str(value).lower() if isinstance(value, bool) else str(value)
            for key, value in fields[name].items()
        }
    fields["headers"] = {
        key: _header(key, value, f"{merged.label('headers')} {quoted(key)}")
        for key, value in fields["headers"].items()
    }
    for name in ("input", "output", "latency"):  # the file may contain numbers
        fields[name] = str(fields[name])
    return {**fields, "token": _token(merged), "save": _folder(fields["save"], in_force)}


def _check(merged: MergedSettings) -> None:
    """Checks that the names and files in the settings exist. Raises `SettingsError`."""
    protocol = merged.get("protocol")
    if protocol != AUTO and not protocol.endswith(".py") and not is_known(protocol):
        known = (AUTO, *protocol_names())
        raise merged.error(
            "protocol",
            f"unknown protocol{did_you_mean(protocol, known)} Choose from {', '.join(known)}, or a FILE.py.",
        )
    for name in merged.get("subprotocols"):
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
            raise merged.error(
                "subprotocols",
                "a name cannot contain spaces, commas or quotes; give each name separately.",
            )
    for setting in SETTINGS.values():
        path = merged.get(setting.name) if setting.must_exist else ""
        if path and not Path(path).is_file():
            raise merged.error(setting.name, "file not found.")
    if merged.get("echo") == "cancel":
        from tui.audio.webrtc import FRAME_MS, missing

        if sentence := missing():
            raise merged.error("echo", sentence)
        if merged.get("block_ms") % FRAME_MS:
            raise merged.error(
                "block_ms", f"--echo cancel needs a block size that is a multiple of {FRAME_MS} ms."
            )


def _token(merged: MergedSettings) -> str:
    variable = merged.get("token_env")
    if not variable:
        return ""
    try:
        token = token_in_environment(variable)
    except ValueError as error:
        raise merged.error("token_env", f"the value of that variable {error}.") from None
    if not token:
        state = "empty" if os.environ.get(variable) else "not set"
        raise merged.error("token_env", f"that variable is {state}. It must contain the agent's token.")
    return token


def _folder(save: bool | str, in_force: SettingsInForce) -> str:
    """Returns the folder in which to save a call's session; "" if it should not be saved."""
    if isinstance(save, str):
        return save
    return str(sessions_folder(in_force)) if save else ""


def sessions_folder(in_force: SettingsInForce) -> Path:
    """Returns the default folder for saved sessions. A call can use a different folder."""
    folder = in_force.settings.sessions.folder
    return path_of(folder) if folder else default_folder()


def speaker(in_force: SettingsInForce, flags: TargetSettings) -> str:
    """Returns the speaker on which to play a saved session."""
    return str(merged_settings(in_force, "", flags).get("output"))


def _header(name: str, value: str, where: str) -> str:
    """Returns a header's value with variables replaced. Raises `SettingsError`, which does not quote the value."""
    if not re.fullmatch(_HEADER_NAME, name):
        raise SettingsError(f"{where}: a header name can contain only letters, digits and -_.!#$%&'*+^`|~.")
    expanded = _expanded(value, where)
    try:
        return clean_header(expanded)
    except ValueError as error:
        raise SettingsError(f"{where}: the value {error}.") from None


def _expanded(text: str, where: str) -> str:
    """Replaces each ``${NAME}`` with the value of that environment variable. Raises `SettingsError`."""

    def value(match: re.Match[str]) -> str:
        try:
            held = clean_secret(os.environ.get(match[1], ""))
        except ValueError as error:
            raise SettingsError(f"{where}: the value of the variable {match[1]} {error}.") from None
        if not held:
            raise SettingsError(f"{where}: the variable {match[1]} is not set.")
        return held

    return re.sub(_VARIABLE, value, text)
