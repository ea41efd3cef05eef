from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from tui.text.visible import one_line, visible


def test_terminal_control_becomes_visible() -> None:
    assert visible("\x1b[31mred\x07") == "␛[31mred␇"
    assert visible("a\x7f\x9b1mb") == "a␡‹009B›1mb"
    assert visible("abc\u202edef\u200b") == "abc‹202E›def‹200B›"
    assert visible("half \ud83d") == "half ‹D83D›"
    assert visible("a\tb\nc") == "a\tb\nc"


@given(st.text())
def test_nothing_that_controls_a_terminal_survives(text: str) -> None:
    for char in visible(text):
        assert char in "\t\n" or unicodedata.category(char) not in ("Cc", "Cs")
        assert char not in "\u202a\u202b\u202d\u202e\u2066\u2067\u2068"


@given(st.text(), st.integers(1, 60))
def test_a_line_is_one_line_and_not_wider_than_asked(text: str, width: int) -> None:
    line = one_line(text, width)
    assert "\n" not in line
    assert "\t" not in line
    assert len(line) <= width


def test_an_ordinary_text_is_left_alone() -> None:
    assert one_line("What time is it? Ça va – 你好", 80) == "What time is it? Ça va – 你好"
