"""What is looked for in texts: words, or a regular expression. Both print as they are written in a filter."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

Span = tuple[int, int]
"""Where a match begins and ends."""


class Phrase(msgspec.Struct, frozen=True):
    """A text that is contained, in upper or lower case."""

    text: str

    def select(self, among: Sequence[int], texts: Sequence[str]) -> list[int]:
        """The positions whose text matches."""
        wanted = self.text.casefold()
        return [index for index in among if wanted in texts[index].casefold()]

    def matches(self, text: str) -> bool:
        """Whether this text does."""
        return self.text.casefold() in text.casefold()

    def spans(self, text: str) -> list[Span]:
        """What to highlight in a text."""
        return _spans(re.compile(re.escape(self.text), re.IGNORECASE), text)

    def __str__(self) -> str:
        return '"' + re.sub(r'(["\\])', r"\\\1", self.text) + '"'


class Regex(msgspec.Struct, frozen=True):
    """A regular expression that is found somewhere. Raises `re.error` when it is none."""

    source: str
    ignore_case: bool = False

    def __post_init__(self) -> None:
        _ = self._compiled

    def select(self, among: Sequence[int], texts: Sequence[str]) -> list[int]:
        """The positions whose text matches."""
        search = self._compiled.search
        return [index for index in among if search(texts[index])]

    def matches(self, text: str) -> bool:
        """Whether this text does."""
        return self._compiled.search(text) is not None

    def spans(self, text: str) -> list[Span]:
        """What to highlight in a text."""
        return _spans(self._compiled, text)

    def __str__(self) -> str:
        source = re.sub(r"\\.|/", lambda part: r"\/" if part[0] == "/" else part[0], self.source)
        return f"/{source}/{'i' if self.ignore_case else ''}"

    @property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(self.source, re.IGNORECASE if self.ignore_case else 0)


Pattern = Phrase | Regex


def _spans(pattern: re.Pattern[str], text: str) -> list[Span]:
    return [match.span() for match in pattern.finditer(text) if match.end() > match.start()]
