"""The options of the commands, and how their values are read.

Some options are call settings, which are defined in `tui.settings`; the others belong to a single command.
Heavy modules are imported late, because ``--help`` loads this module.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from tui.cli import completion
from tui.cli.option import Command, ExistingFile, NearChoice, NumberInRange, option, together
from tui.cli.program import Sentence
from tui.protocols.registry import BUILT_IN
from tui.settings import SETTINGS, Scope, Setting, names_with

if TYPE_CHECKING:
    from tui.agent.settings import AgentSettings
    from tui.config.model import TargetSettings
    from tui.config.reading import SettingsInForce
    from tui.models.target import Target
    from tui.scenario.model import Scenario

_AGENT, _SOUND, _SAVING, _LIMITS, _PROTOCOL = "Agent", "Sound", "Saving", "Time limits", "Protocol details"
_GROUPS = {
    **dict.fromkeys(("protocol", "token_env", "headers", "subprotocols", "insecure", "cacert"), _AGENT),
    **dict.fromkeys(("save", "audio", "redact"), _SAVING),
    **dict.fromkeys((*names_with(Scope.SOUND), "block_ms"), _SOUND),
}
"""Help headings for options whose heading cannot be derived from the name and unit of the setting."""

LOCAL_PROTOCOLS = tuple(BUILT_IN)
"""The protocols of the local agent."""
_TOOLS = ("tools", "tool_timeout_s")
_FILE, _IN_FORCE = "tui.cli.options.file", "tui.cli.options.settings"


def setting_options(*names: str) -> Callable[[Command], Command]:
    """Returns a decorator that adds the options for these call settings."""
    return together(*(each for name in names for each in _options_of(SETTINGS[name])))


def _options_of(setting: Setting) -> Iterator[Callable[[Command], Command]]:
    """Yields the option for a setting. Some settings have a second option, which turns the setting off."""
    group = _GROUPS.get(setting.name, _LIMITS if setting.name.endswith("_s") else _PROTOCOL)
    name, help_text = setting.name, setting.help.format(protocols=", ".join(LOCAL_PROTOCOLS))
    if setting.kind is bool and setting.default is True and setting.flag:
        yield option(f"{setting.flag}/{setting.off_flag}", name, default=True, help=help_text, group=group)
        return
    if setting.kind is bool and setting.flag:
        yield option(setting.flag, name, is_flag=True, help=help_text, group=group)
    elif setting.flag:
        kwargs: dict[str, Any] = {"type": _click_type(setting), "help": help_text, "group": group}
        if setting.name == "protocol":
            kwargs["shell_complete"] = completion.protocols
        if setting.metavar:
            kwargs["metavar"] = setting.metavar
        if setting.default in ({}, ()):
            kwargs.update(multiple=True, help=f"{help_text} Repeatable.")
        elif setting.default not in ("", True):
            kwargs["default"] = setting.default
        yield option(setting.flag, name, **kwargs)
    if setting.off_help:
        yield option(setting.off_flag, f"no_{name}", is_flag=True, help=setting.off_help, group=group)


def _click_type(setting: Setting) -> Any:
    if setting.choices and setting.kind is str:
        return NearChoice(setting.choices)
    if setting.must_exist:
        return ExistingFile()
    if setting.kind is int:
        return click.IntRange(setting.least, setting.most)
    if setting.kind is float and not setting.choices:
        return NumberInRange(setting.above, setting.most, min_open=True)
    return None


# fmt: off
FAULTS = (
    "late", "ignores-barge-in", "stops-at-backchannel", "wrong-argument", "never-hangs-up", "clips-first-word",
    "talks-over", "crashes",
)
"""The values of `tui.agent.settings.Fault`, which `--help` does not load."""
BEHAVIOUR = (
    "reply", "reply_delay", "pace", "interrupt", "yield_after", "backchannel", "talk_over", "overlap_chance", "seed",
    "fault", "hear", "answers",
)
"""Parameters of `behaviour_options`."""
audio_options = setting_options(*names_with(Scope.SOUND))
block_option = setting_options("block_ms")
tools_option = setting_options(*_TOOLS)
target_options = setting_options(*(name for name in names_with(Scope.TARGET) if name not in _TOOLS))
headless_options = setting_options(*names_with(Scope.HEADLESS))
save_options = setting_options("save", "audio", "redact")
trace_option = option("--trace-callbacks", is_flag=True,
                      help="Time every registered callback; press T to see the times.")
scenario_option = option(
    "--scenario",
    metavar="FILE",
    type=click.Path(path_type=Path),
    group="Agent",
    help="Play a scenario (FILE.call.toml) in the call; to take over, press any key that controls the call.",
)
behaviour_options = together(
    option("--reply", group="Local agent", type=NearChoice(["prompts", "echo"]), default="prompts",
           help="Answer with recorded prompts, or repeat the user's own words."),
    option("--reply-delay", group="Local agent", type=NumberInRange(min=0), default=0.0, metavar="S",
           help="Delay before each answer."),
    option("--pace", group="Local agent", default="1", metavar="N|all",
           help="Sending speed: 1 (real time), N (N times as fast) or all (in one message)."),
    option("--interrupt", group="Local agent", type=NumberInRange(0, 10), default=0.0, metavar="S",
           help="Speech this long interrupts the agent; shorter speech (a backchannel) does not."),
    option("--yield", "yield_after", group="Local agent", type=NumberInRange(0, 60), default=0.0, metavar="S",
           help="How long the agent keeps speaking after you start speaking."),
    option("--backchannel", group="Local agent", type=NumberInRange(0, 60), default=0.0, metavar="S",
           help="Make the agent say a single word (a backchannel) S seconds after you start speaking."),
    option("--talk-over", group="Local agent", type=NumberInRange(0, 60), default=0.0, metavar="S",
           help="Make the agent talk over you with a whole sentence S seconds after you start speaking."),
    option("--overlap-chance", group="Local agent", type=NumberInRange(0, 1), default=1.0, metavar="P",
           help="Share of your turns in which --backchannel and --talk-over apply."),
    option("--seed", group="Local agent", type=int, default=0, metavar="N",
           help="Random seed for choosing these turns; the same turns are chosen in every call."),
    option("--fault", group="Local agent", type=NearChoice(FAULTS),
           help="Plant a bug in the agent, to check that your tests find it."),
    option("--hear", group="Local agent", is_flag=True,
           help="Transcribe any sentence, not only the recorded lines (needs the speech extra)."),
    option("--answers", group="Local agent", type=click.Path(path_type=Path), metavar="FILE",
           help="TOML file with rules for answering what the user says."),
)
script_options = together(
    option("--say", group="Script", multiple=True, type=click.Path(path_type=Path), metavar="WAV|TEXT",
           help="WAV file or pipe to play as one turn (- for standard input), the number of a recorded line "
                "(1 to 9), or any sentence (an existing file with that name takes precedence). "
                "FLAC, Ogg, MP3 and AIFF need the soundfile package. Repeatable."),
    option("--output", group="Script", default="none", metavar="WAV",
           help="WAV file, pipe or device file to write the agent's audio to, as played."),
    option("--json", "as_json", is_flag=True, help="Print events as JSON, one per line."),
    option("--max-response-ms", group="Script", type=NumberInRange(min=0), metavar="MS",
           help="Exit with 1 if a response takes longer than this."),
    option("--strict", is_flag=True, help="Exit with 5 if any error or finding was reported."),
    option("--timeout", group="Script", type=NumberInRange(min=0.1), default=10.0, metavar="S",
           help="Time limit for each answer."),
)
agent_options = together(
    option("--host", default="127.0.0.1", help="Address to listen on."),
    option("--port", type=click.IntRange(0, 65535), default=0, metavar="PORT",
           help="Port to listen on; 0 picks a free one."),
    option("--token-env", metavar="NAME", help="Environment variable that holds the token callers must send."),
    option("--chunk", "chunk_ms", type=NumberInRange(1, 60_000), default=20.0, metavar="MS",
           help="Length of the audio in each message."),
    option("--silence", "silence_ms", type=click.IntRange(100, 10_000), default=400, metavar="MS",
           help="Length of silence that ends the user's turn."),
    option("--cert", default="", metavar="FILE",
           help="PEM file with the certificate chain; serves wss:// instead of ws://."),
    option("--key", default="", metavar="FILE",
           help="PEM file with the private key, unless the certificate file contains it."),
    option("--quiet", is_flag=True, help="Don't print calls, refused requests, or findings about clients."),
)
# fmt: on


def config_option(command: Command) -> Command:
    """Adds the option ``--config FILE`` to a command."""

    def note(context: click.Context, _: click.Parameter, value: str | None) -> None:
        if value is not None:
            context.meta[_FILE] = value

    decorate = option(
        "--config",
        metavar="FILE",
        expose_value=False,
        callback=note,
        help="Settings file to use instead of the default.",
    )
    return decorate(command)


@contextmanager
def settings_errors() -> Iterator[None]:
    """Converts errors in settings into a `Sentence` with the exit code for wrong usage."""
    from tui.text.strict import SettingsError

    try:
        yield
    except SettingsError as error:
        raise Sentence(str(error)) from error


@contextmanager
def file_errors() -> Iterator[None]:
    """Converts errors in a file, such as a scenario, into a `Sentence` with the exit code for wrong usage."""
    from tui.text.visible import one_line

    try:
        yield
    except ValueError as error:
        raise Sentence(one_line(str(error), 500)) from error


def effective_settings() -> SettingsInForce:
    """Returns the settings of this command, and reads them on the first call.

    Prints a warning about environment variables that look like settings. Raises `Sentence`.
    """
    from tui.config.reading import read_settings, unknown_variables
    from tui.text.visible import one_line

    meta = click.get_current_context().meta
    if _IN_FORCE not in meta:
        for sentence in unknown_variables():
            click.echo(one_line(sentence), err=True)
        with settings_errors():
            in_force = meta[_IN_FORCE] = read_settings(settings_file())
        if in_force.warning:
            click.echo(one_line(in_force.warning), err=True)
    return cast("SettingsInForce", meta[_IN_FORCE])


def settings_file() -> str | None:
    """Returns the value of ``--config``; None without the option."""
    file: str | None = click.get_current_context().meta.get(_FILE)
    return file


def delete_old_sessions() -> None:
    """Deletes saved sessions beyond the limits in the settings. Prints a line about deleted sessions."""
    from tui.config.targets import sessions_folder
    from tui.saving.deleting import retain

    in_force = effective_settings()
    limits = in_force.settings.sessions
    report = retain(sessions_folder(in_force), keep_days=limits.keep_days, keep_count=limits.keep_count)
    if report:
        click.echo(report, err=True)


def target_of(name: str, flags: TargetSettings, *, ignoring: Collection[str] = ()) -> Target:
    """Returns the target for a URL or a profile name. Raises `Sentence`."""
    from tui.config.targets import make_target

    with settings_errors():
        return make_target(name, effective_settings(), flags, ignoring=ignoring)


def scenario_target(
    scenario: Scenario, url: str | None, profile: str | None, flags: TargetSettings
) -> Target:
    """Returns the target that a scenario names, as overridden by options. Raises `Sentence`."""
    name = url or profile or scenario.target.url or scenario.target.profile
    if not name:
        raise Sentence(f"{scenario.path} has no [target]. Specify the agent with --url or --profile.")
    own = {"protocol": scenario.target.protocol} if scenario.target.protocol else {}
    return target_of(name, {**own, **flags})


def typed_settings(options: dict[str, Any]) -> dict[str, Any]:
    """Returns the call settings that the user typed as options, without defaults. Raises `Sentence`."""
    context = click.get_current_context()
    typed: dict[str, Any] = {}
    for name, value in options.items():
        if context.get_parameter_source(name) is not click.core.ParameterSource.COMMANDLINE:
            continue
        if name.startswith("no_"):
            typed[name.removeprefix("no_")] = False
        else:
            typed[name] = _value(SETTINGS[name], value)
    return typed


def pass_time_limit(in_force: SettingsInForce) -> None:
    """Passes the sound system's time limit to this process and its children, in an environment variable."""
    from tui.audio.trial import TIMEOUT_VARIABLE

    os.environ[TIMEOUT_VARIABLE] = str(in_force.settings.sound.timeout_s)


