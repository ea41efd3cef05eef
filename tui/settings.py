"""Defines the settings of a call.

Each setting has one entry with name, default, range, option and description. These entries determine the
options of the commands (`tui.cli.options`), the types of values in the settings file and the environment
(`tui.config.model`), and the file that ``config --init`` writes (`tui.config.starter`). They also determine
the defaults of `tui.models.target.Target`, whose fields have the same names. Uses only the standard library,
because ``--help`` loads this module.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, NamedTuple

AUTO = "auto"
"""The value with which the user lets the program choose the protocol, a device or the latency."""
MAX_LATENCY_S = 2
"""Maximum latency in seconds: a speaker that buffers more is useless in a call."""
Scalar = str | int | float | bool
"""Types that TOML may use for an option that is sent as text."""


class Scope(Enum):
    """Which calls a command-line option affects."""

    TARGET = "target"
    """Only the call for which the option was typed, so that no token, header or protocol goes to another agent."""
    EVERY_CALL = "every call"
    """This call, later calls, and calls to the local agent."""
    HEADLESS = "headless"
    """Like `TARGET`, but only for the command `call`, because on a screen the user decides when to speak."""
    SOUND = "sound"
    """Like `EVERY_CALL`, but only for sound devices, which a headless call does not use."""


class Setting(NamedTuple):
    """The definition of a setting.

    The environment variable of a setting is ``OPUSAGENT_TUI_TARGET_`` followed by its name in capitals.
    """

    name: str
    """Name of the setting in the settings file, and of the field of `Target`."""
    kind: Any
    """Type of the value in the settings file. A string must not be empty."""
    default: Any
    help: str
    """One sentence, for ``--help`` and for the settings file; ``{protocols}`` stands for the built-in protocols."""
    flag: str = ""
    """The command-line option; empty if there is none."""
    metavar: str = ""
    off_help: str = ""
    """Description of `off_flag`, if that is a separate option."""
    choices: tuple[str, ...] = ()
    above: int | None = None
    """Exclusive lower limit for a number."""
    least: int | None = None
    most: int | None = None
    scope: Scope = Scope.TARGET
    is_path: bool = False
    """Whether the value is a path. A relative path in the settings file is relative to that file's folder."""
    must_exist: bool = False
    """Whether the path must name an existing file."""
    example: str = ""
    """An example in TOML for the settings file, if the default is not instructive."""
    file_help: str = ""
    """The description in the settings file, if it differs from `help`."""

    @property
    def off_flag(self) -> str:
        """The option that turns off a setting that is on by default."""
        return f"--no-{self.name.replace('_', '-')}" if self.default is True else ""


