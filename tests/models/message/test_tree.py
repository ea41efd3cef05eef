from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.models.message.json import (
    JsonNumber,
    JsonObject,
    Path,
    as_json,
    child_at,
    children_of,
    decode_json,
    from_builtins,
    path_text,
    shown_key,
)
from tui.models.message.tree import OPENED_LINES, EventTree

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=16,
)


def fits(path: Path, text: str) -> bool:
    return len(text) <= 4


def halves(path: Path, text: str) -> list[str]:
    return [text[: len(text) // 2], text[len(text) // 2 :]]


def tree_of(value: object) -> EventTree:
    return EventTree(decode_json(json.dumps(value)), fits, halves)


def shown(tree: EventTree) -> list[str]:
    lines = [tree.line(index) for index in range(len(tree))]
    return [
        f"{'  ' * line.depth}{path_text(line.path)}" + ("" if line.text is None else f" {line.text}")
        for line in lines
    ]


def every_line(value: object, path: Path = (), *, depth: int = 0) -> list[str]:
    """Returns all lines of a value with everything open, found in a simple way."""
    lines: list[str] = []
    for place in range(len(children_of(value))):
        key, child = child_at(value, place)
        below = (*path, key)
        lines.append(f"{'  ' * depth}{path_text(below)}")
        if type(child) is str and not fits(below, child):
            lines += [f"{'  ' * (depth + 1)}{path_text(below)} {half}" for half in halves(below, child)]
        lines += every_line(child, below, depth=depth + 1)
    return lines


# JSON as it was sent.


@given(JSON)
def test_json_is_written_as_it_was_read(value: object) -> None:
    assert json.loads(as_json(decode_json(json.dumps(value)))) == value
    assert json.loads(as_json(from_builtins(value))) == value


def test_numbers_order_and_twins_stay_as_they_were_sent() -> None:
    raw = '{"b": 1.50, "a": [1e3, true, null, {}, []], "b": "é\\u001b"}'
    assert as_json(decode_json(raw)) == '{"b": 1.50, "a": [1e3, true, null, {}, []], "b": "é\\u001b"}'


@pytest.mark.parametrize("raw", ["", "{", "[" * 100_000, "\ud800", b"\xff\xfe\x00"])
def test_invalid_json_is_refused(raw: str | bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - what it says is for nobody
        decode_json(raw)


def test_depth_is_no_matter_to_writing() -> None:
    value: object = JsonNumber("1")
    for _ in range(50_000):
        value = [JsonObject([("a", value)])]
    assert len(as_json(value)) == 50_000 * len('[{"a": }]') + 1


def test_paths_are_written_as_one_writes_them() -> None:
    assert path_text(()) == "$"
    assert path_text(("session", "tools", 3, "name")) == "$.session.tools[3].name"
    assert path_text(("odd name", 'a"b', "")) == '$["odd name"]["a\\"b"][""]'
    assert (shown_key("a"), shown_key(3), shown_key("a b")) == ("a", "3", '"a b"')


# The tree.


@given(JSON)
def test_opened_line_by_line_it_shows_everything(value: object) -> None:
    tree = tree_of(value)
    index = 0
    while index < len(tree):
        if tree.line(index).opened is False:
            tree.toggle(index)
        index += 1
    decoded = decode_json(json.dumps(value))
    if children_of(decoded):
        assert shown(tree) == every_line(decoded)
    while any(tree.line(index).opened for index in range(len(tree))):
        tree.toggle(max(index for index in range(len(tree)) if tree.line(index).opened))
    assert len(tree) == max(len(children_of(decoded)), 1)


@given(JSON, st.data())
def test_opening_and_closing_a_line_keeps_the_lines_below(value: object, data: st.DataObject) -> None:
    tree = tree_of(value)
    for _ in range(8):
        if not len(tree):
            return
        index = data.draw(st.integers(0, len(tree) - 1))
        before, state = shown(tree), tree.line(index).opened
        assert tree.toggle(index) is (state is not None)
        after = shown(tree)
        assert after[: index + 1] == before[: index + 1]
        if state is not None:
            longer, shorter = (before, after) if state else (after, before)
            changed = len(longer) - len(shorter)
            assert longer[index + 1 + changed :] == shorter[index + 1 :]
            assert tree.line(index).opened is not state
            assert all(tree.parent(index + 1 + n) >= index for n in range(changed if not state else 0))


@given(JSON)
def test_the_parent_of_a_line_encloses_it(value: object) -> None:
    tree = tree_of(value)
    tree.open_some(lambda _: True)
    for index in range(len(tree)):
        line, parent = tree.line(index), tree.parent(index)
        if line.text is not None:
            assert tree.line(parent).path == line.path
        elif len(line.path) > 1:
            assert tree.line(parent).path == line.path[:-1]
        else:
            assert parent == index


def test_a_value_alone_is_one_line_and_a_long_text_alone_opens() -> None:
    assert shown(tree_of(None)) == ["$"]
    tree = tree_of("sixsix")
    assert tree.toggle(0)
    assert shown(tree) == ["$", "  $ six", "  $ six"]
    assert len(tree_of({})) == 1
    assert tree_of({}).line(0).opened is None


def test_small_things_are_open_from_the_start_and_large_ones_are_not() -> None:
    tree = tree_of({"a": {"b": {"c": 1}}, "many": list(range(101)), "text": "longer", "noise": "AAAAAAAA"})
    tree.open_some(lambda value: value != "AAAAAAAA")
    assert [path.strip() for path in shown(tree)] == [
        "$.a",
        "$.a.b",
        "$.a.b.c",
        "$.many",
        "$.text",
        "$.text lon",
        "$.text ger",
        "$.noise",
    ]


def test_no_more_is_open_from_the_start_than_one_reads() -> None:
    tree = tree_of([[list(range(50))] * 90] * 90)
    tree.open_some(lambda _: True)
    assert 100 < len(tree) <= OPENED_LINES


def test_texts_are_wrapped_again_at_a_new_width() -> None:
    size = 2

    def pieces(path: Path, text: str) -> list[str]:
        return [text[at : at + size] for at in range(0, len(text), size)]

    tree = EventTree(decode_json('["abcdef", [1]]'), fits, pieces)
    tree.toggle(0)
    tree.toggle(4)
    assert len(tree) == 6
    size = 3
    tree.reflow()
    assert [tree.line(index).text for index in range(len(tree))] == [None, "abc", "def", None, None]
    with pytest.raises(IndexError):
        tree.line(5)
