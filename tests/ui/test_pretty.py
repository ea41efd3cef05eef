from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.widgets.pretty import MAX_LINES, MAX_RAW, elided, pretty, raw_lines

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_short_json_keeps_its_meaning(value: object) -> None:
    text = json.dumps(value)
    lines = pretty(text.encode())
    if text.isascii() and "\\u" not in text:
        assert json.loads("\n".join(lines)) == value


def test_looks_like_json() -> None:
    raw = b'{"b":1.50,"a":[true,null,{}],"b":[]}'
    assert pretty(raw) == [
        "{",
        '  "b": 1.50,',
        '  "a": [',
        "    true,",
        "    null,",
        "    {}",
        "  ],",
        '  "b": []',
        "}",
    ]


def test_long_strings_show_their_length() -> None:
    assert elided("x" * 200) == '"' + "x" * 200 + '"'
    assert elided("x" * 201) == '"' + "x" * 24 + '… (201 characters)"'


@pytest.mark.parametrize(
    "raw", [b"", b"hello", b"{", b"\xff\xfe\x00", b"[" * 5000, b'"\xed\xa0\x80"', b"1" * 9000]
)
def test_anything_gives_lines(raw: bytes) -> None:
    assert pretty(raw)


def test_deep_and_long_are_bounded() -> None:
    assert len(pretty(json.dumps(list(range(100_000))).encode())) == MAX_LINES + 1
    assert len(pretty(b"[" * 900 + b"1," * 90_000 + b"1" + b"]" * 900)) <= MAX_LINES + 1
    assert sum(map(len, raw_lines(b"x" * 1_000_000))) < MAX_RAW + 100


def test_control_characters_do_not_come_through() -> None:
    assert pretty(b'{"a": "\\u001b[31m\\u202e\\ud800"}') == [
        "{",
        '  "a": "\\u001b[31m‹202E›‹D800›"',
        "}",
    ]
    assert raw_lines(b"\x1b[2J\x9b") == ["␛[2J\\x9b"]
