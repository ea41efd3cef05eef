from __future__ import annotations

from tests.builders import MS, status
from tui.models.events import Condition, ConditionChanged, SessionEvent, Status
from tui.models.turns.metrics import MetricsFold
from tui.models.turns.stalls import Stalls

STALLED, VANISHED = Condition.STALLED, Condition.VANISHED


def told(
    condition: Condition,
    at_ms: int,
    *,
    active: bool = True,
    since_ms: int | None = None,
    path: str = "capture",
) -> ConditionChanged:
    since_ns = None if since_ms is None else since_ms * MS
    return ConditionChanged(
        at_ns=at_ms * MS, condition=condition, path=path, active=active, since_ns=since_ns
    )


def stalls(*events: SessionEvent) -> dict[str, Stalls]:
    fold = MetricsFold()
    for event in events:
        fold.apply(event)
    return fold.metrics.stalls


def test_every_stall_is_counted_from_the_last_sound_by_device() -> None:
    assert stalls(
        told(STALLED, 1500, since_ms=1000),
        told(STALLED, 1700, active=False, since_ms=1000),
        told(STALLED, 4000, since_ms=3500),
        told(STALLED, 4100, path="playback"),
        told(STALLED, 4200, active=False),
        told(STALLED, 4600, active=False, path="playback"),
    ) == {"capture": Stalls(2, 1400.0), "playback": Stalls(1, 500.0)}


def test_one_that_turns_out_to_be_a_loss_is_the_same_one() -> None:
    assert stalls(
        told(STALLED, 1500, since_ms=1000),
        told(STALLED, 2000, active=False, since_ms=1000),
        told(VANISHED, 2000, since_ms=1000),
        told(VANISHED, 5000, active=False, since_ms=1000),
    ) == {"capture": Stalls(1, 4000.0)}


def test_the_end_of_the_session_ends_it() -> None:
    begun = told(STALLED, 1500, since_ms=1000)
    assert stalls(begun) == {"capture": Stalls(1)}
    assert stalls(begun, status(Status.ENDING, Status.ENDED, at_ms=3000)) == {"capture": Stalls(1, 2000.0)}


def test_other_conditions_are_none_of_its_business() -> None:
    assert stalls(told(Condition.ECHO, 1000), told(Condition.ARRIVAL_STALL, 1000)) == {}


def test_it_reads_as_how_often_and_how_long() -> None:
    assert [str(each) for each in (Stalls(1), Stalls(1, 710.0), Stalls(12, 61_000))] == [
        "once, not over",
        "once, 0.7 s",
        "12 times, 61.0 s",
    ]
