"""Commands for saved sessions: list, delete, open, compare, export and others."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tui import collector
from tui.cli import completion
from tui.cli import options as opts
from tui.cli.help import GroupedCommand, write_example
from tui.cli.option import NumberInRange, option, together
from tui.cli.program import Sentence
from tui.files import path_of
from tui.text.visible import one_line

if TYPE_CHECKING:
    from tui.config.reading import SettingsInForce
    from tui.config.targets import AddressBook
    from tui.saving.listing import SessionSummary


class LocalTime(click.DateTime):
    """A date with or without a time. Error messages show the expected format."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parses the date. Raises `click.BadParameter`."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            shown = one_line(str(value), 60)
            self.fail(
                f"'{shown}' is not a date; use a format like 2026-01-31 or 2026-01-31T09:30.", param, ctx
            )


class SessionsGroup(click.Group):
    """The command `sessions` and its subcommands. Lists sessions if there is no subcommand, or with `list`."""

    command_class = GroupedCommand

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Removes `list` from the arguments, because listing needs no subcommand. `list` may be anywhere."""
        if "list" in args:
            at = args.index("list")
            before = args[at - 1] if at else ""
            takes_value = any(
                before in parameter.opts
                for parameter in self.params
                if isinstance(parameter, click.Option) and not parameter.is_flag
            )
            if not takes_value and not set(args[:at]) & self.commands.keys():
                args = [*args[:at], *args[at + 1 :]]
        return super().parse_args(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes options, commands and an example."""
        super().format_options(ctx, formatter)
        write_example("opusagent-tui sessions --since 2026-01-31 --errors", formatter)


# fmt: off
_list_options = together(
    option("--save", metavar="DIR",
           help="Folder that contains the sessions; default: the user's data directory."),
    option("--target", metavar="TEXT", help="Only sessions whose title, URL or protocol contains TEXT."),
    option("--since", type=LocalTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"]), metavar="DATE[ TIME]",
           help="Only sessions that began after this date (local time)."),
    option("--errors/--no-errors", default=None, help="Only sessions with errors, or only those without."),
    option("--min-duration", type=NumberInRange(min=0), metavar="S",
           help="Only sessions that lasted longer than this."),
    option("--trash", is_flag=True,
           help="List the sessions in the trash; with delete or prune, act on the trash instead of the saved "
                "sessions."),
    option("--json", "as_json", is_flag=True, help="Print JSON, one session per line."),
)
_export_options = together(
    option("-o", "--output", metavar="FILE",
           help="Output file; default: named after the session, in the current folder."),
    option("--format", "format_", type=click.Choice(["jsonl", "csv", "txt"]),
           help="File format; default: determined by the extension of FILE, otherwise JSON Lines."),
    option("--filter", "filter_", metavar="TEXT",
           help="Export only events that match this filter (same syntax as in the log)."),
    option("--marked", is_flag=True, help="Export only marked events."),
    option("--raw", is_flag=True, help="Include the raw messages."),
    option("--overwrite", is_flag=True, help="Replace an existing file."),
)
# fmt: on


@click.group(cls=SessionsGroup, invoke_without_command=True)
@_list_options
@opts.config_option
@click.pass_context
def sessions(
    context: click.Context,
    save: str | None,
    trash: bool,
    target: str | None,
    since: datetime | None,
    errors: bool | None,
    min_duration: float | None,
    as_json: bool,
) -> None:
    """List saved sessions, newest first.

    Sessions beyond keep_days/keep_count are deleted when a call ends. Run `prune` to delete them now.
    """
    from tui.saving.deleting import TRASH

    if trash and context.invoked_subcommand == "restore":
        raise Sentence("`sessions restore` always restores from the trash. Leave out --trash.")
    parent = context.obj = _parent(save) / (TRASH if trash else "")
    if context.invoked_subcommand is not None:
        return
    from tui.saving.folders import session_folders
    from tui.saving.listing import list_sessions, total_size

    with session_sentences():
        found = list_sessions(
            parent,
            target=target,
            since=_aware(since),
            errors=errors,
            min_duration_s=min_duration,
        )
    if as_json:
        for each in found:
            click.echo(_json_of(each))
        return
    if found:
        click.echo("began             length   outcome  worst         size  name, protocol, path")
    for each in found:
        click.echo(_line_of(each))
    size = _size(sum(each.size_bytes for each in found)).strip()
    with session_sentences():
        everything = _size(total_size(parent)).strip()
        in_trash = 0 if trash else sum(1 for _ in session_folders(parent / TRASH))
    many = "1 session" if len(found) == 1 else f"{len(found)} sessions"
    click.echo(f"{many}, {size}; total in {one_line(str(parent))}: {everything}")
    if in_trash:
        click.echo(f"{in_trash} in the trash; `opusagent-tui sessions list --trash` lists them.")


