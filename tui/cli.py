"""Commands and options, nothing else; everything heavy is imported late."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NoReturn

import click

from tui import __version__

if TYPE_CHECKING:
    from tui.agent.process import AgentProcess
    from tui.models.target import Target

PROTOCOLS = ("audiocodes",)

EXIT_CODES = """\b
Exit codes: 0 fine; 1 a limit exceeded; 2 wrong usage; 3 the agent did not answer;
4 refused or unreachable; 5 protocol error; 70 an error of our own; 130 interrupted."""

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


@click.group(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EXIT_CODES,
)
@click.version_option(__version__, prog_name="opusagent-tui")
@click.pass_context
def cli(context: click.Context) -> None:
    """Talk to a voice agent from the terminal, see every message, know how long each turn took.

    Without a command: a screen to choose whom to call. `opusagent-tui demo` needs no account, no network and no
    sound card.
    """
    if context.invoked_subcommand is None:
        _run_screen(None)


def _audio_options(command: Command) -> Command:
    for option in (
        click.option("--input", "input_", default="auto", show_default=True, metavar="DEVICE|WAV|lines",
                     help="Microphone: auto, a device (index or part of its name), a WAV file, or lines."),
        click.option("--output", default="auto", show_default=True, metavar="DEVICE|WAV|none",
                     help="Speaker: auto, a device, a WAV file to write, or none."),
        click.option("--latency", default="auto", show_default=True, metavar="auto|low|SECONDS",
                     help="Of the speaker; 0.1 is safe on a busy machine."),
    ):  # fmt: skip
        command = option(command)
    return command


def _target_options(command: Command) -> Command:
    for option in (
        click.option("--protocol", type=click.Choice(PROTOCOLS), default="audiocodes", show_default=True),
        click.option("--token-env", metavar="NAME", help="Variable that holds the agent's token."),
        click.option("--header", "headers", multiple=True, metavar="'K: V'", help="Extra request header."),
        click.option("--insecure", is_flag=True, help="Accept any TLS certificate."),
        click.option("--cacert", type=click.Path(exists=True, dir_okay=False), metavar="FILE",
                     help="PEM file with the certificate authority to trust."),
        click.option("--format", "formats", multiple=True, metavar="NAME",
                     help="Audio format to offer, by the protocol's name; repeat in order of preference."),
        click.option("--barge-in/--no-barge-in", default=True, show_default=True,
                     help="May the user interrupt the agent?"),
        click.option("--block", "block_ms", type=click.IntRange(10, 250), default=20, show_default=True,
                     metavar="MS", help="Audio in one message of ours."),
        click.option("--on-stop", type=click.Choice(["silence", "close"]), default="silence",
                     show_default=True, help="After stop: let silence flow, or close the user stream."),
        click.option("--option", "options", multiple=True, metavar="KEY=VALUE",
                     help="Setting of the protocol."),
        click.option("--accept-timeout", type=click.FloatRange(min=0.1), default=5.0, show_default=True,
                     metavar="S", help="How long the agent may take to accept the session."),
    ):  # fmt: skip
        command = option(command)
    return command


@cli.command(epilog=EXIT_CODES)
@click.argument("url")
@_target_options
@_audio_options
def connect(url: str, **options: Any) -> None:
    """Call the voice agent at URL (ws:// or wss://)."""
    _run_screen(_target(url, **options))


@cli.command(epilog=EXIT_CODES)
@_audio_options
@click.option(
    "--reply",
    type=click.Choice(["prompts", "echo"]),
    default="prompts",
    show_default=True,
    help="Answer with recorded prompts, or with the user's own words.",
)
@click.option(
    "--pace",
    default="1",
    show_default=True,
    metavar="N|all",
    help="How fast the agent sends: real time, N times faster, all in one message.",
)
@click.option("--reply-delay", type=click.FloatRange(min=0), default=0.0, metavar="S",
              help="The agent waits before each answer.")  # fmt: skip
def demo(input_: str, output: str, latency: str, reply: str, pace: str, reply_delay: float) -> None:
    """Start the local agent and call it."""
    settings = _agent_settings(reply=reply, pace=pace, reply_delay=reply_delay)
    _run_screen(None, demo={"input": input_, "output": output, "latency": latency}, agent_settings=settings)


@cli.command(epilog=EXIT_CODES)
@click.argument("url")
@click.option(
    "--say",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="WAV",
    help="What to say, turn by turn: a WAV file, or the number of a caller line (1 to 9).",
)
@_target_options
@click.option("--output", default="none", metavar="WAV", help="Keep what the agent says, as it was heard.")
@click.option("--json", "as_json", is_flag=True, help="Print events as JSON, one a line.")
@click.option(
    "--max-response-ms",
    type=click.FloatRange(min=0),
    metavar="MS",
    help="Exit with 1 when a response took longer.",
)
@click.option("--timeout", type=click.FloatRange(min=0.1), default=10.0, show_default=True, metavar="S",
              help="How long the agent may take to answer.")  # fmt: skip
def call(
    url: str,
    say: Sequence[Path],
    as_json: bool,
    max_response_ms: float | None,
    timeout: float,
    **options: Any,
) -> None:
    """Hold a call without a screen: say files, print what happens, judge the answers."""
    import asyncio

    import msgspec

    from tui import call as headless
    from tui.audio.wav import AudioFileError, read_wav

    target = _target(url, input_="lines", latency="auto", **options)
    if target.output != "none" and not target.output.lower().endswith(".wav"):
        raise Sentence(f"--output {target.output} is not a WAV file: name one that ends in .wav.")
    script = headless.Script([_say(path) for path in say], timeout, max_response_ms)
    try:
        for path in script.say:
            read_wav(path, 16_000)
    except AudioFileError as error:
        raise Sentence(str(error)) from error
    began_ns: list[int] = []

    def show(event: Any) -> None:
        began_ns.append(event.at_ns) if not began_ns else None
        line = msgspec.json.encode(event).decode() if as_json else headless.event_line(event, began_ns[0])
        if line is not None:
            click.echo(line)

    def summary(metrics: Any) -> None:
        if as_json:
            click.echo(msgspec.json.encode({"event": "metrics", **msgspec.to_builtins(metrics)}).decode())
        else:
            click.echo(headless.metrics_line(metrics))

    try:
        outcome = asyncio.run(
            headless.call(
                target, script, show=show, tell=lambda text: click.echo(text, err=True), summary=summary
            )
        )
    except ValueError as error:
        raise Sentence(str(error)) from error
    sys.exit(outcome)


@cli.command(epilog=EXIT_CODES)
@click.argument("url")
@_target_options
def check(url: str, **options: Any) -> None:
    """Probe the voice agent at URL without a call."""
    import asyncio

    from tui.check import check as probe

    target = _target(url, input_="lines", output="none", latency="auto", **options)
    try:
        sys.exit(asyncio.run(probe(target, click.echo)))
    except ValueError as error:
        raise Sentence(str(error)) from error


@cli.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, metavar="PORT", help="0: any free one.")
@click.option("--token-env", metavar="NAME", help="Variable with a token that callers must send.")
@click.option(
    "--reply",
    type=click.Choice(["prompts", "echo"]),
    default="prompts",
    show_default=True,
    help="Answer with recorded prompts, or with the user's own words.",
)
@click.option(
    "--reply-delay", type=click.FloatRange(min=0), default=0.0, metavar="S", help="Wait before each answer."
)
@click.option(
    "--pace",
    default="1",
    show_default=True,
    metavar="N|all",
    help="Real time, N times faster, all in one message.",
)
@click.option(
    "--chunk",
    "chunk_ms",
    type=click.FloatRange(1, 60_000),
    default=20.0,
    show_default=True,
    metavar="MS",
    help="Audio in one message.",
)
@click.option("--silence", "silence_ms", type=click.IntRange(100, 10_000), default=400, show_default=True,
              metavar="MS", help="Silence that ends the user's turn.")  # fmt: skip
