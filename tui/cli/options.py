"""Options that several commands share; what they become for a target is told in `tui.cli.given`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from tui.protocols.registry import BUILT_IN

if TYPE_CHECKING:
    from tui.agent.settings import AgentSettings

AUTO = "auto"
LOCAL_PROTOCOLS = tuple(BUILT_IN)
"""What the local agent answers."""

Command = Callable[..., Any]


class Sentence(click.ClickException):
    """What went wrong, as one sentence, with its exit code."""

    exit_code = 2

    def __init__(self, message: str, exit_code: int = 2) -> None:
        super().__init__(message)
        self.code = exit_code

    def show(self, file: IO[Any] | None = None) -> None:
        """On stderr, as it is."""
        click.echo(self.message, err=True)
        sys.exit(self.code)


def option(*names: str, **settings: Any) -> Callable[[Command], Command]:
    """`click.option`, with its default shown where there is one."""
    settings.setdefault("show_default", settings.get("default") not in (None, "", 0.0))
    return click.option(*names, **settings)


def together(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Several options as one decorator, in the order of the help."""

    def decorate(command: Command) -> Command:
        for each in reversed(options):
            command = each(command)
        return command

    return decorate


# fmt: off
audio_options = together(
    option("--input", "input_", default="auto", metavar="DEVICE|WAV|lines",
           help="Microphone: auto, a device (index or part of its name), a WAV file, or the recorded lines."),
    option("--output", default="auto", metavar="DEVICE|WAV|none",
           help="Speaker: auto, a device, a WAV file to write, or none."),
    option("--latency", default="auto", metavar="auto|low|high|SECONDS",
           help="Of the speaker; 0.1 is safe on a busy machine."),
    option("--echo", type=click.Choice(["none", "gate", "cancel"]), default="none",
           help="Against the agent hearing itself: shut the microphone while it speaks, or cancel (an extra)."),
    option("--fade", "fade_ms", type=click.IntRange(0, 500), default=0, metavar="MS",
           help="Fade the agent out on a barge-in; what the speaker holds (--latency) is then heard as well."),
)
block_option = option("--block", "block_ms", type=click.IntRange(10, 250), default=20, metavar="MS",
                      help="Sound in one block of the devices, and in one message of ours: 20, or 10.")
trace_option = option("--trace-callbacks", is_flag=True,
                      help="Measure every registered callback; the key T shows them.")
tools_option = option("--tools", type=click.Path(exists=True, dir_okay=False), metavar="FILE.py",
                      help="Python file whose functions the agent may call (OpenAI Realtime).")
