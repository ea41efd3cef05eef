"""Export: events as a file of JSON Lines, CSV or text, in slices, whole or not at all.

Lines of JSON hold the events as they are, and can be read back as such. CSV and text are made to be looked at: what
the agent sent passes `visible`, and nothing of it can be taken for a formula.
"""

from __future__ import annotations

import contextlib
import csv
import json
import tempfile
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
"""Which of some positions in the log are wanted: `everything`, `marked`, or `EventView.select` for what is shown."""

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
"""Of a CSV file; ``raw`` follows where raw messages are wanted."""

_SLICE = 512
_LEVELS = {" ": "", "!": "warning", "✗": "error"}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class ExportFormat(StrEnum):
    """What is written, by the ending of the file."""

    JSONL = "jsonl"
    CSV = "csv"
    TEXT = "txt"


class ExportError(Exception):
    """Nothing was written; the text is a sentence for the user."""


class ExportReport(msgspec.Struct, frozen=True):
    """What was written."""

    path: Path
    events: int
    size_bytes: int
    seconds: float
    missing: int = 0
    """Messages that should have been in it raw, and were not kept."""

    def __str__(self) -> str:
        events = f"{self.events:,} event" + ("" if self.events == 1 else "s")
        lack = f"; {self.missing:,} raw messages were not kept" if self.missing else ""
        return f"{events}, {_bytes(self.size_bytes)}, in {_duration(self.seconds)}{lack}"


def everything(among: Sequence[int]) -> Sequence[int]:
    """All events, those without a row too."""
    return among


def marked(log: EventLog, marks: Marks) -> Selection:
    """The marked events."""
    numbers, wanted = log.events.numbers, set(marks.numbers)
    return lambda among: [index for index in among if numbers[index] in wanted]


class Export:
    """One export: call `step` until it gives a report, or `run`. Raises `ExportError`.

    What comes while it runs is not in it. The file appears when it is whole; an export that is not finished leaves
    none behind once it is cancelled.
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
        self._log, self._selection, self._raw = log, selection, raw
        self._marks = Marks() if marks is None else marks
        self._clock, self._began = clock, clock()
        self._events = log.events
        self._until, self._at = len(log.events), 0
        self._count = self._missing = 0
        self._write = {
            ExportFormat.JSONL: self._write_json,
            ExportFormat.CSV: self._write_csv,
            ExportFormat.TEXT: self._write_text,
        }[format]
        if path.exists() and not overwrite:
            raise ExportError(f"{path} exists already; give another name, or say that it is to be replaced.")
        try:
            self._file = _open_beside(path)
            self._csv = csv.writer(self._file)
            if format is ExportFormat.CSV:
                self._csv.writerow([*COLUMNS, "raw"] if raw else COLUMNS)
        except OSError as error:
            raise _failure(path, error) from error

    def add_progress_callback(self, callback: ProgressCallback) -> Registration:
        """Call ``callback(fraction)`` after each step, 0.0 to 1.0."""
        return self.callbacks.register_callback(PROGRESS, callback)

    def run(self) -> ExportReport:
        """Write it all."""
        while (report := self.step(100)) is None:
            pass
        return report

    def step(self, budget_ms: float = 8.0) -> ExportReport | None:
        """Write for about so long, at least one slice; the report when it is done."""
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
        """Give up; nothing is left behind."""
        with contextlib.suppress(OSError):  # a full disk is told of once
            self._file.close()
        Path(self._file.name).unlink(missing_ok=True)

    def _write_slice(self) -> None:
        if self._log.events is not self._events:
            raise ExportError("A new session began before the export was done; nothing was written.")
        until = min(self._at + _SLICE, self._until)
        for index in self._selection(range(self._at, until)):
            event = self._events[index]
            self._write(index, event, self._raw_of(event))
            self._count += 1
        self._at = until

    def _finish(self) -> ExportReport:
        self._file.close()
        size_bytes = Path(self._file.name).stat().st_size
        Path(self._file.name).replace(self.path)
        return ExportReport(self.path, self._count, size_bytes, self._clock() - self._began, self._missing)

    def _raw_of(self, event: SessionEvent) -> bytes | None:
        if self._raw is None or not isinstance(event, MessageLogged):
            return None
        raw = self._raw(event)
        self._missing += raw is None
        return raw

    def _write_json(self, index: int, event: SessionEvent, raw: bytes | None) -> None:
        extra: dict[str, Any] = {"seconds": round(self._log.seconds(index), 6)}
        if event.number in self._marks:
            extra["marked"] = True
        if note := self._marks.notes.get(event.number):
            extra["note"] = note
        if raw is not None:
            extra |= _as_json(raw)
        try:
            line = msgspec.json.encode(event)[:-1] + b"," + msgspec.json.encode(extra)[1:]
            self._file.write(line.decode() + "\n")
        except UnicodeEncodeError:  # lone surrogates, which JSON can only hold escaped
            self._file.write(json.dumps(msgspec.to_builtins(event) | extra) + "\n")

    def _write_csv(self, index: int, event: SessionEvent, raw: bytes | None) -> None:
        what, message = describe(event), isinstance(event, MessageLogged)
        cells = [
            event.number,
            f"{self._log.seconds(index):.3f}",
            event.direction if isinstance(event, MessageLogged) else "own",
            _LEVELS[what.level],
            _cell(what.kind),
            _cell(what.summary),
            self._events.sizes[index] if message else "",
            f"{self._events.audio_ms[index]:g}" if message else "",
            "yes" if event.number in self._marks else "",
            _cell(self._marks.notes.get(event.number, "")),
        ]
        self._csv.writerow(cells if self._raw is None else [*cells, _cell(_as_text(raw))])

    def _write_text(self, index: int, event: SessionEvent, raw: bytes | None) -> None:
        what, note = describe(event), self._marks.notes.get(event.number, "")
        mark = "*" if event.number in self._marks else " "
        size = str(self._events.sizes[index] or "")
        head = f"{mark}{event.number:>7} {self._log.seconds(index):+11.3f} {what.arrow} {what.level}"
        line = f"{head} {one_line(what.kind, 80):<28} {one_line(what.summary)}"
        self._file.write(f"{line}{f'  [{size} bytes]' if size else ''}\n")
        for below in filter(None, (note, _as_text(raw))):
            self._file.write(f"{'':>12}{one_line(below)}\n")


def _as_json(raw: bytes) -> dict[str, str]:
    try:
        return {"raw": raw.decode()}
    except UnicodeDecodeError:
        return {"raw_base64": b64encode(raw).decode()}


def _as_text(raw: bytes | None) -> str:
    return "" if raw is None else raw.decode(errors="backslashreplace")


def _cell(text: str) -> str:
    """What a spreadsheet would take for a formula begins with an apostrophe, which it takes for text."""
    text = visible(text)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _open_beside(path: Path) -> IO[str]:
    return tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", newline="", dir=path.parent, prefix=".export-", suffix=".part", delete=False
    )


def _failure(path: Path, error: OSError) -> ExportError:
    why = error.strerror or str(error)
    return ExportError(f"{path} cannot be written: {why}. Give another place or name.")


def _bytes(count: int) -> str:
    if count < 1000:
        return f"{count} bytes"
    return f"{count / 1000:.1f} kB" if count < 1_000_000 else f"{count / 1e6:.1f} MB"


def _duration(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