def agent(host: str, token_env: str | None, **settings: Any) -> None:
    """Run the local agent alone; Ctrl+C ends it."""
    import asyncio

    from tui.agent.server import serve
    from tui.agent.settings import AgentError

    if host not in ("127.0.0.1", "localhost", "::1"):
        click.echo(f"Warning: anyone who reaches {host} can call this agent.", err=True)
    chosen = _agent_settings(host=host, token=_token(token_env), **settings)
    try:
        asyncio.run(serve(chosen, lambda url: click.echo(f"listening on {url}/audiocodes")))
    except AgentError as error:
        raise Sentence(str(error), 4) from error
    except KeyboardInterrupt:
        pass


@cli.command()
def devices() -> None:
    """List the sound devices, and what is wrong when there are none."""
    from tui.audio.devices import audio_problem, list_devices

    problem = audio_problem()
    for device in [] if problem else list_devices():
        marks = [
            "default microphone" if device.is_default("input") else "",
            "default speaker" if device.is_default("output") else "",
        ]
        ways = f"{device.channels('input')} in, {device.channels('output')} out"
        note = ", ".join(mark for mark in marks if mark)
        click.echo(f"{device.index:3}  {device.name}  ({ways})" + (f"  {note}" if note else ""))
    if problem:
        raise Sentence(problem, 4)