_SETTINGS = (
    Setting("protocol", str, AUTO,
            "{protocols}, a protocol from an installed package, your own FILE.py, or auto (detected from the URL or"
            " the first message; the reason is shown).",
            flag="--protocol", metavar="NAME|FILE.py"),
    Setting("token_env", str, "", "Environment variable that holds the agent's token.",
            flag="--token-env", metavar="NAME", example='"STAGING_TOKEN"'),
    Setting("headers", dict[str, str], {}, "Extra request header.",
            flag="--header", metavar="'K: V'", example='{"X-Tenant" = "${STAGING_TENANT}"}'),
    Setting("subprotocols", tuple[str, ...], (), "Websocket subprotocol to offer; the first one is preferred.",
            flag="--subprotocol", metavar="NAME", example='["realtime"]'),
    Setting("insecure", bool, False, "Accept any TLS certificate.", flag="--insecure"),
    Setting("cacert", str, "", "PEM file with the certificate authority to trust.",
            flag="--cacert", metavar="FILE", is_path=True, must_exist=True, example='"authority.pem"'),
    Setting("formats", tuple[str, ...], (),
            "Audio format to offer, as the protocol names it; the first one is preferred.",
            flag="--format", metavar="NAME", example='["wav/lpcm16"]'),
    Setting("barge_in", bool, True, "Allow the user to interrupt the agent.", flag="--barge-in"),
    Setting("on_stop", str, "silence", "After Stop: keep sending silence, or close the user stream.",
            flag="--on-stop", choices=("silence", "close")),
    Setting("options", dict[str, Scalar], {}, "Protocol option.",
            flag="--option", metavar="KEY=VALUE", example='{instructions = "Be brief."}'),
    Setting("params", dict[str, Scalar], {},
            "Custom parameter of the call (AudioCodes, telephony), or dynamic variable (ElevenLabs).",
            flag="--param", metavar="KEY=VALUE", example='{scenario = "smoke"}'),
    Setting("accept_timeout_s", float, 5.0, "Time limit for the agent to accept the session.",
            flag="--accept-timeout", metavar="S", above=0, most=600),
    Setting("resume_timeout_s", float, 5.0,
            "Time limit for resuming the session after the connection is lost (AudioCodes).",
            flag="--resume-timeout", metavar="S", above=0, most=600),
    Setting("tool_timeout_s", float, 30.0,
            "Time limit for each tool call; after that, the agent receives an error.",
            flag="--tool-timeout", metavar="S", above=0, most=3600),
    Setting("ping_s", float, 5.0, "Interval between the pings that measure the round-trip time.",
            flag="--ping", metavar="S", above=0, most=600),
    Setting("silence_timeout_s", float, 60.0,
            "Time without any message or pong after which the connection is considered lost.",
            flag="--silence-timeout", metavar="S", above=0, most=3600),
    Setting("greeting_timeout_s", float, 3.0, "Longest wait for a greeting before the first line is spoken.",
            flag="--greeting-timeout", metavar="S", above=0, most=600, scope=Scope.HEADLESS),
    Setting("quiet_s", float, 0.4,
            "Length of silence after which the agent is considered to have finished speaking.",
            flag="--quiet-time", metavar="S", above=0, most=60, scope=Scope.HEADLESS),
    Setting("max_turn_s", float, 60.0,
            "Maximum length of an agent turn; a turn that lasts longer is considered finished.",
            flag="--max-turn", metavar="S", above=0, most=3600, scope=Scope.HEADLESS),
    Setting("connect_timeout_s", float, 10.0, "Time limit for opening the websocket, in seconds.",
            above=0, most=600),
    Setting("agent_name", str, "opusagent-tui", "Name or number to call (AudioCodes, telephony).",
            flag="--called", metavar="NAME"),
    Setting("caller", str, "+15550100", "The caller's number (AudioCodes, telephony).",
            flag="--caller", metavar="NUMBER"),
    Setting("tools", str, "",
            "Python file with functions that the agent may call (OpenAI Realtime, ElevenLabs, Gemini Live, "
            "Deepgram).",
            flag="--tools", metavar="FILE.py", is_path=True, must_exist=True, example='"tools.py"'),
    Setting("block_ms", int, 20, "Audio block size, which is also the size of each message sent: 20 or 10 ms.",
            flag="--block", metavar="MS", least=10, most=250, scope=Scope.EVERY_CALL),
    Setting("input", str | int, AUTO,
            "Microphone: auto, a device (index or part of its name), a WAV file, or lines (the recorded lines).",
            flag="--input", metavar="DEVICE|WAV|lines", scope=Scope.SOUND),
    Setting("output", str | int, AUTO, "Speaker: auto, a device, a WAV file to write, or none.",
            flag="--output", metavar="DEVICE|WAV|none", scope=Scope.SOUND),
    Setting("latency", float, AUTO, "Speaker latency. Use 0.1 on a busy machine.",
            flag="--latency", metavar="auto|low|high|SECONDS", choices=(AUTO, "low", "high"), above=0,
            most=MAX_LATENCY_S, scope=Scope.SOUND),
    Setting("echo", str, "none",
            "Echo handling: mute the microphone while the agent speaks (gate) or cancel the echo (cancel; needs the"
            " echo extra).",
            flag="--echo", choices=("none", "gate", "cancel"), scope=Scope.SOUND),
    Setting("fade_ms", int, 0,
            "Fade the agent out on a barge-in; audio already buffered by the speaker (--latency) is still heard.",
            flag="--fade", metavar="MS", least=0, most=500, scope=Scope.SOUND),
    Setting("save", bool | str, True, "Folder to save sessions in; default: the user's data directory.",
            file_help="true, false, or the folder to save sessions in", flag="--save", metavar="DIR",
            off_help="Don't save the session.", scope=Scope.EVERY_CALL, is_path=True),
    Setting("audio", bool, True, "Save both audio tracks and the audio in messages.",
            off_help="Save neither audio tracks nor the audio in messages.", scope=Scope.EVERY_CALL),
    Setting("redact", tuple[str, ...], (), "JSON field whose value is not saved.",
            file_help="JSON fields whose values are not saved, in addition to those under [sessions]",
            flag="--redact", metavar="FIELD", scope=Scope.EVERY_CALL, example='["card"]'),
)  # fmt: skip
SETTINGS = {setting.name: setting for setting in _SETTINGS}


def default_of(name: str) -> Any:
    """Returns the default of the named setting."""
    return SETTINGS[name].default


def names_with(*scopes: Scope) -> tuple[str, ...]:
    """Returns the names of the settings that have one of these scopes."""
    return tuple(setting.name for setting in _SETTINGS if setting.scope in scopes)