def _aware(since: datetime | None) -> datetime | None:
    """Adds the local time zone to a date and time. Raises `Sentence`."""
    try:
        return since.astimezone() if since else None
    except (OverflowError, ValueError) as error:
        raise Sentence(f"--since {since:%Y-%m-%d}: that date is out of range.") from error


def _line_of(summary: SessionSummary) -> str:
    """Returns the line for a session in the list."""
    from tui.text import numbers

    began = summary.started.astimezone().strftime("%Y-%m-%d %H:%M") if summary.started else "–"
    length = "–" if summary.duration_s is None else str(timedelta(seconds=round(summary.duration_s)))
    notes = [
        numbers.counted(summary.errors, "error") if summary.errors else "",
        f"{summary.not_answered} not answered" if summary.not_answered else "",
        numbers.counted(summary.marks, "mark") if summary.marks else "",
        numbers.counted(summary.notes, "note") if summary.notes else "",
        "no audio" if not summary.has_audio else "",
        one_line(summary.problem or (summary.reason if summary.outcome != "ended" else ""), 80),
    ]
    note = ", ".join(filter(None, notes))
    outcome = one_line(summary.outcome, 10)
    head = f"{began:16}  {length:>7}  {outcome:7}  {summary.worst.short:>9}  {_size(summary.size_bytes)}"
    named = f"{head}  {one_line(summary.name, 90)}"
    line = f"{named}{_about(summary)}"
    return (line if len(line) <= _columns() else named) + (f"  ({note})" if note else "")


def _about(summary: SessionSummary) -> str:
    """Returns the protocol and the URL path of a session, which distinguish sessions with the same title."""
    from urllib.parse import urlsplit

    try:
        path = urlsplit(summary.target).path
    except ValueError:
        path = ""
    return "".join(f"  {one_line(word, 40)}" for word in (summary.protocol, path) if word)


