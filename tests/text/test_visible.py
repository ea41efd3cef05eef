from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.text.visible import harmless, one_line, visible


def test_terminal_control_becomes_visible() -> None:
    assert visible("\x1b[31mred\x07") == "␛[31mred␇"
    assert visible("a\x7f\x9b1mb") == "a␡‹009B›1mb"
    assert visible("abc\u202edef\u200b") == "abc‹202E›def‹200B›"
    assert visible("half \ud83d") == "half ‹D83D›"
    assert visible("a\tb\nc") == "a\tb\nc"


@pytest.mark.parametrize(
    "text",
    ["می\u200cخواهم", "क्\u200dष", "👨\u200d👩\u200d👧", "👩🏽\u200d⚕\ufe0f", "🏳\ufe0f\u200d🌈"],
    ids=["Persian", "Hindi", "family", "skin tone", "flag"],
)
def test_a_joiner_inside_a_word_or_an_emoji_is_drawn_as_it_is(text: str) -> None:
    assert visible(text) == text
    assert one_line(f"{text} {text}") == f"{text} {text}"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("pass\u200dword", "pass‹200D›word"),
        ("\u200cخواهم", "‹200C›خواهم"),
        ("می\u200c", "می‹200C›"),
        ("می\u200c خواهم", "می‹200C› خواهم"),
        ("می\u200c\u200cخ", "می‹200C›‹200C›خ"),
        ("می\u200bخ", "می‹200B›خ"),
        ("می\u202eخ", "می‹202E›خ"),
        ("👨\u200da", "👨‹200D›a"),
    ],
)
def test_a_joiner_elsewhere_and_every_other_invisible_character_is_shown(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_what_is_harmless_is_what_is_not_replaced() -> None:
    assert harmless("\x1b[2Jمی\u200cخواهم\u202e a\u200db") == "[2Jمی\u200cخواهم ab"


def test_a_cut_never_ends_with_a_joiner() -> None:
    assert one_line("👨\u200d👩\u200d👧", 3) == "👨…"


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
