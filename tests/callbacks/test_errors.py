from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.failures import ListedReporter
from tui.callbacks import ErrorReporter, FailureReport
from tui.callbacks.errors import MESSAGE_LIMIT
from tui.callbacks.testing import MockCallback


def test_each_distinct_failure_is_reported_once_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    reporter, listener = ErrorReporter(), MockCallback()
    reporter.subscribe(listener)
    for _ in range(3):
        reporter.report(ValueError("bad"), callback="save", event="stop")
    listener.assert_called_once()
    report = FailureReport("save", "stop", "ValueError", "bad")
    listener.assert_called_with(report)
    assert str(report) == "Callback save failed on stop: ValueError: bad."
    assert report.reason == "Failed on stop: ValueError: bad."
    assert caplog.messages == ["Callback save failed on stop: ValueError: bad."]
    assert reporter.total == 3


@pytest.mark.parametrize(
    ("error", "callback", "event"),
    [
        (ValueError("worse"), "save", "stop"),
        (TypeError("bad"), "save", "stop"),
        (ValueError("bad"), "load", "stop"),
        (ValueError("bad"), "save", "start"),
    ],
)
def test_name_event_type_and_message_make_it_distinct(error: Exception, callback: str, event: str) -> None:
    reporter = ListedReporter()
    reporter.report(ValueError("bad"), callback="save", event="stop")
    reporter.report(error, callback=callback, event=event)
    assert len(reporter.reports) == 2


def test_the_log_has_the_traceback(caplog: pytest.LogCaptureFixture) -> None:
    try:
        raise ValueError("bad")
    except ValueError as error:
        ErrorReporter().report(error, callback="save")
    assert "Traceback" in caplog.text
    assert "Callback save failed: ValueError: bad." in caplog.text


@pytest.mark.parametrize(("reporter", "limit"), [(ErrorReporter(), 100), (ErrorReporter(limit=3), 3)])
def test_a_hundred_distinct_failures_are_reported_unless_another_limit_is_set(
    reporter: ErrorReporter, limit: int
) -> None:
    listener = MockCallback()
    reporter.subscribe(listener)
    for number in range(1000):
        reporter.report(ValueError(str(number)), callback="save")
    reporter.report(ValueError("0"), callback="save")
    *distinct, others = [args[0].message for args, _ in listener.calls]
    assert distinct == [str(number) for number in range(limit)]
    assert others == f"more than {limit} distinct errors"
    assert reporter.total == 1001


def test_a_long_message_is_cut_and_an_unprintable_one_is_survived() -> None:
    class Unprintable(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    reporter = ListedReporter()
    reporter.report(ValueError("x" * 10_000), callback="save")
    reporter.report(Unprintable(), callback="save")
    long, unprintable = reporter.reports
    assert len(long.message) == MESSAGE_LIMIT + 1
    assert (unprintable.error, unprintable.message) == ("Unprintable", "(the error text cannot be printed)")


def test_a_failing_listener_stops_neither_the_others_nor_the_reporter(
    caplog: pytest.LogCaptureFixture,
) -> None:
    reporter, after = ErrorReporter(), MockCallback()
    reporter.subscribe(MockCallback(side_effect=RuntimeError("listener")))
    reporter.subscribe(after)
    reporter.report(ValueError("bad"), callback="save")
    after.assert_called_once()
    assert "an error listener failed" in caplog.text


def test_a_listener_that_causes_the_same_failure_again_comes_to_an_end() -> None:
    reporter = ErrorReporter()
    reporter.subscribe(lambda _: reporter.report(ValueError("bad"), callback="save"))
    reporter.report(ValueError("bad"), callback="save")
    assert reporter.total == 2


def test_a_listener_can_leave() -> None:
    reporter, listener = ErrorReporter(), MockCallback()
    unsubscribe = reporter.subscribe(listener)
    unsubscribe()
    unsubscribe()
    reporter.report(ValueError("bad"), callback="save")
    listener.assert_not_called()


def test_a_failure_is_reported_again_after_clear() -> None:
    reporter, listener = ErrorReporter(), MockCallback()
    reporter.subscribe(listener)
    reporter.report(ValueError("bad"), callback="save")
    reporter.clear()
    assert reporter.total == 0
    reporter.report(ValueError("bad"), callback="save")
    assert listener.call_count == 2


def test_failures_of_several_threads_are_all_counted() -> None:
    reporter, listener = ErrorReporter(), MockCallback()
    reporter.subscribe(listener)

    def fail() -> None:
        for _ in range(500):
            reporter.report(ValueError("bad"), callback="save")

    with ThreadPoolExecutor(4) as pool:
        for worker in [pool.submit(fail) for _ in range(4)]:
            worker.result(10)
    listener.assert_called_once()
    assert reporter.total == 2000