target_options = together(
    option("--protocol", default=AUTO, metavar="NAME|FILE.py",
           help=f"{', '.join(LOCAL_PROTOCOLS)}, one of an installed package, a file of your own,"
                " or auto (detected from the URL or the first message; the reason is shown)."),
    option("--token-env", metavar="NAME", help="Variable that holds the agent's token."),
    option("--header", "headers", multiple=True, metavar="'K: V'", help="Extra request header."),
    option("--insecure", is_flag=True, help="Accept any TLS certificate."),
    option("--cacert", type=click.Path(exists=True, dir_okay=False), metavar="FILE",
           help="PEM file with the certificate authority to trust."),
    option("--format", "formats", multiple=True, metavar="NAME",
           help="Audio format to offer, by the protocol's name; repeat in order of preference."),
    option("--barge-in/--no-barge-in", default=True, help="May the user interrupt the agent?"),
    option("--on-stop", type=click.Choice(["silence", "close"]), default="silence",
           help="After stop: let silence flow, or close the user stream."),
    option("--option", "options", multiple=True, metavar="KEY=VALUE", help="Setting of the protocol."),
    option("--param", "params", multiple=True, metavar="KEY=VALUE",
           help="Custom parameter of the call (Twilio, ElevenLabs)."),
    option("--accept-timeout", type=click.FloatRange(min=0.1), default=5.0, metavar="S",
           help="How long the agent may take to accept the session."),
)
save_options = together(
    option("--save", metavar="DIR", help="Where sessions are kept; default: the user's data directory."),
    option("--no-save", is_flag=True, help="Keep nothing of the session."),
    option("--no-audio", is_flag=True, help="Keep neither audio tracks nor audio in messages."),
    option("--redact", multiple=True, metavar="FIELD", help="JSON field whose value is not to be kept; repeat."),
)
behaviour_options = together(
    option("--reply", type=click.Choice(["prompts", "echo"]), default="prompts",
           help="Answer with recorded prompts, or with the user's own words."),
    option("--reply-delay", type=click.FloatRange(min=0), default=0.0, metavar="S",
           help="The agent waits before each answer."),
    option("--pace", default="1", metavar="N|all",
           help="How fast the agent sends: real time, N times faster, all in one message."),
)
script_options = together(
    option("--say", multiple=True, type=click.Path(path_type=Path), metavar="WAV",
           help="What to say, turn by turn: a WAV file, or the number of a caller line (1 to 9)."),
    option("--output", default="none", metavar="WAV", help="Keep what the agent says, as it was heard."),
    option("--json", "as_json", is_flag=True, help="Print events as JSON, one a line."),
    option("--max-response-ms", type=click.FloatRange(min=0), metavar="MS",
           help="Exit with 1 when a response took longer."),
    option("--strict", is_flag=True, help="Exit with 5 when any error or finding was told."),
    option("--timeout", type=click.FloatRange(min=0.1), default=10.0, metavar="S",
           help="How long the agent may take to answer."),
)
agent_options = together(
    option("--host", default="127.0.0.1", help="Address to listen on."),
    option("--port", type=click.IntRange(0, 65535), default=0, metavar="PORT", help="0: any free one."),
    option("--token-env", metavar="NAME", help="Variable with a token that callers must send."),
    option("--chunk", "chunk_ms", type=click.FloatRange(1, 60_000), default=20.0, metavar="MS",
           help="Audio in one message."),
    option("--silence", "silence_ms", type=click.IntRange(100, 10_000), default=400, metavar="MS",
           help="Silence that ends the user's turn."),
)
# fmt: on


def make_agent_settings(
    *, pace: str = "1", reply: str = "prompts", reply_delay: float = 0.0, **settings: Any
) -> AgentSettings:
    """The settings of the local agent that options describe. Raises `Sentence`."""
    from tui.agent.settings import AgentError, AgentSettings, ReplyMode, parse_pace

    try:
        return AgentSettings(
            pace=parse_pace(pace), reply=ReplyMode(reply), reply_delay_ms=reply_delay * 1000, **settings
        )
    except (AgentError, ValueError) as error:
        raise Sentence(str(error)) from error


def check_terminal(instead: str = "opusagent-tui call URL --say FILE.wav") -> None:
    """A screen needs one, for keys and pictures, in UTF-8. Raises `Sentence`; ``instead`` does without."""
    streams = {"its input": sys.__stdin__, "its output": sys.__stdout__, "its error output": sys.__stderr__}
    elsewhere = [name for name, stream in streams.items() if stream is None or not stream.isatty()]
    term = os.environ.get("TERM", "")
    if elsewhere:
        problem = f"This needs a terminal, and {elsewhere[0]} is none"
    elif term in ("", "dumb", "unknown"):
        problem = f"This needs a terminal that can place its text, and TERM is {term or 'not set'}"
    elif not (sys.__stderr__ and sys.__stderr__.encoding.lower().startswith("utf")):
        problem = "This terminal's locale is not UTF-8: set LC_ALL=C.UTF-8, say"
    else:
        return
    raise Sentence(f"{problem}; `{instead}` does without one.")


def token_of(variable: str | None) -> str:
    """The token that a variable holds; "" where none is named. Raises `Sentence`."""
    if variable is None:
        return ""
    token = os.environ.get(variable, "")
    if not token:
        raise Sentence(f"--token-env {variable}: that variable is not set; export it with the agent's token.")
    return token
