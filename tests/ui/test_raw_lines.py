from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tui.widgets.raw_lines import MAX_RAW, raw_lines
from tui.widgets.tree_lines import cut_text
from tui.widgets.wrap import broken


@pytest.mark.parametrize(
    "raw", [b"", b"hello", b"\xff\xfe\x00", b"[" * 5000, b'"\xed\xa0\x80"', b"\n" * 9000]
)
def test_anything_gives_lines(raw: bytes) -> None:
    lines = raw_lines(raw, 40)
    assert len(lines) > 0
    assert all(cell_len(line) <= 43 for line in lines)


def test_control_characters_do_not_come_through() -> None:
    assert list(raw_lines(b"\x1b[2J\x9b\tx", 40)) == ["␛[2J\\x9b    x"]


def test_a_large_message_shows_its_beginning_and_size() -> None:
    lines = raw_lines(b"x" * (MAX_RAW + 1), 100)
    assert lines[len(lines) - 1] == "… (2,000,001 bytes, the first 2,000,000 are shown)"
    assert len(lines) == MAX_RAW / 100 + 1


@given(st.text("abc 漢é\n", max_size=60).map(lambda text: text * 200), st.integers(2, 90))
def test_long_texts_lose_nothing_and_fit(text: str, width: int) -> None:
    lines = broken(text, width, between_words=False)
    assert all(cell_len(line) <= width for line in lines)
    assert "".join(lines) == text.replace("\n", "")
    assert [lines[index] for index in range(len(lines))] == list(lines)
    with pytest.raises(IndexError):
        lines[len(lines)]


@pytest.mark.parametrize("text", ["x" * 201, "漢" * 199, "\x1b" * 150, "a" * 1_000_000])
@pytest.mark.parametrize("cells", [40, 60, 199])
def test_a_cut_text_fits_and_shows_its_length(text: str, cells: int) -> None:
    cut = cut_text(text, cells)
    assert cell_len(cut) <= cells
    assert f"… ({len(text):,} characters)" in cut


def test_a_text_that_fits_is_whole() -> None:
    assert cut_text("x" * 200, 202) == '"' + "x" * 200 + '"'
    assert cut_text("x" * 201, 300) == '"' + "x" * 24 + '… (201 characters)"'
    assert cut_text("\x1b\u202e", 40) == '"\\u001b‹202E›"'
