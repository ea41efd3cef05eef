"""Exports events to a JSON Lines, CSV or text file. The export runs in slices and never leaves a partial file.

JSON Lines files contain the events unchanged and can be read back. CSV and text files are for people: control
characters in the agent's text are made visible, and text that a spreadsheet would run as a formula is escaped.
"""

from __future__ import annotations

import contextlib
import csv
import json
import tempfile
from abc import abstractmethod
from base64 import b64encode
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from time import perf_counter
from typing import IO, Any

import msgspec

from tui.callbacks import CallbackManager, ProgressCallback, Registration
from tui.models.events import MessageLogged, SessionEvent
from tui.models.log.describe import describe
from tui.models.log.event_log import EventLog, RawMessage
from tui.models.log.marks import Marks
from tui.text.visible import one_line, visible

Selection = Callable[[Sequence[int]], Sequence[int]]
"""Returns the positions to export: `everything`, `marked`, or `EventView.select` (the events shown)."""

PROGRESS = "progress"
COLUMNS = (
    "number",
    "seconds",
    "direction",
    "level",
    "kind",
    "summary",
    "bytes",
    "audio_ms",
    "marked",
    "note",
)
"""Columns of a CSV file; ``raw`` follows if raw messages are exported."""

_SLICE = 512
_LEVELS = {" ": "", "!": "warning", "✗": "error"}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class ExportFormat(StrEnum):
    """File formats. The enum values are file name suffixes."""

    JSONL = "jsonl"
    CSV = "csv"
    TEXT = "txt"


class ExportError(Exception):
    """The export failed and wrote no file. The message is a sentence for the user."""


class ExportReport(msgspec.Struct, frozen=True):
    """The file that an export wrote, and the number of events in it."""

    path: Path
    events: int
    size_bytes: int
    missing: int = 0
    """Number of messages whose raw text was requested but not available."""

    def __str__(self) -> str:
        events = f"{self.events:,} event{'' if self.events == 1 else 's'}"
        missing = f"; {self.missing:,} raw messages were not kept" if self.missing else ""
        return f"Wrote {events} ({_bytes(self.size_bytes)}) to {self.path}{missing}"


def everything(among: Sequence[int]) -> Sequence[int]:
    """Selects all events, including those without a row."""
    return among


def marked(log: EventLog, marks: Marks) -> Selection:
    """Selects the marked events."""
    numbers, wanted = log.events.numbers, set(marks.numbers)
    return lambda among: [index for index in among if numbers[index] in wanted]


class EventWriter:
    """Writes events of one log to a file, one at a time. Each subclass writes one format."""

    def __init__(self, file: IO[str], log: EventLog, marks: Marks, raw: RawMessage | None) -> None:
        self.file, self.log, self.marks, self.raw = file, log, marks, raw
        self.events = log.events
        self.missing = 0
        """Number of raw messages that were requested but not available."""

    def write(self, index: int) -> None:
        """Writes the event at this position in the log."""
        event, raw = self.events[index], None
        if self.raw is not None and isinstance(event, MessageLogged):
            raw = self.raw(event)
            self.missing += raw is None
        self.write_event(index, event, raw)

    @abstractmethod
    def write_event(self, index: int, event: SessionEvent, raw: bytes | None) -> None:
        """Writes an event and, unless it is None, its raw message."""


class JsonWriter(EventWriter):
    """Writes one JSON object per line: the event's fields, time, mark, note and raw message."""

    def write_event(self, index: int, event: SessionEvent, raw: bytes | None) -> None:
        """Writes the event as one line of JSON."""
        extra: dict[str, Any] = {"seconds": round(self.log.seconds(index), 6)}
        if event.number in self.marks:
            extra["marked"] = True
        if note := self.marks.notes.get(event.number):
            extra["note"] = note
        if raw is not None:
            extra |= _as_json(raw)
        try:
            line = msgspec.json.encode(event)[:-1] + b"," + msgspec.json.encode(extra)[1:]
            self.file.write(line.decode() + "\n")
        except UnicodeEncodeError:  # a lone surrogate can only be written escaped
            self.file.write(json.dumps(msgspec.to_builtins(event) | extra) + "\n")


class CsvWriter(EventWriter):
    """Writes a table. The first row contains the names in `COLUMNS`."""

    def __init__(self, file: IO[str], log: EventLog, marks: Marks, raw: RawMessage | None) -> None:
        super().__init__(file, log, marks, raw)
        self._csv = csv.writer(file)
        self._csv.writerow([*COLUMNS, "raw"] if raw else COLUMNS)

    def write_event(self, index: int, event: SessionEvent, raw: bytes | None) -> None:
        """Writes the event as one row."""
        what, message = describe(event), isinstance(event, MessageLogged)
        cells = [
            event.number,
            f"{self.log.seconds(index):.3f}",
            event.direction if isinstance(event, MessageLogged) else "own",
            _LEVELS[what.level],
            _cell(what.kind),
            _cell(what.summary),
            self.events.sizes[index] if message else "",
            f"{self.events.audio_ms[index]:g}" if message else "",
            "yes" if event.number in self.marks else "",
            _cell(self.marks.notes.get(event.number, "")),
        ]
        self._csv.writerow(cells if self.raw is None else [*cells, _cell(_as_text(raw))])


