"""Tests the fold of a load test with fake records: figures, knee, drift, omissions and losses."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from tests.load.calls import call_record, refused_record
from tui.load.canary import read_records
from tui.load.levels import knee_of, levels_of
from tui.load.output import lines_of_summary, verdict_on_capacity, words_of_drift
from tui.load.page import page_of
from tui.load.plot import ticks
from tui.load.records import (
    CallBegan,
    CallEnding,
    CallRecord,
    Record,
    TurnRecord,
    WorkerSecond,
    decode,
    encode,
)
from tui.load.summary import Summary, summarise, with_canary

START_S = 1_000_000.0


def ramp(
    most: int,
    response_ms: Callable[[int, float], float],
    *,
    late_ms: Callable[[str], float] = lambda _: 0.0,
    hold_s: float = 60.0,
    workers: int = 2,
) -> list[Record]:
    """Adds a call each second up to ``most`` calls, which continue for ``hold_s``.

    Each call has a turn every five seconds. ``response_ms`` receives the number of calls and the seconds
    since the start; ``late_ms`` receives the worker.
    """
    chance = random.Random(7)
    records: list[Record] = []
    end_s = most + hold_s
    for number in range(most):
        worker = f"worker {number % workers}"
        call = f"{worker}-{number}"
        records.append(CallBegan(call, worker, START_S + number))
        turns = []
        at_s = number + chance.uniform(0.5, 5)
        while at_s < end_s:
            now = min(int(at_s) + 1, most)
            value = response_ms(now, at_s) * chance.lognormvariate(0, 0.12)
            turns.append(TurnRecord(START_S + at_s, value, late_ms(worker)))
            at_s += 5
        records.append(
            call_record(
                call,
                START_S + number,
                end_s - number,
                worker=worker,
                active_s=START_S + number + 0.05,
                connect_ms=12.0,
                greeting_ms=300.0,
                turns=turns,
            )
        )
    return records


def limited_at(limit: int) -> Callable[[int, float], float]:
    return lambda calls, _: 600.0 if calls <= limit else 1_200.0


def failed(number: int, reason: str) -> list[Record]:
    at_s, call = START_S + number, f"refused-{number}"
    return [CallBegan(call, "worker 0", at_s), refused_record(call, at_s, reason, worker="worker 0")]


@pytest.fixture(scope="module")
def limited() -> Summary:
    return summarise(ramp(80, limited_at(40)), scenario="book", target="ws://127.0.0.1:1/pcm")


def test_a_server_that_is_slow_above_40_calls_has_a_knee_there(limited: Summary) -> None:
    assert limited.knee is not None
    assert abs(limited.knee.calls - 40) <= 5
    assert (round(limited.knee.below_ms, -2), round(limited.knee.above_ms, -2)) == (600, 1_200)
    assert verdict_on_capacity(limited).startswith(f"Knee at {limited.knee.calls} calls: median response ")


def test_a_server_that_slows_down_gradually_beyond_its_limit_has_a_knee_too() -> None:
    found = summarise(ramp(80, lambda calls, _: 600.0 + max(calls - 40, 0) * 40.0)).knee
    assert found is not None
    assert abs(found.calls - 40) <= 5


def test_a_server_that_carries_every_call_has_no_knee() -> None:
    summary = summarise(ramp(80, lambda calls, at_s: 600.0))
    assert summary.knee is None
    assert verdict_on_capacity(summary) == "No knee up to 80 simultaneous calls."


def test_responses_that_rise_evenly_from_the_first_call_have_no_knee() -> None:
    assert summarise(ramp(80, lambda calls, _: 400.0 * 1.02**calls)).knee is None


def test_few_turns_and_a_rise_that_nobody_hears_have_no_knee() -> None:
    assert knee_of([]) is None
    assert knee_of([(1, 100.0)] * 9 + [(2, 900.0)] * 10) is None
    assert knee_of([(1, 20.0)] * 50 + [(2, 40.0)] * 50) is None


def test_a_slow_worker_is_recognised_and_its_turns_are_left_out() -> None:
    def response(calls: int, at_s: float) -> float:
        return 600.0

    records = ramp(80, response, late_ms=lambda worker: 250.0 if worker == "worker 1" else 0.0)
    records += [busy("worker 1", 250.0, 0.99), busy("worker 0", 3.0, 0.5)]
    summary = summarise(records)
    slow = next(worker for worker in summary.workers if worker.name == "worker 1")
    fine = next(worker for worker in summary.workers if worker.name == "worker 0")
    assert (slow.turns_not_trusted, fine.turns_not_trusted) == (slow.turns, 0)
    assert summary.not_trusted == slow.turns
    assert summary.response.count == fine.turns
    assert (
        "1 of 2 workers were too slow (their processor was busy, by up to 250 ms)" in summary.generator_limit
    )


def test_workers_that_were_each_late_for_a_few_turns_are_named_together() -> None:
    records = [
        msgspec.structs.replace(
            record,
            turns=[
                msgspec.structs.replace(
                    turn, late_ms=40.0 if index % 3 == 0 and turn.at_s > START_S + 90 else 0.0
                )
                for index, turn in enumerate(record.turns)
            ],
        )
        if isinstance(record, CallRecord)
        else record
        for record in ramp(80, lambda calls, at_s: 600.0)
    ]
    records += [busy("worker 0", 40.0, 0.5), busy("worker 1", 35.0, 0.5)]
    summary = summarise(records)
    assert all(0 < worker.turns_not_trusted < 0.2 * worker.turns for worker in summary.workers)
    assert (
        "2 of 2 workers were too slow (their event loops fell behind, by up to 40 ms)"
        in summary.generator_limit
    )


def busy(worker: str, lag_ms: float, processor: float) -> WorkerSecond:
    return WorkerSecond(
        worker=worker,
        at_s=START_S + 50,
        calls=40,
        lag_ms=lag_ms,
        processor=processor,
        rss_bytes=120_000_000,
        descriptors=90,
        descriptors_limit=1_024,
    )


def test_no_knee_is_drawn_where_the_generator_was_the_limit() -> None:
    summary = summarise(
        ramp(80, limited_at(40), late_ms=lambda worker: 100.0 if worker == "worker 1" else 0.0)
    )
    assert summary.knee is None
    assert verdict_on_capacity(summary).startswith("No knee was determined. At high load, 5")
    assert 'class="knee"' not in page_of(summary)


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("[Errno 24] Too many open files", "file descriptors ran out"),
        ("[Errno 99] Cannot assign requested address", "local ports ran out"),
        ("[Errno 12] Cannot allocate memory", "memory ran out"),
    ],
)
def test_what_the_generator_ran_out_of_is_named(reason: str, words: str) -> None:
    limit = summarise([*ramp(30, limited_at(20)), *failed(3, reason)]).generator_limit
    assert limit.startswith(f"On the load generator, {words}")


def test_a_few_late_turns_do_not_make_the_generator_the_limit(limited: Summary) -> None:
    records = ramp(
        80, limited_at(40), late_ms=lambda worker: 90.0 if worker == "worker 9" else 0.0, workers=10
    )
    summary = summarise(records)
    assert (summary.generator_limit, summary.not_trusted > 0) == ("", True)
    assert summary.knee is not None


def test_a_leak_shows_as_drift() -> None:
    summary = summarise(ramp(20, lambda calls, at_s: 600.0 + at_s * 4, hold_s=200.0))
    assert summary.drift is not None
    assert summary.drift.last_ms - summary.drift.first_ms > 400
    words = words_of_drift(summary)
    assert words.startswith("Responses became slower at full load: median ")
    assert summary.knee is None or summary.knee.calls > 15


def test_without_a_leak_there_is_no_drift(limited: Summary) -> None:
    assert limited.drift is None
    assert words_of_drift(limited) == ""
    assert summarise(ramp(20, lambda calls, at_s: 600.0, hold_s=200.0)).drift is None


def test_failures_are_grouped_whatever_numbers_are_in_them() -> None:
    records = ramp(30, limited_at(40))
    for number, reason in enumerate(("try 17 was refused", "try 18 was refused", "no route")):
        records += failed(20 + number, reason)
    summary = summarise(records)
    assert [(cluster.count, cluster.reason) for cluster in summary.clusters] == [
        (2, "try 17 was refused"),
        (1, "no route"),
    ]
    assert (summary.clusters[0].first_s, summary.clusters[0].calls_at_first) == (20.1, 20)
    assert (summary.failed, summary.set_up, summary.set_up_tried) == (3, 30, 33)


def test_calls_whose_end_nobody_reported_are_lost_with_their_worker() -> None:
    records = ramp(10, limited_at(40))
    records.append(CallBegan("worker 1-99", "worker 1", START_S + 5))
    summary = summarise(records)
    assert (summary.calls, summary.completed, summary.lost) == (11, 10, 1)
    assert [worker.lost for worker in summary.workers] == [0, 1]
    assert "1 lost with their worker" in "\n".join(lines_of_summary(summary))


def test_the_warm_up_is_counted_and_left_out() -> None:
    summary = summarise(ramp(20, limited_at(40)), warm_up_s=10)
    assert (summary.calls, summary.completed, summary.warm_up) == (20, 10, 10)
    assert sum(level.turns for level in summary.levels) == summary.response.count
    assert summary.most_calls == 20  # they count as calls anyway


def test_calls_that_were_stopped_are_no_failures() -> None:
    record = call_record(began_s=START_S, outcome=CallEnding.STOPPED, connect_ms=5.0)
    summary = summarise([CallBegan("a", "w", START_S), record])
    assert (summary.stopped, summary.failed, summary.set_up_tried) == (1, 0, 0)
    assert summary.figures["failed"] is None
    assert verdict_on_capacity(summary) == "No response time was measured."


def test_a_run_without_records_has_a_summary() -> None:
    summary = summarise([])
    assert (summary.calls, summary.response.p50_ms, summary.knee) == (0, None, None)
    assert next(iter(lines_of_summary(summary))) == "0 calls: 0 completed, 0 failed"
    assert "<svg" not in page_of(summary)


def test_what_a_short_run_did_not_measure_of_a_worker_is_a_dash() -> None:
    unseen = page_of(summarise(failed(1, "no route")))
    assert unseen.count("<td class=n>–</td>") == 3
    assert "0 MB" not in unseen
    seen = page_of(summarise([*failed(1, "no route"), busy("worker 0", 3.0, 0.5)]))
    assert "<td class=n>120 MB</td>" in seen
    assert "<td class=n>–</td>" not in seen


def test_levels_cover_all_turns_in_at_most_twenty_parts() -> None:
    levels = levels_of([(calls, 100.0) for calls in range(1, 101)])
    assert len(levels) == 20
    assert (levels[0].calls_from, levels[0].calls_to, levels[-1].calls_to) == (1, 5, 100)
    assert sum(level.turns for level in levels) == 100


def test_records_survive_the_wire() -> None:
    records: Sequence[Record] = [*ramp(3, limited_at(2), hold_s=5.0), busy("w", 1.0, 0.1)]
    assert decode(encode(records)) == records


def test_the_page_shows_the_knee_and_is_safe_to_open(limited: Summary) -> None:
    page = page_of(limited)
    assert limited.knee is not None
    assert f"knee: {limited.knee.calls} calls" in page
    assert page.count("<svg") == 3
    assert "http://" not in page
    assert "<script" not in page
    hostile = summarise([*ramp(3, limited_at(2)), *failed(1, "<img src=x onerror=alert(1)>\x1b[2J")])
    assert "<img" not in page_of(hostile)
    assert "\x1b" not in page_of(hostile)


@pytest.mark.parametrize("most", [0.3, 1, 7, 40, 99, 1_234, 60_000])
def test_ticks_are_few_and_reach_the_most(most: float) -> None:
    found = ticks(most)
    assert found[0] == 0
    assert found[-1] >= most
    assert 2 <= len(found) <= 9
    assert 2 <= len(ticks(most, most_steps=4)) <= 5


def canary_call(at_s: float, *response_ms: float, late_ms: float = 0.0, folder: str = "") -> CallRecord:
    turns = [TurnRecord(START_S + at_s + 1, each, late_ms) for each in response_ms]
    return call_record("canary", START_S + at_s, 5, worker="canary", turns=turns, folder=folder)


def test_the_canary_is_compared_with_itself_alone(limited: Summary) -> None:
    calls = [
        canary_call(-10, 500.0, 510.0, folder="/alone"),
        canary_call(20, 600.0, 610.0, folder="/early"),
        canary_call(60, 1_190.0, 1_210.0, folder="/worst"),
        canary_call(70, 9_000.0, late_ms=50.0),
    ]
    canary = with_canary(limited, calls).canary
    assert canary is not None
    assert (canary.idle.count, canary.idle.p50_ms, canary.idle_folder) == (2, 500.0, "/alone")
    assert (canary.loaded.count, canary.loaded.worst_ms, canary.loaded_folder) == (4, 1_210.0, "/worst")
    page = page_of(with_canary(limited, calls))
    assert "The canary: one caller, alone and alongside the others" in page
    assert "/worst" in page


def test_without_a_canary_there_is_no_word_of_it(limited: Summary) -> None:
    assert with_canary(limited, []) is limited
    assert "canary" not in page_of(limited) + "\n".join(lines_of_summary(limited))


def test_records_of_the_canary_are_read_up_to_the_last_whole_line(tmp_path: Path) -> None:
    file = tmp_path / "canary.jsonl"
    assert read_records(str(file)) == read_records("") == []
    call = canary_call(0, 500.0)
    line = msgspec.json.encode(call) + b"\n"
    file.write_bytes(line + line[:40])
    assert read_records(str(file)) == [call]
