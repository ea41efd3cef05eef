"""Commands for sessions that were saved: list, delete, open, measure again, report."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from tui.options import Sentence, check_terminal, option

folder_option = option(
    "--save", metavar="DIR", help="Where they are kept; default: the user's data directory."
)


@click.group(invoke_without_command=True)
@folder_option
@option("--target", metavar="TEXT", help="Only those whose title or URL has it.")
@option("--since", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M"]), help="Only newer ones (UTC).")
@option("--errors/--no-errors", default=None, help="Only those with errors, or only those without.")
@option("--min-duration", type=click.FloatRange(min=0), metavar="S", help="Only longer ones.")
@click.pass_context
def sessions(
    context: click.Context,
    save: str | None,
    target: str | None,
    since: datetime | None,
    errors: bool | None,
    min_duration: float | None,
) -> None:
    """List the sessions that were saved, newest first."""
    from tui.models.text import one_line
    from tui.saving.listing import list_sessions, total_size

    parent = context.obj = _parent(save)
    if context.invoked_subcommand is not None:
        return
    found = list_sessions(
        parent,
        target=target,
        since=since.replace(tzinfo=UTC) if since else None,
        errors=errors,
        min_duration_s=min_duration,
    )
    for each in found:
        length = "–" if each.duration_s is None else str(timedelta(seconds=round(each.duration_s)))
        wrong = f"  {each.errors} errors" if each.errors else ""
        note = f"  ({one_line(each.problem, 60)})" if each.problem else ""
        name, size = one_line(each.name, 60), _size(each.size_bytes)
        click.echo(f"{name:42}  {length:>8}  {each.outcome:8}  {size}{wrong}{note}")
    click.echo(f"{len(found)} sessions in {parent}, {_size(total_size(parent)).strip()} in all")


@sessions.command()
@click.argument("names", nargs=-1, required=True)
@click.pass_obj
def delete(parent: Path, names: tuple[str, ...]) -> None:
    """Delete sessions, by the names of their folders."""
    from tui.saving.listing import delete_session
    from tui.saving.record import SavedSessionError

    for name in names:
        try:
            delete_session(parent / Path(name).name)
        except SavedSessionError as error:
            raise Sentence(str(error)) from error
        click.echo(f"deleted {name}")


@sessions.command()
@option("--keep-days", type=click.FloatRange(min=0), metavar="N", help="Delete what is older.")
@option("--keep-count", type=click.IntRange(min=0), metavar="N", help="Delete all but the newest N.")
@click.pass_obj
def prune(parent: Path, keep_days: float | None, keep_count: int | None) -> None:
    """Delete old sessions."""
    from tui.saving import listing

    if keep_days is None and keep_count is None:
        raise Sentence("Say what to keep: --keep-days N or --keep-count N.")
    for path in listing.prune(parent, keep_days=keep_days, keep_count=keep_count):
        click.echo(f"deleted {path.name}")


@click.command("open")
@click.argument("session", type=click.Path(path_type=Path))
@option(
    "--speed",
    type=click.FloatRange(min=0.1),
    metavar="N",
    help="Replay N times as fast; else at once.",
)
def open_session(session: Path, speed: float | None) -> None:
    """Open a saved session in the screen.

    SESSION is its folder, its name in the list or the beginning of it, its title, or `latest`.
    """
    from tui.front import open_screen

    check_terminal()
    with _sentences():
        sys.exit(open_screen(_session(session), speed))


@click.command()
@click.argument("session", type=click.Path(path_type=Path))
@option("--json", "as_json", is_flag=True, help="Print every figure as JSON.")
def metrics(session: Path, as_json: bool) -> None:
    """Measure a saved session again, from its events and its audio.

    SESSION is its folder, its name in the list or the beginning of it, its title, or `latest`.
    """
    from tui.call import metrics_line
    from tui.models.json_text import json_of
    from tui.saving.reading import open_session as open_saved
    from tui.saving.remeasure import remeasure

    with _sentences(), open_saved(_session(session)) as saved:
        figures = remeasure(saved)
        _tell(saved.problems)
    click.echo(json_of(figures).decode() if as_json else metrics_line(figures))


@click.command()
@click.argument("session", type=click.Path(path_type=Path))
@option("-o", "--output", metavar="FILE", help="Default: beside the session; - is standard output.")
@option("--no-audio", is_flag=True, help="Draw the sound, but leave it out.")
def report(session: Path, output: str | None, no_audio: bool) -> None:
    """Make one page of HTML of a saved session, to send or to keep: it needs no network and no program.

    SESSION is its folder, its name in the list or the beginning of it, its title, or `latest`.
    """
    from tui.files import write_atomically
    from tui.report.page import render
    from tui.saving.reading import open_session as open_saved

    with _sentences(), open_saved(_session(session)) as saved:
        page = render(saved, with_audio=not no_audio)
        _tell(saved.problems)
        beside = saved.folder.resolve().with_name(f"{saved.folder.resolve().name}.html")
    if output == "-":
        sys.stdout.buffer.write(page)
        return
    path = Path(output).expanduser() if output else beside
    try:
        write_atomically(path, page)
    except OSError as error:
        raise Sentence(f"{path} cannot be written: {error.strerror or error}.") from error
    click.echo(f"{path}  {_size(len(page)).strip()}")


@contextmanager
def _sentences() -> Iterator[None]:
    """What is wrong with a saved session as a sentence."""
    from tui.saving.record import SavedSessionError

    try:
        yield
    except SavedSessionError as error:
        raise Sentence(str(error)) from error


def _tell(problems: Sequence[str]) -> None:
    from tui.models.text import one_line

    for problem in problems:
        click.echo(one_line(problem), err=True)


def _parent(save: str | None) -> Path:
    from tui.saving.folders import default_folder

    return Path(save) if save else default_folder()


def _session(named: Path) -> Path:
    """The folder of the session that an argument names. Raises `SavedSessionError`."""
    from tui.saving.listing import find_session

    return find_session(_parent(None), named)


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:6.1f} MB"
