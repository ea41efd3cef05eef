from __future__ import annotations

import base64
import csv
import json
from itertools import count
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

from tests.builders import chunk, error, message, said, started
from tests.failures import ListedReporter
from tests.models.log.event_logs import RECEIVED, SENT, event_lists, log_of, marked
from tui.callbacks import CallbackManager
from tui.callbacks.testing import MockCallback
from tui.models import events as e
from tui.models.filter.language import parse
from tui.models.log.event_log import EventLog
from tui.models.log.export import COLUMNS, Export, ExportError, ExportFormat, ExportReport, everything
from tui.models.log.export import marked as marked_in
from tui.models.log.view import EventView

JSONL, CSV, TEXT = ExportFormat.JSONL, ExportFormat.CSV, ExportFormat.TEXT


def call() -> EventLog:
    return log_of(
        started(),
        message("hello", SENT, at_ms=1500, size_bytes=12),
        chunk(RECEIVED, at_ms=1600),
        said(e.Party.USER, "hi"),
        error("it \x1b[31mbroke\u202e"),
        e.NoticeRaised(at_ns=0, text="=1+2"),
    )


def raw_message(event: e.MessageLogged) -> bytes | None:
    return {2: b'{"a":\n"\xc3\xa4"}', 3: b"\xff\x00"}.get(event.number)


def read_events(path: Path) -> list[e.SessionEvent]:
    decoder = msgspec.json.Decoder(e.SessionEvent)
    return [decoder.decode(line) for line in path.read_bytes().splitlines()]


def test_everything_as_json_can_be_read_back(tmp_path: Path) -> None:
    log, path = call(), tmp_path / "events.jsonl"
    marks = marked(2, notes={5: "why?"})
    report = Export(log, everything, path, JSONL, marks=marks, raw=raw_message).run()
    assert read_events(path) == log.events
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line.get("raw") for line in lines[1:3]] == ['{"a":\n"ä"}', None]
    assert base64.b64decode(lines[2]["raw_base64"]) == b"\xff\x00"
    assert (lines[1]["seconds"], lines[1]["marked"], lines[4]["note"]) == (1.5, True, "why?")
    assert (report.path, report.events, report.missing) == (path, 6, 0)
    assert report.size_bytes == path.stat().st_size


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(event_lists())
def test_any_events_can_be_read_back(tmp_path: Path, events: list[e.SessionEvent]) -> None:
    path = tmp_path / "events.jsonl"
    report = Export(log_of(*events), everything, path, JSONL, overwrite=True).run()
    assert read_events(path) == events
    assert report.events == len(events)


