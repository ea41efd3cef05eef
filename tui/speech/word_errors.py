"""Computes word error rates that ignore case, punctuation and the spelling of numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tui.speech.errors import EXTRA, SpeechError

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_CARDINALS = {word: number for number, word in enumerate(_SMALL.split())}
_CARDINALS |= {word: 10 * number for number, word in enumerate(_TENS.split(), 2)}
_IRREGULAR = {"first": 1, "second": 2, "third": 3, "fifth": 5, "eighth": 8, "ninth": 9, "twelfth": 12}
_ORDINALS = _IRREGULAR | {
    f"{word.removesuffix('y')}{'ie' if word.endswith('y') else ''}th": number
    for word, number in _CARDINALS.items()
    if number not in _IRREGULAR.values()
}
_SCALES = {"hundred": 100, "thousand": 1000}
_ORDINAL_DIGITS = re.compile(r"(\d+)(?:st|nd|rd|th)")
_FULL_HOUR = re.compile(r"(?<=\d):00\b")
_NOT_IN_WORDS = re.compile(r"[^\w\s']|_")


def word_error_rate(expected: str, heard: str) -> float:
    """Returns the word errors of ``heard`` as a share of the words of ``expected``: 0 for the same words.

    The words that `comparable_words` returns are compared. The result exceeds 1 if there are more errors than
    expected words. The result is 1 if words were heard but none were expected. Raises `SpeechError` if jiwer,
    which counts the errors, is not installed.
    """
    due, got = comparable_words(expected), comparable_words(heard)
    if not due:
        return 1.0 if got else 0.0
    try:
        import jiwer
    except ModuleNotFoundError as error:
        if error.name != "jiwer":
            raise SpeechError(f"jiwer, which counts word errors, cannot be loaded: {error}.") from error
        raise SpeechError(
            f"Counting word errors needs jiwer, which is not installed. Run `{EXTRA}`."
        ) from None
    return float(jiwer.wer(" ".join(due), " ".join(got)))


def comparable_words(text: str) -> list[str]:
    """Returns the words in lower case, without punctuation, and with numbers as single digits.

    "Four seven one", "four hundred and seventy-one" and "471" therefore become the same three words, and one
    wrong digit counts as one wrong word. English only.
    """
    text = _FULL_HOUR.sub("", text.casefold().replace("’", "'")).replace("%", " percent ")
    return list(_with_digits(_NOT_IN_WORDS.sub(" ", text).split()))


def _with_digits(words: list[str]) -> Iterator[str]:
    """Yields the words, with each number in words replaced by its digits."""
    value: int | None = None
    room = 1
    """Number words below this limit continue the current number. The limit is 100 after "hundred" and 10 after
    "twenty"."""
    follows_digit = False
    for word, following in zip(words, [*words, ""][1:], strict=True):
        number = _CARDINALS.get(word, _ORDINALS.get(word))
        if number is not None:
            continues = value is not None and 0 < number < room
            if value is not None and not continues:
                yield from str(value)
            value = number + (value or 0) if continues else number
            room = 10 if number >= 20 else 1
            if word in _CARDINALS:
                continue
        elif word in _SCALES and value:
            value += value % 1000 * (_SCALES[word] - 1)
            room = _SCALES[word]
            continue
        elif word == "and" and value is not None and room >= 100 and following in _CARDINALS:
            continue
        if value is not None:
            yield from str(value)
            value, room, follows_digit = None, 1, True
        if word in _ORDINALS:
            yield "th"
        elif ordinal := _ORDINAL_DIGITS.fullmatch(word):
            yield from (*ordinal[1], "th")
        elif word in ("o", "oh") and follows_digit:
            yield "0"
            continue
        else:
            yield from word if word.isdigit() else (word,)
        follows_digit = word.isdigit()
    if value is not None:
        yield from str(value)