def check_devices(typed: TargetSettings) -> None:
    """Raises `Sentence` if the user named a device that does not exist.

    If the sound system does not respond, devices cannot be checked, and the call will report the problem.
    """
    from tui.audio import devices
    from tui.audio.endpoints import names_device
    from tui.text.visible import one_line

    directions: tuple[devices.Direction, ...] = ("input", "output")
    named = [
        (str(typed[way]), way) for way in directions if way in typed and names_device(str(typed[way]), way)
    ]
    if not named:
        return
    pass_time_limit(effective_settings())
    try:
        listed = devices.list_by_trial()
    except devices.AudioDeviceError:
        return
    for spec, way in named:
        try:
            devices.find_among(listed, spec, way)
        except devices.AudioDeviceError as error:
            raise Sentence(one_line(f"--{way}: {error}")) from error


def _value(setting: Setting, value: Any) -> Any:
    """Converts the value of an option to the form used in the settings file. Raises `Sentence`."""
    if setting.default == {}:
        return dict(_pair(text, ":" if setting.name == "headers" else "=", setting.flag) for text in value)
    if setting.default == ():
        return tuple(value)
    if setting.choices and setting.kind is float:
        return _word_or_number(setting, value)
    return value


def refuse_settings_of_one_target(typed: TargetSettings) -> None:
    """Raises `Sentence` if the user typed a token, header or protocol but named no target."""
    of_one = [SETTINGS[name].flag for name in typed if SETTINGS[name].scope is Scope.TARGET]
    if of_one:
        raise Sentence(f"{of_one[0]} needs a target: pass a URL, or a profile from the settings file.")


