"""The main commands. Heavy modules are imported late, so that every command starts fast."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from tui import __version__, collector
from tui.cli import completion
from tui.cli import options as opts
from tui.cli.option import NearChoice, option
from tui.cli.program import Program, Sentence, error_object, prepare_streams
from tui.exit_code import ExitCode

if TYPE_CHECKING:
    from tui.agent.settings import AgentSettings
    from tui.config.model import TargetSettings
    from tui.models.target import Target

EXIT_CODES = "Exit codes: " + "; ".join(f"{code:d} {code.meaning}" for code in ExitCode) + "."

LATER = {
    "calibrate": "tui.cli.calibrate:calibrate",
    "compare": "tui.cli.sessions:compare",
    "config": "tui.cli.config:config",
    "export": "tui.cli.sessions:export",
    "load": "tui.cli.load:load",
    "metrics": "tui.cli.sessions:metrics",
    "open": "tui.cli.sessions:open_session",
    "report": "tui.cli.sessions:report",
    "scenario": "tui.cli.scenario:scenario",
    "sessions": "tui.cli.sessions:sessions",
    "test": "tui.cli.scenario:test",
}
"""Commands in separate modules, each of which is imported when one of its commands is first used."""


@click.group(
    cls=Program,
    later=LATER,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EXIT_CODES,
)
@click.version_option(__version__, prog_name="opusagent-tui")
@opts.config_option
@click.pass_context
def cli(context: click.Context) -> None:
    """Talk to a voice agent from the terminal, and see every message and each turn's response time.

    Without a command, a screen opens to choose an agent to call. `opusagent-tui demo` needs no account, no network
    and no sound card.
    """
    if context.invoked_subcommand is None:
        _show_screen(None)


@cli.command(
    epilog=EXIT_CODES,
    example="opusagent-tui connect wss://agent.example.com/voice --token-env MY_AGENT_TOKEN",
)
@click.argument("url", metavar="[URL|PROFILE]", required=False, shell_complete=completion.profiles)
@opts.target_options
@opts.block_option
@opts.tools_option
@opts.scenario_option
@opts.audio_options
@opts.save_options
@opts.trace_option
@opts.config_option
def connect(url: str | None, trace_callbacks: bool, scenario: Path | None, **options: Any) -> None:
    """Call a voice agent.

    URL is the agent's websocket (ws:// or wss://) or TwiML webhook. PROFILE is a name in the settings file;
    the options here override the profile's settings. Without a URL or PROFILE, a screen opens to choose an
    agent to call.

    The exit code is 0, unless the last call could not be made or was cut off.
    """
    flags = opts.typed_settings(options)
    opts.check_devices(flags)
    if url is None:
        opts.refuse_settings_of_one_target(flags)
    target = opts.target_of(url, flags) if url is not None else None
    _show_screen(target, flags=flags, trace_callbacks=trace_callbacks, scenario=scenario)


@cli.command(
    epilog=EXIT_CODES,
    example="opusagent-tui demo --protocol openai",
)
@option(
    "--protocol",
    type=NearChoice(opts.LOCAL_PROTOCOLS),
    group="Local agent",
    default="audiocodes",
    help="Protocol of the local agent.",
)
@opts.behaviour_options
@opts.tools_option
@opts.scenario_option
@opts.audio_options
@opts.block_option
@opts.save_options
@opts.trace_option
@opts.config_option
def demo(trace_callbacks: bool, scenario: Path | None, **options: Any) -> None:
    """Start the local agent and call it."""
    agent = opts.make_agent_settings(**{name: options.pop(name) for name in opts.BEHAVIOUR})
    flags = opts.typed_settings(options)
    opts.check_devices(flags)
    _show_screen(
        None,
        flags=flags,
        agent=agent,
        start_demo=True,
        trace_callbacks=trace_callbacks,
        scenario=scenario,
    )


@cli.command(
    epilog=EXIT_CODES,
    example="opusagent-tui call ws://127.0.0.1:9000/audiocodes --say 1 --max-response-ms 3000",
)
@click.argument("url", metavar="URL|PROFILE", shell_complete=completion.profiles)
@opts.script_options
@opts.headless_options
@opts.tools_option
@opts.target_options
@opts.block_option
@opts.save_options
@opts.config_option
def call(
    url: str,
    say: Sequence[Path],
    as_json: bool,
    max_response_ms: float | None,
    timeout: float,
    strict: bool,
    **options: Any,
) -> None:
    """Run a headless call: play WAV files, print events, check response times."""
    import asyncio

    from tui import call as headless
    from tui.cli.say import spoken_files
    from tui.config.targets import SOUND
    from tui.handlers.tools.file import load_tools

    logging.getLogger().addHandler(logging.NullHandler())  # the printed events show the same
    printer = headless.Printer(click.echo, opts.effective_settings().thresholds, as_json=as_json)

    def failed(code: ExitCode, reason: str, message: str) -> None:
        if as_json:
            click.echo(error_object("call", message, code, reason))

    synthesizer = opts.effective_settings().settings.speech.synthesizer or ""
    with _refusals(), spoken_files(say, timeout, synthesizer) as files:
        flags = {**opts.typed_settings(options), "input": "lines", "output": options["output"]}
        target = opts.target_of(url, flags, ignoring=SOUND)
        _check_output(target.output)
        script = headless.Script(files, timeout, max_response_ms, strict)
        held = headless.call(
            target,
            script,
            tools=load_tools(target.tools) if target.tools else [],
            show=printer.show,
            explain=lambda text: click.echo(text, err=True),
            failed=failed,
            summary=printer.summary,
            shows_audio=as_json,  # lines for people never show audio messages
        )
        code = asyncio.run(held)
    opts.delete_old_sessions()
    sys.exit(code)


@cli.command(
    epilog=EXIT_CODES,
    example="opusagent-tui check ws://127.0.0.1:9000/audiocodes",
)
@click.argument("url", metavar="URL|PROFILE", shell_complete=completion.profiles)
@opts.target_options
@opts.config_option
def check(url: str, **options: Any) -> None:
    """Check that a voice agent can be reached, without a call."""
    import asyncio

    from tui.cli import check as probe
    from tui.config.targets import FOR_EVERYBODY
    from tui.session.dialling import DiallingError

    logging.getLogger().addHandler(logging.NullHandler())  # the sentences report the same, without secrets
    target = opts.target_of(url, opts.typed_settings(options), ignoring=FOR_EVERYBODY)
    try:
        sys.exit(asyncio.run(probe.check(target, click.echo)))
    except DiallingError as error:
        raise Sentence(str(error), ExitCode.UNREACHABLE) from error
    except ValueError as error:
        raise Sentence(str(error)) from error


@cli.command(example="opusagent-tui agent --port 9000")
@opts.agent_options
@opts.behaviour_options
def agent(host: str, token_env: str | None, quiet: bool, **settings: Any) -> None:
    """Run only the local agent; stop it with Ctrl+C.

    Its URLs are printed on stdout; calls, refused requests and findings about its clients on stderr.
    """
    import asyncio

    from tui.agent.server import serve
    from tui.agent.settings import AgentError
    from tui.protocols.registry import by_path

    if host not in ("127.0.0.1", "localhost", "::1"):
        click.echo(f"Warning: anyone who can reach {host} can call this agent.", err=True)
    chosen = opts.make_agent_settings(host=host, token=opts.token_of(token_env), **settings)

    def print_urls(url: str) -> None:
        for path, protocol in by_path().items():
            click.echo(f"{protocol.title:24} {url}{path}")

    def print_note(line: str) -> None:
        with suppress(OSError):  # calls must continue if the terminal is closed
            click.echo(line, err=True)

    try:
        asyncio.run(serve(chosen, print_urls, report=None if quiet else print_note))
    except AgentError as error:
        raise Sentence(str(error), ExitCode.UNREACHABLE) from error
    except KeyboardInterrupt:
        sys.exit(ExitCode.FINE)


@cli.command(example="opusagent-tui devices")
def devices() -> None:
    """List the sound devices, or explain why there are none."""
    from tui.audio.devices import AudioDeviceError, list_by_trial, no_device_sentence
    from tui.text.visible import one_line

    opts.pass_time_limit(opts.effective_settings())
    try:
        listed = list_by_trial()
    except AudioDeviceError as error:
        raise Sentence(one_line(str(error)), ExitCode.UNREACHABLE) from error
    for device in listed:
        marks = [
            "default microphone" if device.is_default("input") else "",
            "default speaker" if device.is_default("output") else "",
        ]
        ways = f"{device.channels('input')} in, {device.channels('output')} out"
        note = ", ".join(mark for mark in marks if mark)
        click.echo(f"{device.index:3}  {one_line(device.name)}  ({ways})" + (f"  {note}" if note else ""))
    if not listed:
        raise Sentence(no_device_sentence(), ExitCode.UNREACHABLE)
    _show_calibrations()


def _show_calibrations() -> None:
    from tui.audio.calibration import calibrations
    from tui.text.visible import one_line

    known = calibrations()
    for each in known:
        of, bound_ms = each.devices, each.bound_ms
        exact = "without a loopback" if bound_ms is None else f"± {bound_ms:.1f} ms"
        settings = f"latency {of.latency_ms:.0f} ms, block {of.block_ms} ms"
        age = f"{each.measured:%Y-%m-%d}{', out of date' if each.is_old() else ''}"
        click.echo(one_line(f"calibrated: {of.capture} → {of.playback}  ({settings})  {exact}  {age}"))
    if not known:
        click.echo("not calibrated; `opusagent-tui calibrate` measures how accurate response times are")


def main() -> None:
    """Runs a command and exits with the command's exit code."""
    collector.resume()
    prepare_streams()
    cli.main(prog_name="opusagent-tui")


