"""Text patterns for filters and searches: a phrase or a regular expression.

`str` converts a pattern to text that `pattern_of` can parse.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

Span = tuple[int, int]
"""Start and end of a match."""

# Strings rather than compiled patterns, because compiling would delay the first screen.
_QUOTED = r'(?s)"((?:[^"\\]|\\.)*)"'
_REGEX = r"(?si)/((?:[^/\\]|\\.)*)/(i?)"


class FilterError(ValueError):
    """The filter cannot be parsed. The message is a sentence for the user."""

    def __init__(self, problem: str, column: int, hint: str) -> None:
        super().__init__(f"Column {column}: {problem}. {hint}")
        self.problem = problem
        self.column = column
        """Column of the problem, counted from 1."""
        self.hint = hint
        """Suggestion of what to write instead."""


class Phrase(msgspec.Struct, frozen=True):
    """Matches any text that contains the phrase, ignoring case."""

    text: str

    def select(self, among: Sequence[int], texts: Sequence[str]) -> list[int]:
        """Returns the positions in ``among`` whose text matches."""
        wanted = self.text.casefold()
        return [index for index in among if wanted in texts[index].casefold()]

    def matches(self, text: str) -> bool:
        """Returns whether the text contains the phrase."""
        return self.text.casefold() in text.casefold()

    def spans(self, text: str) -> list[Span]:
        """Returns the spans of the text that contain the phrase."""
        return _spans(re.compile(re.escape(self.text), re.IGNORECASE), text)

    def __str__(self) -> str:
        return '"' + re.sub(r'(["\\])', r"\\\1", self.text) + '"'


class Regex(msgspec.Struct, frozen=True):
    """Matches any text in which the regular expression is found. Raises `re.error` if the expression is invalid."""

    source: str
    ignore_case: bool = False

    def __post_init__(self) -> None:
        _ = self._compiled

    def select(self, among: Sequence[int], texts: Sequence[str]) -> list[int]:
        """Returns the positions in ``among`` whose text matches."""
        search = self._compiled.search
        return [index for index in among if search(texts[index])]

    def matches(self, text: str) -> bool:
        """Returns whether the expression matches anywhere in the text."""
        return self._compiled.search(text) is not None

    def spans(self, text: str) -> list[Span]:
        """Returns the spans of the text that the expression matches."""
        return _spans(self._compiled, text)

    def __str__(self) -> str:
        source = re.sub(r"\\.|/", lambda part: r"\/" if part[0] == "/" else part[0], self.source)
        return f"/{source}/{'i' if self.ignore_case else ''}"

    @property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(self.source, re.IGNORECASE if self.ignore_case else 0)


Pattern = Phrase | Regex


def pattern_of(text: str, column: int) -> Pattern:
    """Parses quoted text, a regular expression between slashes, or a single word. Raises `FilterError`."""
    if quoted := re.fullmatch(_QUOTED, text):
        return Phrase(re.sub(r"\\(.)", r"\1", quoted[1], flags=re.DOTALL))
    if regex := re.fullmatch(_REGEX, text):
        return _regex(regex[1], bool(regex[2]), column + 1)
    if text[0] not in '"/':
        return Phrase(text)
    what = "quoted text" if text[0] == '"' else "regular expression"
    hint = f"Add {text[0]} at the end, or quote the character to search for it: {Phrase(text[0])}."
    raise FilterError(f"this {what} is not closed", column, hint)


def _regex(source: str, ignore_case: bool, column: int) -> Regex:
    try:
        return Regex(source, ignore_case)
    except re.error as error:
        problem, at = error.msg, column + (error.pos or 0)
    except (RecursionError, OverflowError):
        problem, at = "too large", column
    hint = 'To search for the text as written, put it in "quotes".'
    raise FilterError(f"invalid regular expression: {problem}", at, hint)


def _spans(pattern: re.Pattern[str], text: str) -> list[Span]:
    return [match.span() for match in pattern.finditer(text) if match.end() > match.start()]