def _word_or_number(setting: Setting, text: str) -> Any:
    from tui.config.model import TARGET_TYPES
    from tui.text.strict import SettingsError, to_value

    try:
        return to_value(TARGET_TYPES[setting.name], text, "", text=True)
    except SettingsError as error:
        words = ", ".join(setting.choices)
        raise Sentence(
            f"{setting.flag} {text}: use {words}, or a number of seconds up to {setting.most}."
        ) from error


def _pair(text: str, separator: str, flag: str) -> tuple[str, str]:
    key, found, value = text.partition(separator)
    example = "'KEY: VALUE'" if separator == ":" else "KEY=VALUE"
    if not found or not key.strip():
        # The text may be a secret, so it is not quoted.
        raise Sentence(f"{flag}: write it as {example}.")
    return key.strip(), value.strip()


def _speech_settings(answers: Path | None) -> dict[str, str]:
    """Returns the speech settings for an agent that transcribes all speech or has rules. Raises `Sentence`."""
    from tui.agent.rules import read_rules
    from tui.agent.settings import AgentError

    speech = effective_settings().settings.speech
    try:
        if answers is not None:
            read_rules(answers)  # so that errors in the file are reported before anything starts
    except AgentError as error:
        raise Sentence(str(error)) from error
    return {
        "answers": str(answers.resolve()) if answers else "",
        "synthesizer": speech.synthesizer or "",
        "speech_model": speech.model or "",
    }


