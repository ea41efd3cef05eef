from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.speech.errors import SpeechError
from tui.speech.word_errors import comparable_words, word_error_rate


@pytest.mark.parametrize(
    ("spoken", "written", "words"),
    [
        ("four seven one", "471", "4 7 1"),
        ("four hundred and seventy-one", "471.", "4 7 1"),
        ("four seven one, two nine zero, five", "471-290-5", "4 7 1 2 9 0 5"),
        ("Tuesday at ten", "Tuesday at 10:00", "tuesday at 1 0"),
        ("two thousand and twenty six", "2026", "2 0 2 6"),
        ("twelve thousand three hundred", "12,300", "1 2 3 0 0"),
        ("nineteen eighty four", "1984", "1 9 8 4"),
        ("the twenty-first", "the 21st", "the 2 1 th"),
        ("the third", "the 3rd", "the 3 th"),
        ("five oh two", "502", "5 0 2"),
        ("ninety percent", "90%", "9 0 percent"),
        ("one hundred", "100", "1 0 0"),
        ("It’s FINE, thanks!", "it's fine thanks", "it's fine thanks"),
        ("two and three", "2 and 3", "2 and 3"),
        ("a hundred and one", "a hundred and 1", "a hundred and 1"),
        ("oh no", "Oh, no", "oh no"),
    ],
)
def test_numbers_are_the_same_words_however_they_are_written(spoken: str, written: str, words: str) -> None:
    assert comparable_words(spoken) == comparable_words(written) == words.split()
    assert word_error_rate(spoken, written) == 0


@pytest.mark.parametrize(
    ("expected", "heard", "rate"),
    [
        ("four seven one", "four eleven one", 2 / 3),
        ("four seven one", "472", 1 / 3),
        ("please hold on", "please vote on", 1 / 3),
        ("please hold on", "please on", 1 / 3),
        ("please hold on", "", 1),
        ("yes", "yes yes yes", 2),
        ("", "", 0),
        ("...", "you", 1),
    ],
)
def test_every_wrong_word_counts(expected: str, heard: str, rate: float) -> None:
    assert word_error_rate(expected, heard) == pytest.approx(rate)


@given(st.integers(0, 999_999))
def test_a_number_is_its_digits(number: int) -> None:
    assert comparable_words(f"{number:,}") == list(str(number))


def test_without_the_package_that_counts_a_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "jiwer", None)
    with pytest.raises(
        SpeechError, match=r"jiwer, which is not installed\. Run `pip install 'opusagent-tui\[speech\]'`"
    ):
        word_error_rate("yes", "yes")
