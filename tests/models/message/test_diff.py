from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models.message.test_tree import JSON
from tui.models.message.diff import MAX_ROWS, Comparison, Difference, Missing, compare
from tui.models.message.json import decode_json, path_text


def compared(left: object, right: object) -> Comparison:
    return compare(decode_json(json.dumps(left)), decode_json(json.dumps(right)))


def shown(comparison: Comparison) -> list[str]:
    return [
        f"{row.difference.value} {path_text(row.path)}"
        + (" …" if row.inside else f" ×{row.alike}" if row.alike else "")
        for row in comparison.rows
    ]


def test_members_are_compared_by_name_and_equal_parts_are_one_row() -> None:
    left = {"type": "a", "gone": 1, "deep": {"same": {"x": [1, 2]}, "voice": "ash", "n": 1}}
    right = {"type": "a", "deep": {"n": "1", "same": {"x": [1, 2]}, "voice": "ash"}, "new": None}
    comparison = compared(left, right)
    assert shown(comparison) == [
        "  $.type",
        "- $.gone",
        "~ $.deep …",
        "  $.deep.same",
        "  $.deep.voice",
        "~ $.deep.n",
        "+ $.new",
    ]
    assert str(comparison) == "1 changed, 1 only left, 1 only right"


def test_elements_are_compared_by_place_and_many_alike_are_one_row() -> None:
    left, right = list(range(2000)), list(range(2001))
    right[1000] = -1
    comparison = compared({"list": left}, {"list": right})
    assert shown(comparison) == [
        "~ $.list …",
        "  $.list[0] ×1000",
        "~ $.list[1000]",
        "  $.list[1001] ×999",
        "+ $.list[2000]",
    ]


@pytest.mark.parametrize(
    ("left", "right", "row"),
    [
        (1, 1, "  $"),
        (1, "1", "~ $"),
        ([], {}, "~ $"),
        ([], [], "  $"),
        ([], [1], "~ $"),
        (True, 1, "~ $"),
        (None, "x", "~ $"),
    ],
)
def test_values_alone(left: object, right: object, row: str) -> None:
    assert shown(compared(left, right)) == [row]


def test_names_that_come_twice_are_not_merged() -> None:
    comparison = compare(decode_json('{"a": 1, "a": 2}'), decode_json('{"a": 1}'))
    assert shown(comparison) == ["  $.a", '- $["a (×2)"]']


@settings(max_examples=50)
@given(JSON, JSON)
def test_it_finds_none_in_the_same_and_the_opposite_the_other_way_round(left: object, right: object) -> None:
    assert str(compared(left, left)) == "no difference"
    there, back = compared(left, right), compared(right, left)
    assert (there.added, there.removed, there.changed) == (back.removed, back.added, back.changed)
    if str(there) == "no difference":
        assert decode_json(json.dumps(left)) == decode_json(json.dumps(right))


@settings(max_examples=30)
@given(st.dictionaries(st.text(max_size=3), JSON, min_size=1), st.data())
def test_a_member_taken_away_is_missing(value: dict[str, object], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(value)))
    rest = {other: value[other] for other in value if other != name}
    rows = compared(value, {**rest, "stays": 1}).rows
    assert [row.path for row in rows if isinstance(row.right, Missing)] == [(name,)]


def test_deep_and_long_ones_are_bounded() -> None:
    deep = "[" * 800 + "%d" + "]" * 800
    assert compare(decode_json(deep % 1), decode_json(deep % 2)).changed == 1
    comparison = compared(list(range(100_000)), list(range(1, 100_001)))
    assert len(comparison.rows) == MAX_ROWS
    assert str(comparison) == f"{MAX_ROWS:,} changed, and more"
    assert comparison.rows[0].difference is Difference.CHANGED
