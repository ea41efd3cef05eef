from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tui.models.tally import Tally


def test_the_first_is_told_at_once_and_the_flood_once_an_interval() -> None:
    tally: Tally[str] = Tally(interval_ns=100)
    told = [tally.add("x", at_ns) for at_ns in range(1000, 1250)]
    assert [count for count in told if count is not None] == [1, 101, 201]
    assert tally.untold(1260) == []
    assert tally.untold(1300) == [("x", 250)]
    assert tally.untold(1500) == []


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 50)), max_size=200))
def test_in_the_end_every_one_is_told(things: list[tuple[str, int]]) -> None:
    tally: Tally[str] = Tally(interval_ns=100)
    told: dict[str, int] = {}
    at_ns = 0
    for kind, later_ns in things:
        at_ns += later_ns
        if (count := tally.add(kind, at_ns)) is not None:
            told[kind] = count
    told |= dict(tally.untold(at_ns, all_of_them=True))
    assert told == {kind: sum(k == kind for k, _ in things) for kind, _ in things}