def _show_screen(
    target: Target | None,
    *,
    flags: TargetSettings | None = None,
    agent: AgentSettings | None = None,
    start_demo: bool = False,
    trace_callbacks: bool = False,
    scenario: Path | None = None,
) -> NoReturn:
    """Shows the screen until the user quits, then exits with the screen's exit code. Raises `Sentence`."""
    collector.hold()
    in_force = opts.effective_settings()
    with opts.settings_errors():
        from tui.config.targets import address_book

        book = address_book(in_force, flags, for_demo=start_demo)
        opts.check_terminal()
        from tui.cli.screen import run_screen

        played = None
        if scenario is not None:
            from tui.cli.scenario import scenario_to_play

            played = scenario_to_play(scenario, in_force)
        code = run_screen(
            target,
            book,
            in_force,
            agent=agent,
            start_demo=start_demo,
            trace_callbacks=trace_callbacks,
            scenario=played,
        )
    opts.delete_old_sessions()
    sys.exit(code)


@contextmanager
def _refusals() -> Iterator[None]:
    """Converts errors that prevent a call into a `Sentence`."""
    from tui.audio.wav import AudioFileError
    from tui.handlers.tools.file import ToolsFileError
    from tui.session.dialling import DiallingError
    from tui.speech.errors import SpeechError

    try:
        yield
    except DiallingError as error:
        # The same sentence as in a call with a named protocol, where this error is an event.
        raise Sentence(str(error), ExitCode.UNREACHABLE, reason=error.code, source=error.source) from error
    except (AudioFileError, SpeechError, ToolsFileError, ValueError) as error:
        raise Sentence(str(error)) from error


def _check_output(output: str) -> None:
    if output == "none":
        return
    from tui.audio.endpoints import is_output_file

    if not is_output_file(output):
        raise Sentence(f"--output {output}: use a pipe, a device file, or a file name that ends in .wav.")
    if not os.access(output if os.path.exists(output) else Path(output).resolve().parent, os.W_OK):  # noqa: PTH110
        raise Sentence(f"--output {output} is not writable, or its folder does not exist.")
