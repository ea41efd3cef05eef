"""Lists, filters and finds the sessions in a folder."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import msgspec

from tui.files import path_of
from tui.models.events import Instant
from tui.models.turns.figures import Figure, worst_of
from tui.models.turns.metrics import SessionMetrics
from tui.saving.folders import NAME_TIME, is_file, is_session, open_regular, session_folders
from tui.saving.marks_file import read_marks
from tui.saving.reading import is_running, outcome_of, read_record_file
from tui.saving.record import (
    AUDIO_FILE,
    EVENTS_FILE,
    RECORD_FILE,
    SESSION_FILES,
    Outcome,
    SavedSessionError,
    SessionRecord,
)
from tui.text.numbers import clock
from tui.text.visible import one_line

LATEST = "latest"
"""The word that selects the newest session."""
_TAIL_BYTES = 64 * 1024
_ERROR_TAG = b'"event":"error"'
"""Marker of an error event. It cannot occur elsewhere in a line, because quotes inside strings are escaped."""
_MAX_COUNTED_BYTES = 256 * 1024 * 1024
_PIECE_BYTES = 1024 * 1024
_YEARS = range(1970, 9999)
"""Range of years in which a start time can be converted to any time zone without leaving the supported range."""
_MAX_DURATION_S = 366 * 24 * 3600


class SessionSummary(msgspec.Struct, frozen=True):
    """The summary of a saved session, for a list. Unknown values are None."""

    folder: Path
    title: str
    target: str
    """URL without credentials."""
    protocol: str
    started: datetime | None
    outcome: str
    """A value of `tui.saving.record.Outcome`."""
    reason: str
    duration_s: float | None
    """Time from acceptance to the end. For a session that was cut off, the time from its first to its last event."""
    errors: int | None
    turns: int | None
    """Number of user turns."""
    response_latencies_ms: list[float]
    worst: Figure
    """The longest response time, without a grade."""
    not_answered: int | None
    """Number of user turns that were not answered."""
    size_bytes: int
    has_audio: bool
    marks: int = 0
    """Number of marked events."""
    notes: int = 0
    problem: str = ""
    """Reason why parts of the session could not be read; otherwise empty."""

    @property
    def name(self) -> str:
        """Name of the session's folder."""
        return self.folder.name


def list_sessions(
    parent: Path,
    *,
    target: str | None = None,
    since: datetime | None = None,
    errors: bool | None = None,
    min_duration_s: float | None = None,
) -> list[SessionSummary]:
    """Lists the sessions in a folder, newest first. An unreadable session is listed with its problem.

    ``target`` is a part of the title, URL or protocol, ignoring case; ``since`` is a time with a time zone;
    ``errors`` selects sessions with or without errors. The list is empty if the folder does not exist.
    """
    summaries = sorted(map(summarise, session_folders(parent)), key=age_key)
    wanted = [
        summary
        for summary in summaries
        if (target is None or _is_about(summary, target))
        and (since is None or (summary.started is not None and summary.started >= since))
        and (errors is None or (summary.errors is not None and (summary.errors > 0) == errors))
        and (min_duration_s is None or (summary.duration_s or 0.0) >= min_duration_s)
    ]
    return wanted[::-1]


def newest_in_lines(parent: Path, count: int) -> list[tuple[Path, str]]:
    """Returns the folders of the newest sessions, each with a line that describes the session.

    The line contains the target, the start time and the duration. Raises `SavedSessionError` if the folder
    cannot be read.
    """
    # Sorted by name, which begins with the start time. Sorting by content would require reading every
    # session.
    return [(summary.folder, _in_line(summary)) for summary in islice(summaries(parent), count)]


def _in_line(summary: SessionSummary) -> str:
    started = "" if summary.started is None else f"{summary.started.astimezone():%Y-%m-%d %H:%M}"
    name = summary.title or summary.target or summary.name
    return one_line(f"{name}  {started}  {clock(summary.duration_s)}", 100)


def summaries(parent: Path) -> Iterator[SessionSummary]:
    """Yields the sessions in a folder one by one, in order of name, newest first. Raises `SavedSessionError`."""
    return map(summarise, reversed(list(session_folders(parent))))


def find_session(parent: Path, path: Path) -> Path:
    """Finds a session by its path, or in ``parent`` by its name, the beginning of its name, its title, or ``latest``.

    If several sessions have the same title, the newest one is selected. An existing path that is not a
    session may still be a name or title. Raises `SavedSessionError`.
    """
    if is_session(path) or (path.name in SESSION_FILES and is_session(path.parent)):
        return path
    if path.parent != Path():
        parent = path_of(str(path.parent))
    if path.name in ("", ".."):
        raise SavedSessionError(
            f"{path} is not a saved session: it has neither {RECORD_FILE} nor {EVENTS_FILE}."
        )
    if path.name == LATEST:
        newest = list_sessions(parent)
        if not newest:
            raise SavedSessionError(f"No sessions in {parent}.")
        return newest[0].folder
    names = [folder.name for folder in session_folders(parent)]
    titled = [name for name in names if name.partition(" ")[2] == path.name]
    if titled:
        return parent / titled[-1]
    if not any(name.startswith(path.name) for name in names) and os.path.lexists(path):
        raise SavedSessionError(
            f"{path} is not a saved session: it has neither {RECORD_FILE} nor {EVENTS_FILE}."
        )
    return session_named(parent, path.name, names)