def _columns() -> float:
    """Returns the maximum length of a line: the terminal's width, or infinity if the output is redirected."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else inf


def _json_of(summary: SessionSummary) -> bytes:
    import msgspec

    from tui.text.json_text import json_of

    return json_of(msgspec.to_builtins(summary, enc_hook=str))


dry_run_option = option("--dry-run", is_flag=True, help="Only list what would be deleted.")
yes_option = option("--yes", is_flag=True, help="Delete more than one session without asking.")


@sessions.command(example="opusagent-tui sessions delete 2026-01-31T09 --dry-run")
@click.argument("names", nargs=-1, required=True, shell_complete=completion.sessions)
@dry_run_option
@yes_option
@click.pass_obj
def delete(parent: Path, names: tuple[str, ...], dry_run: bool, yes: bool) -> None:
    """Delete sessions by folder name or by the beginning of the name.

    Only files that opusagent-tui wrote are deleted; a folder that contains other files is kept.
    """
    from tui.saving.deleting import find_to_delete

    with session_sentences():
        folders = list(dict.fromkeys(find_to_delete(parent, name) for name in names))
    _delete(folders, dry_run=dry_run, yes=yes)


@sessions.command(example="opusagent-tui sessions prune --keep-days 30 --dry-run")
@option("--keep-days", type=NumberInRange(0, 36500), metavar="N", help="Delete sessions older than N days.")
@option("--keep-count", type=click.IntRange(min=0), metavar="N", help="Delete all but the newest N sessions.")
@dry_run_option
@yes_option
@click.pass_obj
def prune(parent: Path, keep_days: float | None, keep_count: int | None, dry_run: bool, yes: bool) -> None:
    """Delete old sessions, including those in the trash, using the limits in the options or in the settings.

    Only files that opusagent-tui wrote are deleted; a folder that contains other files is kept.
    """
    from tui.saving.deleting import superfluous, with_trash

    if keep_days is None and keep_count is None:
        kept = opts.effective_settings().settings.sessions
        keep_days, keep_count = kept.keep_days, kept.keep_count
    if keep_days is None and keep_count is None:
        raise Sentence(
            "No limit is set. Use --keep-days N or --keep-count N, or set a limit under [sessions] in the settings."
        )
    with session_sentences():
        folders = [
            folder
            for each in with_trash(parent)
            for folder in superfluous(each, keep_days=keep_days, keep_count=keep_count)
        ]
    _delete(folders, dry_run=dry_run, yes=yes)


@sessions.command(example="opusagent-tui sessions restore 2026-01-31T09")
@click.argument("names", nargs=-1, required=True)
@click.pass_obj
def restore(parent: Path, names: tuple[str, ...]) -> None:
    """Restore sessions from the trash, by folder name or by the beginning of the name."""
    from tui.saving.trash import restore as restore_session

    with session_sentences():
        for name in names:
            click.echo(f"Restored {one_line(restore_session(parent, name).name)}")


def _can_ask() -> bool:
    """Returns whether the command runs in a terminal, so that the user can answer questions."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()


def _delete(folders: Sequence[Path], *, dry_run: bool, yes: bool) -> None:
    """Deletes sessions, asks for confirmation if necessary, and prints the result. Raises `Sentence`."""
    from tui.saving.deleting import delete_sessions

    if len(folders) > 1 and not dry_run and not yes:
        names = "".join(f"  {one_line(folder.name)}\n" for folder in folders)
        if not _can_ask():
            raise Sentence(
                f"{names}These {len(folders)} sessions would be deleted. Add --yes to delete more than one."
            )
        click.echo(names, nl=False)
        if not click.confirm(f"Delete these {len(folders)} sessions?"):
            click.echo("Nothing was deleted.")
            return
    verb = "Would delete" if dry_run else "Deleted"
    problems = []
    for deletion in delete_sessions(folders, dry_run=dry_run):
        if deletion.problem:
            problems.append(one_line(deletion.problem))
            continue
        click.echo(f"{verb} {one_line(deletion.folder.name)}  {_size(deletion.size_bytes).strip()}")
        for name in deletion.left:
            click.echo(f"  {one_line(name)} was kept: opusagent-tui did not write it.")
        if deletion.report:
            click.echo(f"  Its report, {one_line(deletion.report.name)}, was kept.")
    if problems:
        raise Sentence("\n".join(problems))


@click.command("open", cls=GroupedCommand, example="opusagent-tui open latest")
@click.argument(
    "session", type=click.Path(path_type=Path), required=False, shell_complete=completion.sessions
)
@option(
    "--speed",
    type=NumberInRange(min=0.1),
    metavar="N",
    help="Replay at N× speed. Without it, the whole session is shown at once.",
)
@option(
    "--output",
    default="auto",
    metavar="DEVICE|none",
    help="Speaker: auto, a name, part of a name, an index, or none.",
)
@opts.config_option
def open_session(session: Path | None, speed: float | None, **options: str) -> None:
    """Open a saved session on the screen.

    SESSION is a folder or a file in it, a name from the list or its beginning, a title, or `latest`. Without
    SESSION, a screen lists all sessions.
    """
    collector.hold()
    from tui.cli.screen import Opening, run_screen
    from tui.config.targets import speaker

    in_force = opts.effective_settings()
    if session is None and speed is not None:
        raise Sentence("--speed needs a session, as in `opusagent-tui open latest --speed 8`.")
    opts.check_terminal("opusagent-tui sessions" if session is None else f"opusagent-tui metrics {session}")
    with session_sentences(), opts.settings_errors():
        output = speaker(in_force, opts.typed_settings(options))
        opening = Opening(_folder(), None if session is None else named_session(session), speed, output)
        code = run_screen(None, _book(in_force), in_force, opening=opening)
    sys.exit(code)


