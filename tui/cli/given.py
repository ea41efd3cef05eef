"""What a command was given: its flags, and the settings they are laid over."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from tui.cli.options import Command, Sentence, option

if TYPE_CHECKING:
    from tui.config.model import TargetSettings
    from tui.config.reading import SettingsInForce
    from tui.models.target import Target

_FILE, _IN_FORCE = "tui.cli.given.file", "tui.cli.given.settings"
_NAMES = {"input_": "input", "accept_timeout": "accept_timeout_s"}
"""Parameters whose setting has another name."""


def config_option(command: Command) -> Command:
    """``--config FILE``, on the program and on each command that has settings."""

    def note(context: click.Context, _: click.Parameter, value: str | None) -> None:
        if value is not None:
            context.meta[_FILE] = value

    decorate = option(
        "--config",
        metavar="FILE",
        expose_value=False,
        callback=note,
        help="Settings to read instead of the user's own.",
    )
    return decorate(command)


@contextmanager
def sentences() -> Iterator[None]:
    """What is wrong with settings, as wrong usage."""
    from tui.config.strict import SettingsError

    try:
        yield
    except SettingsError as error:
        raise Sentence(str(error)) from error


def settings() -> SettingsInForce:
    """The settings in force for this run, read once; tells what looks like one and is none. Raises `Sentence`."""
    from tui.config.reading import read_settings, unknown_variables
    from tui.text.visible import one_line

    meta = click.get_current_context().meta
    if _IN_FORCE not in meta:
        for sentence in unknown_variables():
            click.echo(one_line(sentence), err=True)
        with sentences():
            meta[_IN_FORCE] = read_settings(settings_file())
    in_force: SettingsInForce = meta[_IN_FORCE]
    return in_force


def settings_file() -> str | None:
    """The file that a flag names."""
    file: str | None = click.get_current_context().meta.get(_FILE)
    return file


def retain() -> None:
    """Delete the saved sessions that are not to be kept any longer, and say so in one line."""
    from tui.config.targets import sessions_folder
    from tui.saving.retention import retain

    kept = settings().settings.sessions
    told = retain(sessions_folder(settings()), keep_days=kept.keep_days, keep_count=kept.keep_count)
    if told:
        click.echo(told, err=True)


def target(name: str, flags: TargetSettings, *, ignoring: Collection[str] = ()) -> Target:
    """The target that a URL or the name of a profile stands for. Raises `Sentence`."""
    from tui.config.targets import make_target

    with sentences():
        return make_target(name, settings(), flags, ignoring=ignoring)


def flags(options: dict[str, Any]) -> TargetSettings:
    """Those options of a command that somebody typed, as settings of a target. Raises `Sentence`."""
    from tui.config.model import TargetSettings

    context = click.get_current_context()
    said: dict[str, Any] = {}
    for name, value in options.items():
        if context.get_parameter_source(name) is not click.core.ParameterSource.COMMANDLINE:
            continue
        match name:
            case "headers":
                said[name] = _pairs(value, ":", "--header")
            case "options" | "params":
                said[name] = _pairs(value, "=", f"--{name[:-1]}")
            case "formats" | "redact":
                said[name] = tuple(value)
            case "no_save":
                said["save"] = False
            case "no_audio":
                said["audio"] = False
            case "latency":
                said[name] = _latency(value)
            case _:
                said[_NAMES.get(name, name)] = value
    return TargetSettings(**said)


def refuse_what_needs_a_target(flags: TargetSettings) -> None:
    """No token, header or protocol waits for whoever is chosen later: `Sentence`."""
    from tui.config.layers import Layer
    from tui.config.targets import FOR_EVERYBODY

    written = {
        _NAMES.get(name, name): parameter.opts[0]
        for parameter in click.get_current_context().command.params
        if (name := parameter.name)
    }
    concern_one = [written.get(key, key) for key in Layer(flags, "").without(FOR_EVERYBODY).values()]
    if concern_one:
        raise Sentence(f"Whom is {concern_one[0]} for? Name its URL, or a profile of the settings.")


def _latency(text: str) -> Any:
    from tui.config.model import MAX_LATENCY_S, Latency
    from tui.config.strict import SettingsError, to_value

    try:
        return to_value(Latency, text, "", text=True)
    except SettingsError as error:
        raise Sentence(
            f"--latency {text}: give auto, low, high, or seconds up to {MAX_LATENCY_S}."
        ) from error


def _pairs(texts: Iterable[str], separator: str, flag: str) -> dict[str, str]:
    return dict(_pair(text, separator, flag) for text in texts)


def _pair(text: str, separator: str, flag: str) -> tuple[str, str]:
    key, found, value = text.partition(separator)
    example = "'KEY: VALUE'" if separator == ":" else "KEY=VALUE"
    if not found or not key.strip():
        raise Sentence(f"{flag} {key!r}: write it as {example}.")
    return key.strip(), value.strip()
