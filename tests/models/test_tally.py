from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tui.models.tally import Count, Tally


def test_the_first_is_reported_at_once_and_a_flood_once_an_interval() -> None:
    tally: Tally[str] = Tally(interval_ns=100)
    reported = [tally.add("x", at_ns) for at_ns in range(1000, 1250)]
    assert [count for count in reported if count] == [Count(1, 1), Count(101, 100), Count(201, 100)]
    assert tally.due(1260) == []
    assert tally.due(1300) == [("x", Count(250, 49))]
    assert tally.due(1500) == []


def test_a_total_that_is_counted_elsewhere_is_reported_when_it_has_grown() -> None:
    tally: Tally[str] = Tally(interval_ns=100)
    assert tally.update("x", 0, 1000) is None
    assert tally.update("x", 2.5, 1000) == Count(2.5, 2.5)
    assert tally.update("x", 4, 1050) is None
    assert tally.update("x", 4, 1050, final=True) == Count(4, 1.5)
    assert tally.update("x", 4, 1500, final=True) is None


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 50)), max_size=200))
def test_in_the_end_everything_is_reported_once(things: list[tuple[str, int]]) -> None:
    tally: Tally[str] = Tally(interval_ns=100)
    totals: dict[str, float] = {}
    new: dict[str, float] = {}

    def take(kind: str, count: Count | None) -> None:
        if count:
            totals[kind] = count.total
            new[kind] = new.get(kind, 0) + count.new

    at_ns = 0
    for kind, later_ns in things:
        at_ns += later_ns
        take(kind, tally.add(kind, at_ns))
    for kind, count in tally.due(at_ns, final=True):
        take(kind, count)
    assert totals == new == {kind: sum(k == kind for k, _ in things) for kind, _ in things}