class TextWriter(EventWriter):
    """Writes one line per event, as in the log; notes and raw messages follow on separate lines."""

    def write_event(self, index: int, event: SessionEvent, raw: bytes | None) -> None:
        """Writes the event's line, note and raw message."""
        what, note = describe(event), self.marks.notes.get(event.number, "")
        mark = "*" if event.number in self.marks else " "
        size = str(self.events.sizes[index] or "")
        head = f"{mark}{event.number:>7} {self.log.seconds(index):+11.3f} {what.arrow} {what.level}"
        line = f"{head} {one_line(what.kind, 80):<28} {one_line(what.summary)}"
        self.file.write(f"{line}{f'  [{size} bytes]' if size else ''}\n")
        for below in filter(None, (note, _as_text(raw))):
            self.file.write(f"{'':>12}{one_line(below)}\n")


_WRITERS: dict[ExportFormat, type[EventWriter]] = {
    ExportFormat.JSONL: JsonWriter,
    ExportFormat.CSV: CsvWriter,
    ExportFormat.TEXT: TextWriter,
}


class Export:
    """One export: call `step` until it returns a report, or call `run`. Raises `ExportError`.

    Events appended during the export are not included. The file appears only when it is complete; a cancelled
    export leaves no file.
    """

    def __init__(
        self,
        log: EventLog,
        selection: Selection,
        path: Path,
        format: ExportFormat,  # noqa: A002 - what it is
        *,
        marks: Marks | None = None,
        raw: RawMessage | None = None,
        overwrite: bool = False,
        callbacks: CallbackManager | None = None,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        self.callbacks = callbacks or CallbackManager()
        self.path = path
        self._selection, self._clock = selection, clock
        self._until, self._at, self._count = len(log.events), 0, 0
        if path.exists() and not overwrite:
            raise ExportError(f"{path} already exists. Choose another name or turn on Overwrite.")
        try:
            file = _open_beside(path)
            self._writer = _WRITERS[format](file, log, marks or Marks(), raw)
        except OSError as error:
            raise _failure(path, error) from error

    def add_progress_callback(self, callback: ProgressCallback) -> Registration:
        """Calls ``callback(fraction)`` after each step, 0.0 to 1.0."""
        return self.callbacks.register_callback(PROGRESS, callback)

    def run(self) -> ExportReport:
        """Runs the export to its end."""
        while (report := self.step(100)) is None:
            pass
        return report

    def step(self, budget_ms: float = 8.0) -> ExportReport | None:
        """Writes at least one slice, and continues for about ``budget_ms``.

        Returns the report when the export is done.
        """
        deadline = self._clock() + budget_ms / 1000
        report = None
        try:
            while self._at < self._until:
                self._write_slice()
                if self._clock() >= deadline:
                    break
            if self._at >= self._until:
                report = self._finish()
        except OSError as error:
            self.cancel()
            raise _failure(self.path, error) from error
        except BaseException:
            self.cancel()
            raise
        self.callbacks.trigger(PROGRESS, self._at / self._until if self._until else 1.0)
        return report

    def cancel(self) -> None:
        """Stops the export and removes the unfinished file."""
        file = self._writer.file
        with contextlib.suppress(OSError):  # a full disk has been reported by the write that failed
            file.close()
        Path(file.name).unlink(missing_ok=True)

    def _write_slice(self) -> None:
        if self._writer.log.events is not self._writer.events:
            raise ExportError("A new session began before the export was finished; nothing was written.")
        until = min(self._at + _SLICE, self._until)
        for index in self._selection(range(self._at, until)):
            self._writer.write(index)
            self._count += 1
        self._at = until

    def _finish(self) -> ExportReport:
        file = self._writer.file
        file.close()
        size_bytes = Path(file.name).stat().st_size
        Path(file.name).replace(self.path)
        return ExportReport(self.path, self._count, size_bytes, self._writer.missing)


def _as_json(raw: bytes) -> dict[str, str]:
    try:
        return {"raw": raw.decode()}
    except UnicodeDecodeError:
        return {"raw_base64": b64encode(raw).decode()}


def _as_text(raw: bytes | None) -> str:
    return "" if raw is None else raw.decode(errors="backslashreplace")


def _cell(text: str) -> str:
    """Returns the text for a cell, with visible control characters.

    Text that a spreadsheet would run as a formula gets an apostrophe in front.
    """
    text = visible(text)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _open_beside(path: Path) -> IO[str]:
    return tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", newline="", dir=path.parent, prefix=".export-", suffix=".part", delete=False
    )


def _failure(path: Path, error: OSError) -> ExportError:
    why = error.strerror or str(error)
    return ExportError(f"Cannot write to {path}: {why}. Choose another folder or name.")


def _bytes(count: int) -> str:
    if count < 1000:
        return f"{count} bytes"
    return f"{count / 1000:.1f} kB" if count < 1_000_000 else f"{count / 1e6:.1f} MB"
