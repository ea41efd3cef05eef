"""The filter grammar and its help. The terms are in `tui.models.filter.terms`."""

from __future__ import annotations

import difflib
import re
from typing import NamedTuple

from tui.models.filter.patterns import FilterError, Phrase, pattern_of
from tui.models.filter.terms import COMPARISONS, FIELDS, TERMS, WORDS, And, Everything, Filter, Not, Or, Text

HELP_ABOVE = "A filter selects the events that the log shows."
HELP_BELOW = """\
Combine conditions with `and` (or just a space) and `or`. Write `not` before a condition, and use parentheses to \
group conditions. `and` binds more tightly than `or`. A run of messages is shown if any of them matches.

    kind:chunk and time:10..20        errors or losses or size > 100k        < not audio "order number"\
"""
MAX_DEPTH = 50
"""Nesting limit of parentheses and negations."""
OPERATORS = ("and", "or", "not")

# A string rather than a compiled pattern, because compiling would delay the first screen.
_TOKEN = rf"""(?xis)\s*(?:
    (?P<end>$)
  | (?P<paren>[()])
  | (?P<compared>{"|".join(COMPARISONS)})\s*(?P<sign>[<>]=?|=)\s*(?P<limit>[^\s()]*)
  | (?P<arrow>[<>])
  | (?P<field>[a-z]\w*):(?P<value>"(?:[^"\\]|\\.)*"|/(?:[^/\\]|\\.)*/i?(?![^\s()])|[^\s()]*)
  | (?P<pattern>"(?:[^"\\]|\\.)*"|/(?:[^/\\]|\\.)*/i?(?![^\s()])|["/][^\s()]*)
  | (?P<word>[^\s()"]+)
    )"""


def parse(text: str) -> Filter:
    """Parses a filter. An empty string matches all events. Raises `FilterError`."""
    return _Parser(text).parse()


def help_rows() -> list[tuple[str, str]]:
    """Returns the rows of the help table: examples and their meanings."""
    return [row for term in TERMS for row in term.HELP]


def _field_filter(name: str, value: str, column: int) -> Filter:
    key = name.lower()
    term = FIELDS.get(key)
    if term is None:
        near = difflib.get_close_matches(key, FIELDS, 1)
        meant = f"Did you mean {near[0]}:? " if near else ""
        hint = (
            f'{meant}The fields are {", ".join(FIELDS)}; to search for the text itself, put it in "quotes".'
        )
        raise FilterError(f"unknown field {name}", column, hint)
    at = column + len(name) + 1
    if not value:
        raise FilterError(
            f"{name}: has no value",
            at,
            f"Write it directly after the colon: {' or '.join(term.FIELDS[key])}.",
        )
    return term.from_field(key, value, at)


class _Token(NamedTuple):
    column: int
    text: str
    term: Filter | None = None
    """None for an operator, a parenthesis or the end of the filter."""


class _Parser:
    """A recursive-descent parser that looks one token ahead."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0
        self._token = self._read()

    def parse(self) -> Filter:
        if self._is(""):
            return Everything()
        found = self._any()
        if not self._is(""):
            raise FilterError("this parenthesis was never opened", self._token.column, "Remove it.")
        return found

    def _any(self) -> Filter:
        terms = [self._all()]
        while self._take("or"):
            terms.append(self._all())
        return terms[0] if len(terms) == 1 else Or(tuple(terms))

    def _all(self) -> Filter:
        terms = [self._one()]
        while self._take("and") or not self._is("or", ")", ""):
            terms.append(self._one())
        return terms[0] if len(terms) == 1 else And(tuple(terms))

    def _one(self) -> Filter:
        token = self._token
        if token.term is not None:
            self._token = self._read()
            return token.term
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise FilterError("this is nested too deeply", token.column, "Remove some parentheses.")
        if self._take("not"):
            found: Filter = Not(self._one())
        elif self._take("("):
            found = self._any()
            if not self._take(")"):
                raise FilterError("this parenthesis is not closed", token.column, "Add ) at the end.")
        else:
            what = f"found {token.text}" if token.text else "the filter ends"
            hint = 'Write a word, "some words", /regex/, or a condition such as kind:chunk.'
            raise FilterError(f"{what} where a condition is expected", token.column, hint)
        self._depth -= 1
        return found

    def _is(self, *texts: str) -> bool:
        return self._token.term is None and self._token.text in texts

    def _take(self, text: str) -> bool:
        taken = self._is(text)
        if taken:
            self._token = self._read()
        return taken

    def _read(self) -> _Token:
        match = re.compile(_TOKEN).match(self._text, self._at)
        if match is None:
            raise AssertionError("text that matches no token")
        self._at = match.end()
        kind = next(name for name, text in match.groupdict().items() if text is not None)
        column, text = match.start(kind) + 1, match[kind]
        match kind:
            case "compared":
                name = text.lower()
                term = COMPARISONS[name].from_comparison(
                    name, match["sign"], match["limit"], match.start("limit") + 1
                )
                return _Token(column, text, term)
            case "field":
                return _Token(column, text, _field_filter(text, match["value"], column))
            case "pattern":
                return _Token(column, text, Text(pattern_of(text, column)))
            case "arrow":
                return _Token(column, text, WORDS[text])
            case "word" if text.lower() not in OPERATORS:
                return _Token(column, text, WORDS.get(text.lower()) or Text(Phrase(text)))
            case _:
                return _Token(column, text.lower())