def main() -> NoReturn:
    """Run a command and exit with its code."""
    cli(prog_name="opusagent-tui")
    sys.exit(0)


def _run_screen(
    target: Target | None, *, demo: dict[str, str] | None = None, agent_settings: Any = None
) -> NoReturn:
    """The screen over an engine process, and the local agent when it is wanted; all end together."""
    if not sys.stdout.isatty() or os.environ.get("TERM", "") in ("", "dumb"):
        raise Sentence("This needs a terminal; `opusagent-tui call URL --say FILE.wav` does without one.")
    from tui.engine.handle import EngineHandle

    engines = [EngineHandle()]
    agents = _Agents(agent_settings or _agent_settings())
    if demo is not None:
        agents.start()
    try:
        # Textual takes longest to load: engine and agent come up meanwhile.
        from tui.app import run_app
        from tui.bridge import Bridge
        from tui.config import recent_targets, remember_target

        def new_engine() -> EngineHandle:
            engines.append(EngineHandle())
            return engines[-1]

        import time

        bridge = Bridge(engines[0], time.monotonic_ns)
        code = run_app(
            bridge,
            target=agents.target(**demo) if demo is not None else target,
            recent=recent_targets(),
            protocols=PROTOCOLS,
            start_engine=new_engine,
            demo=agents.target,
            on_call=lambda called: None if called.title == DEMO else remember_target(called),
            crash_log=Path(engines[0].log_path),
        )
        bridge.close()
    finally:
        for engine in engines:
            engine.stop()
        agents.stop()
    sys.exit(code)


DEMO = "demo"


class _Agents:
    """The local agent of this run: started once, when first wanted."""

    def __init__(self, settings: Any) -> None:
        self._settings = settings
        self._process: AgentProcess | None = None

    def start(self) -> AgentProcess:
        from tui.agent.process import start_agent

        if self._process is None or not self._process.is_running:
            self._process = start_agent(self._settings)
        return self._process

    def target(self, **options: str) -> Target:
        from tui.models.target import Target

        return Target(url=self.start().url("/audiocodes"), title=DEMO, **options)  # type: ignore[arg-type]

    def stop(self) -> None:
        if self._process is not None:
            self._process.stop()


def _agent_settings(
    *, pace: str = "1", reply: str = "prompts", reply_delay: float = 0.0, **settings: Any
) -> Any:
    from tui.agent.settings import AgentError, AgentSettings, ReplyMode, parse_pace

    try:
        return AgentSettings(
            pace=parse_pace(pace), reply=ReplyMode(reply), reply_delay_ms=reply_delay * 1000, **settings
        )
    except (AgentError, ValueError) as error:
        raise Sentence(str(error)) from error


def _target(
    url: str,
    *,
    input_: str,
    token_env: str | None,
    headers: Sequence[str],
    options: Sequence[str],
    formats: Sequence[str],
    cacert: str | None,
    on_stop: str,
    accept_timeout: float,
    **rest: Any,
) -> Target:
    from tui.models.target import Target, TargetError, check_url

    try:
        check_url(url)
    except TargetError as error:
        raise Sentence(str(error)) from error
    if rest["latency"] not in ("auto", "low", "high"):
        _number(rest["latency"], "--latency")
    return Target(
        url=url,
        token=_token(token_env),
        token_env=token_env or "",
        headers=dict(_pair(header, ":", "--header") for header in headers),
        options=dict(_pair(option, "=", "--option") for option in options),
        formats=tuple(formats),
        cacert=cacert or "",
        stop=on_stop,
        accept_timeout_s=accept_timeout,
        input=input_,
        **rest,
    )


def _token(variable: str | None) -> str:
    if variable is None:
        return ""
    token = os.environ.get(variable, "")
    if not token:
        raise Sentence(f"--token-env {variable}: that variable is not set; export it with the agent's token.")
    return token


def _pair(text: str, separator: str, option: str) -> tuple[str, str]:
    key, found, value = text.partition(separator)
    if not found or not key.strip():
        raise Sentence(f"{option} {key!r}: write it as KEY{separator} VALUE.")
    return key.strip(), value.strip()


def _number(text: str, option: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise Sentence(f"{option} {text}: give auto, low, high or seconds.") from None


def _say(path: Path) -> Path:
    if path.exists() or len(path.name) > 1:
        return path
    from tui.assets import caller_lines

    return next((line.path for line in caller_lines() if line.key == path.name), path)
