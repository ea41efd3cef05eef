from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tui.text import numbers
from tui.widgets.wrap import fit, wrap


@given(st.text(max_size=60), st.integers(2, 30))
def test_no_line_is_too_wide_and_no_character_is_lost(text: str, width: int) -> None:
    lines = wrap(text, width)
    assert all(cell_len(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace("\n", "").replace(" ", "")


def test_breaks_between_words() -> None:
    assert (
        wrap("a few words here", 9) == ["a few", "words", "here"] or wrap("a few words here", 9)[0] == "a few"
    )
    assert wrap("one\ntwo", 20) == ["one", "two"]
    assert wrap("", 20) == [""]
    assert wrap("abcdefgh", 3) == ["abc", "def", "gh"]


@given(st.text(max_size=40), st.integers(0, 20), st.booleans())
def test_fit_is_exact(text: str, cells: int, keep_ends: bool) -> None:
    clean = "".join(character for character in text if character.isprintable())
    assert cell_len(fit(clean, cells, keep_ends=keep_ends)) == cells


def test_fit_cuts_at_the_requested_end() -> None:
    assert fit("userStream.chunk", 8) == "userStr…"
    assert fit("userStream.chunk", 10, keep_ends=True) == "use….chunk"
    assert fit("漢字", 3) == "漢…"


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–:––"), (0, "0:00"), (61.9, "1:01"), (3600, "1:00:00"), (-3, "0:00")]
)
def test_clock(value: float | None, text: str) -> None:
    assert numbers.clock(value) == text


def test_numbers() -> None:
    assert numbers.milliseconds(None) == "–"
    assert numbers.milliseconds(0.42) == "0.4 ms"
    assert numbers.milliseconds(480.2) == "480 ms"
    assert [numbers.size(n) for n in (0, 856, 9999, 54_321, 1_250_000)] == ["", "856", "9999", "54k", "1.2M"]
    assert numbers.since(12_345_000_000, 0) == "+12.345"
    assert numbers.since(-12_000_000, 0) == "-0.012"