def make_agent_settings(
    *,
    pace: str = "1",
    reply: str = "prompts",
    reply_delay: float = 0.0,
    interrupt: float = 0.0,
    yield_after: float = 0.0,
    backchannel: float = 0.0,
    talk_over: float = 0.0,
    fault: str | None = None,
    hear: bool = False,
    answers: Path | None = None,
    **settings: Any,
) -> AgentSettings:
    """Builds the settings of the local agent from options. Raises `Sentence`."""
    from tui.agent.settings import AgentError, AgentSettings, Fault, ReplyMode, parse_pace

    if hear or answers:
        settings |= _speech_settings(answers)
    try:
        return AgentSettings(
            hear=hear,
            pace=parse_pace(pace),
            reply=ReplyMode(reply),
            reply_delay_ms=reply_delay * 1000,
            interrupt_ms=round(interrupt * 1000),
            yield_ms=round(yield_after * 1000),
            backchannel_ms=round(backchannel * 1000),
            talk_over_ms=round(talk_over * 1000),
            fault=Fault(fault) if fault else None,
            **settings,
        )
    except (AgentError, ValueError) as error:
        raise Sentence(str(error)) from error


def check_terminal(instead: str = "opusagent-tui call URL --say FILE.wav") -> None:
    """Raises `Sentence` unless there is a UTF-8 terminal that can show the screen.

    The message suggests ``instead``, a command that works without a terminal.
    """
    streams = {"input": sys.__stdin__, "output": sys.__stdout__, "error output": sys.__stderr__}
    elsewhere = [name for name, stream in streams.items() if stream is None or not stream.isatty()]
    term = os.environ.get("TERM", "")
    if elsewhere:
        problem = f"This command needs an interactive terminal, but its {elsewhere[0]} is redirected"
    elif term in ("", "dumb", "unknown"):
        problem = (
            f"This command needs a terminal that can position the cursor, but TERM is {term or 'not set'}"
        )
    elif not _drawn_in_utf8():
        problem = "This terminal's locale is not UTF-8. Set it with, for example, LC_ALL=C.UTF-8"
    else:
        return
    raise Sentence(f"{problem}. Without such a terminal, use `{instead}`.")


def _drawn_in_utf8() -> bool:
    """Returns whether the terminal uses UTF-8. If so, also sets stderr, where the screen is drawn, to UTF-8."""
    import locale

    stream = sys.__stderr__
    assert stream is not None
    if stream.encoding.lower().startswith("utf"):
        return True
    # PYTHONIOENCODING changes what Python writes, not what the terminal expects.
    in_utf8 = bool(sys.flags.utf8_mode) or locale.getencoding().lower().startswith("utf")
    if in_utf8 and isinstance(stream, TextIOWrapper):
        stream.reconfigure(encoding="utf-8")
    return in_utf8


def token_of(variable: str | None) -> str:
    """Returns the token in an environment variable; "" if ``variable`` is None. Raises `Sentence`."""
    if variable is None:
        return ""
    from tui.text.redaction import token_in_environment

    try:
        token = token_in_environment(variable)
    except ValueError as error:
        raise Sentence(f"--token-env {variable}: the value of that variable {error}.") from None
    if not token:
        raise Sentence(
            f"--token-env {variable}: that variable is not set. It must contain the agent's token."
        )
    return token