def test_lone_surrogates_are_written_escaped(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    Export(log_of(error("\ud800!")), everything, path, JSONL).run()
    assert json.loads(path.read_text())["message"] == "\ud800!"
    Export(log_of(error("\ud800!")), everything, tmp_path / "e.txt", TEXT).run()
    assert "‹D800›!" in (tmp_path / "e.txt").read_text()


def test_csv_is_a_table_in_which_nothing_acts(tmp_path: Path) -> None:
    path, marks = tmp_path / "events.csv", marked(2, notes={2: '-- see, "this"'})
    Export(call(), everything, path, CSV, marks=marks).run()
    with path.open(newline="") as file:
        table = list(csv.reader(file))
    assert table[0] == list(COLUMNS)
    assert table[2] == [
        "2", "1.500", "sent", "", "hello", "summary of hello", "12", "0", "yes", "'-- see, \"this\"",
    ]  # fmt: skip
    assert table[5][2:6] == ["own", "error", "error", "agent: it ␛[31mbroke‹202E›"]
    assert table[6][5] == "'=1+2"
    assert {len(row) for row in table} == {len(COLUMNS)}


def test_csv_with_raw_messages(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    Export(call(), everything, path, CSV, raw=raw_message).run()
    with path.open(newline="") as file:
        table = list(csv.reader(file))
    assert [row[-1] for row in table] == ["raw", "", '{"a":\n"ä"}', r"\xff␀", "", "", ""]


def test_text_is_one_line_an_event(tmp_path: Path) -> None:
    path, marks = tmp_path / "events.txt", marked(5, notes={2: "greets"})
    Export(call(), everything, path, TEXT, marks=marks).run()
    lines = path.read_text().splitlines()
    assert lines[1] == "       2      +1.500 →   hello                        summary of hello  [12 bytes]"
    assert lines[2] == "            greets"
    assert lines[5].startswith("*      5      +0.000 · ✗ error ")
    assert "\x1b" not in path.read_text()


def test_export_of_shown_or_marked_events(tmp_path: Path) -> None:
    log, marks = call(), marked(4, 5)
    view = EventView(log, marks)
    view.set_filter(parse("errors or audio or kind:transcript"))
    Export(log, view.select, tmp_path / "shown.jsonl", JSONL).run()
    assert [event.number for event in read_events(tmp_path / "shown.jsonl")] == [3, 5]
    Export(log, marked_in(log, marks), tmp_path / "marked.jsonl", JSONL).run()
    assert [event.number for event in read_events(tmp_path / "marked.jsonl")] == [4, 5]


def test_it_goes_in_slices_with_progress_and_appears_whole(tmp_path: Path) -> None:
    log = log_of(*(message(f"m{n}") for n in range(2000)))
    ticks, progress, path = count(), MockCallback(), tmp_path / "events.txt"
    export = Export(log, everything, path, TEXT, clock=lambda: float(next(ticks)))
    export.add_progress_callback(progress)
    log.apply(message("late"))
    assert export.step(0) is None
    assert not path.exists()
    while (report := export.step(0)) is None:
        pass
    assert [round(args[0], 3) for args, _ in progress.calls] == [0.256, 0.512, 0.768, 1.0]
    assert report.events == 2000 == len(path.read_text().splitlines())
    assert [file.name for file in tmp_path.iterdir()] == ["events.txt"]


def test_a_failing_progress_callback_does_not_end_it(tmp_path: Path) -> None:
    reporter = ListedReporter()
    export = Export(call(), everything, tmp_path / "x.txt", TEXT, callbacks=CallbackManager(reporter))
    export.add_progress_callback(MockCallback(side_effect=RuntimeError("broken")))
    assert export.run().events == 6
    assert [report.message for report in reporter.reports] == ["broken"]


def test_a_cancelled_export_leaves_no_file(tmp_path: Path) -> None:
    log = log_of(*(message() for _ in range(2000)))
    export = Export(log, everything, tmp_path / "x.txt", TEXT)
    export.step(-1)
    export.cancel()
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_replaced_only_on_request(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("mine")
    with pytest.raises(ExportError, match="already exists"):
        Export(call(), everything, path, TEXT)
    assert path.read_text() == "mine"
    Export(call(), everything, path, TEXT, overwrite=True).run()
    assert "hello" in path.read_text()


def test_a_place_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"Cannot write to .*: No such file or directory"):
        Export(call(), everything, tmp_path / "no" / "x.txt", TEXT)
    with pytest.raises(ExportError, match=r"Cannot write to .*: Is a directory"):
        Export(call(), everything, tmp_path, TEXT, overwrite=True).run()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
def test_a_full_disk_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export = Export(call(), everything, tmp_path / "x.txt", TEXT)
    export._writer.file.close()
    part = Path(export._writer.file.name)
    part.unlink()
    part.symlink_to("/dev/full")
    export._writer.file = part.open("w")
    with pytest.raises(ExportError, match="No space left on device"):
        export.run()
    assert list(tmp_path.iterdir()) == []


def test_a_new_session_ends_it(tmp_path: Path) -> None:
    log = call()
    export = Export(log, everything, tmp_path / "x.txt", TEXT)
    log.apply(started())
    with pytest.raises(ExportError, match="new session"):
        export.run()
    assert list(tmp_path.iterdir()) == []


def test_an_empty_log_is_an_empty_file(tmp_path: Path) -> None:
    progress = MockCallback()
    export = Export(EventLog(), everything, tmp_path / "x.jsonl", JSONL)
    export.add_progress_callback(progress)
    assert export.run().events == 0
    progress.assert_called_with(1.0)
    assert (tmp_path / "x.jsonl").read_bytes() == b""


def test_messages_that_were_not_kept_are_counted(tmp_path: Path) -> None:
    report = Export(call(), everything, tmp_path / "x.jsonl", JSONL, raw=lambda event: None).run()
    assert report.missing == 2
    assert str(report).endswith("; 2 raw messages were not kept")


@pytest.mark.parametrize(
    ("events", "size_bytes", "text"),
    [
        (18_220, 4_100_000, "Wrote 18,220 events (4.1 MB) to /tmp/x.csv"),
        (1, 999, "Wrote 1 event (999 bytes) to /tmp/x.csv"),
        (0, 1000, "Wrote 0 events (1.0 kB) to /tmp/x.csv"),
    ],
)
def test_the_report_is_a_sentence(events: int, size_bytes: int, text: str) -> None:
    assert str(ExportReport(Path("/tmp/x.csv"), events, size_bytes)) == text