def session_named(parent: Path, name: str, names: Sequence[str]) -> Path:
    """Returns the path of the session in ``parent`` whose name is ``name`` or begins with it.

    ``names`` are the names of all sessions in ``parent``. Raises `SavedSessionError` unless exactly one
    session matches.
    """
    found = [name] if name in names else [each for each in names if each.startswith(name)]
    if len(found) > 1:
        some = ", ".join(f"“{each}”" for each in found[-3:])
        raise SavedSessionError(
            f"{name} matches {len(found)} sessions in {parent} ({some}). Type more of the name."
        )
    if not found:
        raise SavedSessionError(f"No session {name} in {parent}. `opusagent-tui sessions` lists them.")
    return parent / found[0]


def summarise(folder: Path) -> SessionSummary:
    """Summarises one session. Never raises."""
    problem = ""
    try:
        record = msgspec.json.decode(read_record_file(folder), type=SessionRecord)
    except (OSError, ValueError, RecursionError) as error:
        record = SessionRecord(title=folder.name)
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        problem = f"session.json cannot be read: {reason}"
    metrics = record.metrics
    started = _instant(record.started_utc)
    if started is None and record.started_utc:
        problem = problem or f"session.json has an impossible date: {record.started_utc}"
    # If saving was cut off, the metrics have no end time.
    ended = metrics is not None and metrics.ended_ns is not None
    duration_s = metrics.duration_s(0) if metrics and ended else _seconds_of_events(folder, record)
    if duration_s is not None and not 0 <= duration_s <= _MAX_DURATION_S:
        duration_s, problem = None, problem or f"session.json has an impossible duration: {duration_s:.0f} s"
    errors = metrics.errors if metrics else _count_errors(folder)
    if errors is None:
        problem = problem or f"{EVENTS_FILE} is missing or too large, so errors could not be counted"
    marks = read_marks(folder)
    return SessionSummary(
        folder=folder,
        title=record.title,
        target=str(record.target.get("url", "")),
        protocol=record.protocol,
        started=started or _instant_in_name(folder.name),
        outcome=outcome_of(record, running=record.outcome == Outcome.RUNNING and is_running(folder)),
        reason=record.problem or record.reason,
        duration_s=duration_s,
        errors=errors,
        turns=None if metrics is None else sum(turn.number > 0 for turn in metrics.turns),
        response_latencies_ms=(metrics or SessionMetrics()).response_latencies_ms,
        worst=worst_of((metrics or SessionMetrics()).turns),
        not_answered=None if metrics is None else metrics.turns_not_answered,
        size_bytes=size_of_session(folder),
        has_audio=is_file(folder / AUDIO_FILE),
        marks=len(marks),
        notes=len(marks.notes),
        problem=problem,
    )


def total_size(parent: Path) -> int:
    """Returns the disk usage of all sessions in a folder, in bytes."""
    return sum(size_of_session(folder) for folder in session_folders(parent))


def age_key(summary: SessionSummary) -> tuple[datetime, str]:
    """Returns a key that sorts sessions from the oldest to the newest."""
    return (summary.started or datetime.min.replace(tzinfo=UTC), summary.name)


def _is_about(summary: SessionSummary, target: str) -> bool:
    wanted = target.casefold()
    return any(wanted in text.casefold() for text in (summary.title, summary.target, summary.protocol))


def _instant(utc: str) -> datetime | None:
    try:
        instant = datetime.fromisoformat(utc)
        instant = instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return instant if instant.year in _YEARS else None


def _instant_in_name(name: str) -> datetime | None:
    try:
        instant = datetime.strptime(name.partition(" ")[0], NAME_TIME).replace(tzinfo=UTC)
    except ValueError:
        return None
    return instant if instant.year in _YEARS else None


def size_of_session(folder: Path, names: Iterable[str] = SESSION_FILES) -> int:
    """Returns the disk usage of a session's files in bytes. A silent track is sparse and uses almost no space."""
    size_bytes = 0
    for name in names:
        with contextlib.suppress(OSError):
            status = (folder / name).lstat()
            if stat.S_ISREG(status.st_mode):
                size_bytes += status.st_blocks * 512
    return size_bytes


def _seconds_of_events(folder: Path, record: SessionRecord) -> float | None:
    """Returns the seconds from the first event to the last complete one, read from the end of the file."""

    class Event(msgspec.Struct):
        at_ns: Instant

    try:
        with os.fdopen(open_regular(folder / EVENTS_FILE), "rb") as file:
            file.seek(max(os.fstat(file.fileno()).st_size - _TAIL_BYTES, 0))
            lines = file.read(_TAIL_BYTES).splitlines(keepends=True)
    except OSError:
        return None
    for line in reversed(lines):
        if record.started_ns is not None and line.endswith(b"\n"):
            try:
                return (msgspec.json.decode(line, type=Event).at_ns - record.started_ns) / 1e9
            except (ValueError, RecursionError):
                continue
    return None


def _count_errors(folder: Path) -> int | None:
    """Returns the number of errors in a session that was cut off; None if counting would take too long."""
    errors, end = 0, b""
    try:
        with os.fdopen(open_regular(folder / EVENTS_FILE), "rb") as file:
            if os.fstat(file.fileno()).st_size > _MAX_COUNTED_BYTES:
                return None
            # Reads pieces rather than lines, because a line may be as long as the file.
            while piece := file.read(_PIECE_BYTES):
                window = end + piece
                errors += window.count(_ERROR_TAG)
                end = window[-len(_ERROR_TAG) + 1 :]
    except OSError:
        return None
    return errors
