"""Program: the group of all commands.

If a command fails, the user gets a sentence, an exit code and, with ``--json``, a JSON object.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from io import BufferedWriter, FileIO, TextIOWrapper
from typing import IO, Any, NoReturn

import click

from tui.cli.help import GroupedCommand, write_commands, write_options
from tui.exit_code import ExitCode

_AS_JSON = "tui.cli.program.as_json"
_JSON_IN_FILE = ("test",)
"""Commands whose ``--json`` option names a file, so that their standard output is meant for people."""


class Sentence(click.ClickException):
    """An error message for the user, one sentence long, with an exit code.

    ``reason`` is a code for ``--json`` that is more specific than the exit code. ``source`` names the
    component that failed, if it is not the command itself.
    """

    def __init__(
        self, message: str, code: ExitCode = ExitCode.USAGE, *, reason: str = "", source: str = ""
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason or code.reason
        self.source = source

    def show(self, file: IO[Any] | None = None) -> None:
        """Prints the sentence to stderr."""
        click.echo(_harmless(self.message), err=True)


class Program(click.Group):
    """The group of all commands. Reports every error with an exit code and, with ``--json``, as JSON.

    ``later`` maps names of commands to ``module:attribute``, from which a command is imported on first use.
    """

    command_class = GroupedCommand

    def __init__(self, *args: Any, later: Mapping[str, str] | None = None, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._later = dict(later or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Returns the names of all commands, in alphabetical order."""
        return sorted({*self.commands, *self._later})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Returns a command and, if necessary, imports it."""
        # Declaring the options of all commands would delay every command, and especially the first picture.
        if place := self._later.pop(cmd_name, ""):
            module, _, attribute = place.partition(":")
            self.add_command(getattr(import_module(module), attribute), cmd_name)
        return super().get_command(ctx, cmd_name)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the commands by purpose, then the options."""
        write_commands(self, ctx, formatter)
        write_options(self, ctx, formatter)

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Parses the options of the program; prints ``--help`` and ``--version``."""
        as_json = "--json" in args
        with _endings(info_name or "", as_json=as_json):
            context = super().make_context(info_name, args, parent, **extra)
        context.meta[_AS_JSON] = as_json
        return context

    def invoke(self, ctx: click.Context) -> Any:
        """Runs a command."""
        # Click knows the name of the command only while the command runs.
        with _endings(ctx.info_name or "", as_json=ctx.meta[_AS_JSON], context=ctx):
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result


@contextmanager
def _endings(name: str, *, as_json: bool, context: click.Context | None = None) -> Iterator[None]:
    try:
        yield
    except (click.exceptions.Abort, KeyboardInterrupt):
        sys.exit(ExitCode.INTERRUPTED)
    except click.exceptions.Exit:
        raise
    except Exception as error:  # noqa: BLE001 - the last place that can turn one into a sentence
        source = (context.invoked_subcommand if context else None) or name
        _end(error, source, as_json=as_json)


def _end(error: Exception, source: str, *, as_json: bool) -> NoReturn:
    """Reports an error of a command and exits."""
    refusal = _refusal(error)
    code, reason = ExitCode.USAGE, ExitCode.USAGE.reason
    if isinstance(refusal, Sentence):
        code, reason, source = refusal.code, refusal.reason, refusal.source or source
    try:
        if as_json and source not in _JSON_IN_FILE and not isinstance(error, OutputError):
            click.echo(error_object(source, refusal.format_message(), code, reason))
        if code is not ExitCode.OUTPUT_CLOSED:
            refusal.show()
    except OutputError:
        pass
    _drop_unwritten()
    sys.exit(code)


def _refusal(error: Exception) -> click.ClickException:
    """Converts an exception to the message for the user, with its exit code."""
    match error:
        case click.ClickException():
            return error
        case OutputError(errno=errno.EPIPE):
            return Sentence(str(error), ExitCode.OUTPUT_CLOSED)
        case OutputError():
            return Sentence(f"The output cannot be written: {error.strerror}.", ExitCode.OUTPUT_FAILED)
        case OSError(filename=str() | bytes() as path):
            return Sentence(path_problem(path, error))
        case _:
            from tui.crash import crash_report

            return Sentence(crash_report(error), ExitCode.CRASHED)


def path_problem(path: str | bytes | os.PathLike[str], error: OSError) -> str:
    """Returns a sentence about a file system error, such as a missing file."""
    from tui.text.visible import one_line

    return f"{one_line(os.fsdecode(path), 200)} cannot be used: {error.strerror or error}."


def error_object(source: str, message: str, code: ExitCode, reason: str) -> bytes:
    """Returns the JSON line for an error, in UTF-8 regardless of the locale."""
    from tui.text.json_text import json_of

    error = {"event": "error", "source": source, "code": reason, "message": _harmless(message)}
    return json_of({**error, "fatal": True, "exit_code": int(code)})


def _harmless(message: str) -> str:
    """Removes secrets and terminal control sequences from a message, which may quote a file or the agent."""
    from tui.text.redaction import without_secrets
    from tui.text.visible import visible

    return visible(without_secrets(message))


class OutputError(OSError):
    """Raised if standard output or standard error cannot be written."""


class _Output(FileIO):
    """A standard stream that raises `OutputError`, so that its errors differ from those of other files."""

    def write(self, data: Any, /) -> int:
        """Writes data to the stream. Raises `OutputError`."""
        try:
            return super().write(data) or 0
        except OSError as error:
            raise OutputError(error.errno, error.strerror) from error


def prepare_streams() -> None:
    """Makes the standard streams accept any character, and opens streams that were closed at startup."""
    for fd, name in enumerate(("stdin", "stdout", "stderr")):
        stream = getattr(sys, name)
        if stream is None:
            # Opens the lowest free descriptor, which is this one. If it stayed closed, the next opened file
            # would get it, and printed output would go into that file.
            os.open(os.devnull, os.O_RDWR)
            stream = os.fdopen(fd, "w" if fd else "r", closefd=False, encoding="utf-8")
        if fd and isinstance(stream, TextIOWrapper):
            stream = TextIOWrapper(
                BufferedWriter(_Output(fd, "w", closefd=False)),
                stream.encoding,
                "backslashreplace",  # a character that the locale does not support must not end the program
                line_buffering=stream.line_buffering,
            )
        setattr(sys, name, stream)


def _drop_unwritten() -> None:
    """Discards output that could not be written; otherwise, Python would fail at exit with code 120."""
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OutputError:
            os.dup2(null, stream.fileno())
    os.close(null)