def _book(in_force: SettingsInForce) -> AddressBook:
    """Returns the agents that the user can call from a saved session.

    An invalid call setting does not prevent the user from reading the session.
    """
    from tui.config.targets import AddressBook, address_book
    from tui.models.target import Target
    from tui.text.strict import SettingsError

    try:
        return address_book(in_force)
    except SettingsError:
        return AddressBook(base=Target(url=""), demo=Target(url=""), profiles=())


@click.command(cls=GroupedCommand, example="opusagent-tui metrics latest --json")
@click.argument("session", type=click.Path(path_type=Path), shell_complete=completion.sessions)
@option("--json", "as_json", is_flag=True, help="Print every figure as JSON.")
@opts.config_option
def metrics(session: Path, as_json: bool) -> None:
    """Measure a saved session again from its events and audio.

    SESSION is a folder, a name from the list or its beginning, a title, or `latest`.
    """
    from tui.call import metrics_line
    from tui.models.turns.output import in_json, turn_lines
    from tui.saving.reading import open_session as open_saved
    from tui.saving.remeasure import remeasure
    from tui.text.json_text import json_of

    with session_sentences(), open_saved(named_session(session)) as saved:
        figures = remeasure(saved)
        _print_problems(saved.problems)
    thresholds = opts.effective_settings().thresholds
    if as_json:
        click.echo(json_of(in_json(figures, thresholds)))
        return
    for line in (*turn_lines(figures, thresholds), metrics_line(figures)):
        click.echo(line)


@click.command(cls=GroupedCommand, example="opusagent-tui report latest -o report.html")
@click.argument("session", type=click.Path(path_type=Path), shell_complete=completion.sessions)
@option(
    "-o",
    "--output",
    metavar="FILE",
    help="Output file (- for standard output); default: next to the session.",
)
@option("--no-audio", is_flag=True, help="Draw the waveform but leave the audio out.")
@option("--open", "open_it", is_flag=True, help="Open the report in the web browser.")
@opts.config_option
def report(session: Path, output: str | None, no_audio: bool, open_it: bool) -> None:
    """Export a saved session as a single self-contained HTML page.

    SESSION is a folder, a name from the list or its beginning, a title, or `latest`.
    """
    from tui.files import write_to
    from tui.report.page import render
    from tui.saving.folders import report_path
    from tui.saving.reading import open_session as open_saved

    with session_sentences(), open_saved(named_session(session)) as saved:
        page = render(saved, opts.effective_settings().thresholds, with_audio=not no_audio)
        _print_problems(saved.problems)
        beside = report_path(saved.folder.resolve())
    if output == "-":
        if open_it:
            raise Sentence("--open needs a file. Leave out -o -.")
        sys.stdout.buffer.write(page)
        return
    path = path_of(output) if output else beside
    try:
        write_to(path, page)
    except OSError as error:
        raise Sentence(f"Cannot write to {path}: {error.strerror or error}.") from error
    # Not on stdout, because the page may have been written there.
    click.echo(f"{path}  {_size(len(page)).strip()}", err=not path.is_file())
    if open_it:
        import webbrowser

        if not webbrowser.open(path.resolve().as_uri()):
            raise Sentence("No web browser was found to open the report.")


