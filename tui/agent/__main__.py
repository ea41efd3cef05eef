"""``python -m tui.agent`` runs the local agent as a process.

The first line on stdout is ``listening on ws://HOST:PORT`` or ``failed: SENTENCE``; nothing follows it.
"""

from __future__ import annotations

import argparse
import asyncio
import sys

from tui.agent.settings import AgentError, AgentSettings, Fault, ReplyMode, parse_pace
from tui.crash import crash_report
from tui.exit_code import ExitCode
from tui.text.redaction import log_without_secrets, token_in_environment


def main(arguments: list[str] | None = None) -> int:
    """Runs the agent until it is asked to stop; returns the exit code."""
    options = _parser().parse_args(arguments)
    log_without_secrets(options.log.upper(), "%(asctime)s %(name)s %(levelname)s %(message)s")
    try:
        settings = AgentSettings(
            host=options.host,
            port=options.port,
            token=_token(options.token_env),
            reply=ReplyMode(options.reply),
            reply_delay_ms=options.reply_delay * 1000,
            pace=options.pace,
            chunk_ms=options.chunk,
            silence_ms=options.silence,
            interrupt_ms=options.interrupt,
            yield_ms=options.yield_ms,
            backchannel_ms=options.backchannel,
            talk_over_ms=options.talk_over,
            overlap_chance=options.overlap_chance,
            seed=options.seed,
            fault=Fault(options.fault) if options.fault else None,
            hear=options.hear,
            answers=options.answers,
            synthesizer=options.synthesizer,
            speech_model=options.speech_model,
            cert=options.cert,
            key=options.key,
        )
        asyncio.run(_serve(settings, sys.stdin.fileno() if options.lifeline else None))
    except AgentError as error:
        _report(f"failed: {error}")
        return ExitCode.UNREACHABLE
    except Exception as error:  # noqa: BLE001 - its parent shows the sentence
        _report(f"failed: {crash_report(error)}")
        return ExitCode.CRASHED
    return ExitCode.FINE


async def _serve(settings: AgentSettings, lifeline: int | None) -> None:
    from tui.agent.server import serve

    await serve(settings, lambda url: _report(f"listening on {url}"), lifeline=lifeline)


def _report(line: str) -> None:
    # UTF-8 in every locale, because that is what the parent reads.
    sys.stdout.buffer.write(f"{line}\n".encode(errors="backslashreplace"))
    sys.stdout.flush()


def _token(variable: str) -> str:
    try:
        token = token_in_environment(variable) if variable else ""
    except ValueError as error:
        raise AgentError(f"The value of the environment variable {variable} {error}.") from None
    if variable and not token:
        raise AgentError(f"The environment variable {variable}, which should hold the token, is not set.")
    return token


def _pace(text: str) -> float:
    try:
        return parse_pace(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _parser() -> argparse.ArgumentParser:
    default = AgentSettings()
    parser = argparse.ArgumentParser(prog="python -m tui.agent", description="The local voice agent.")
    add = parser.add_argument
    add("--host", default=default.host, help="address to listen on (default: %(default)s)")
    add("--port", type=int, default=default.port, help="port to listen on (default: any free one)")
    add("--token-env", metavar="NAME", default="", help="environment variable with the token of callers")
    add("--reply", choices=[*ReplyMode], default=default.reply, help="what to answer (default: %(default)s)")
    add("--reply-delay", metavar="SECONDS", type=float, default=0.0, help="wait before each answer")
    add("--pace", metavar="N|all", type=_pace, default=default.pace, help="N times faster than real time")
    add("--chunk", metavar="MS", type=float, default=default.chunk_ms, help="audio in each message")
    add(
        "--silence",
        metavar="MS",
        type=int,
        default=default.silence_ms,
        help="silence that ends the user's turn",
    )
    add("--interrupt", metavar="MS", type=int, default=0, help="shortest speech that interrupts the agent")
    add(
        "--yield",
        dest="yield_ms",
        metavar="MS",
        type=int,
        default=0,
        help="how long it keeps speaking when the user begins",
    )
    add(
        "--backchannel", metavar="MS", type=int, default=0, help="delay before one word while the user speaks"
    )
    add(
        "--talk-over", metavar="MS", type=int, default=0, help="delay before a sentence while the user speaks"
    )
    add("--overlap-chance", metavar="P", type=float, default=1.0, help="share of turns to talk over")
    add("--seed", type=int, default=0, help="random seed for choosing these turns")
    add("--fault", choices=["", *Fault], default="", help="bug to plant in the agent")
    add("--hear", action="store_true", help="transcribe any speech")
    add("--answers", metavar="FILE", default="", help="TOML file with rules for answers")
    add("--synthesizer", metavar="NAME", default="", help="synthesizer for the texts in the rules")
    add("--speech-model", metavar="MODEL", default="", help="model that recognizes speech")
    add("--cert", metavar="FILE", default=default.cert, help="PEM file with the certificate chain")
    add("--key", metavar="FILE", default=default.key, help="PEM file with the private key")
    add("--lifeline", action="store_true", help="exit when stdin is closed")
    add(
        "--log",
        choices=["debug", "info", "warning", "error"],
        default="warning",
        help="what to log on stderr",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