@click.command(cls=GroupedCommand, example="opusagent-tui compare 2026-01-31T09 latest")
@click.argument("left", type=click.Path(path_type=Path), shell_complete=completion.sessions)
@click.argument("right", type=click.Path(path_type=Path), shell_complete=completion.sessions)
@option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
@opts.config_option
def compare(left: Path, right: Path, as_json: bool) -> None:
    """Compare two saved sessions turn by turn: response times, words, findings.

    LEFT and RIGHT are folders, names from the list or their beginnings, titles, or `latest`.
    """
    from tui.models.turns.comparison import comparison_lines
    from tui.saving.comparing import compare_sessions
    from tui.saving.reading import open_session as open_saved
    from tui.text.json_text import json_of

    with (
        session_sentences(),
        open_saved(named_session(left)) as one,
        open_saved(named_session(right)) as other,
    ):
        comparison = compare_sessions(one, other, opts.effective_settings().thresholds)
    if as_json:
        click.echo(json_of(comparison))
        return
    for line in comparison_lines(comparison):
        click.echo(line)


@click.command(cls=GroupedCommand, example="opusagent-tui export latest --format csv --filter errors")
@click.argument("session", type=click.Path(path_type=Path), shell_complete=completion.sessions)
@_export_options
@opts.config_option
def export(
    session: Path,
    output: str | None,
    format_: str | None,
    filter_: str | None,
    marked: bool,
    raw: bool,
    overwrite: bool,
) -> None:
    """Export the events of a saved session, as the log's export does.

    SESSION is a folder, a name from the list or its beginning, a title, or `latest`.
    """
    from tui.models.filter.language import parse
    from tui.models.filter.patterns import FilterError
    from tui.models.log.export import ExportError, ExportFormat
    from tui.saving.exporting import export_session
    from tui.saving.reading import open_session as open_saved

    try:
        wanted = parse(filter_ or "")
    except FilterError as error:
        raise Sentence(f"--filter: {error}") from error
    with session_sentences(), open_saved(named_session(session)) as saved:
        suffix = Path(output or "").suffix.removeprefix(".")
        known = suffix if suffix in set(ExportFormat) else ExportFormat.JSONL
        format_ = format_ or known
        path = path_of(output) if output else Path(f"{saved.folder.resolve().name}.{format_}")
        try:
            done = export_session(
                saved, path, ExportFormat(format_), wanted, only_marked=marked, raw=raw, overwrite=overwrite
            )
        except ExportError as error:
            raise Sentence(str(error).replace("turn on Overwrite", "add --overwrite")) from error
        _print_problems(saved.problems)
    click.echo(one_line(str(done), 1000))


@contextmanager
def session_sentences() -> Iterator[None]:
    """Converts errors about saved sessions into a `Sentence`."""
    from tui.saving.record import SavedSessionError

    try:
        yield
    except SavedSessionError as error:
        raise Sentence(one_line(str(error))) from error


def _print_problems(problems: Sequence[str]) -> None:

    for problem in problems:
        click.echo(one_line(problem), err=True)


def _parent(save: str | None) -> Path:
    """Returns the folder that contains the sessions. Raises `Sentence` if ``--save`` names a missing folder."""
    from tui.config.targets import sessions_folder

    if save is None:
        return sessions_folder(opts.effective_settings())
    parent = path_of(save)
    if not os.path.lexists(parent):
        raise Sentence(f"--save {save}: there is no such folder.")
    return parent


def named_session(named: Path) -> Path:
    """Returns the folder of the session that the user named. Raises `SavedSessionError`."""
    from tui.saving.listing import find_session

    return find_session(_folder(), path_of(str(named)))


def _folder() -> Path:
    """Returns the sessions folder, which the parent command `sessions` may have set."""
    chosen: Path | None = click.get_current_context().obj
    return chosen or _parent(None)


sessions.add_command(open_session)
sessions.add_command(report)
sessions.add_command(compare)
sessions.add_command(export)


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:6.1f} MB" if size_bytes >= 1e5 else f"{size_bytes / 1e3:6.0f} kB"
