r"""Which events the log shows.

| Write                        | to see                                                                  |
|------------------------------|-------------------------------------------------------------------------|
| ``hello``                    | what has this word in its summary or kind, in upper or lower case       |
| ``"not found"``              | the same with spaces, signs or words that mean something here           |
| ``/stop(ped)?$/``            | what this regular expression finds; ``/…/i`` ignores case               |
| ``kind:chunk``               | kinds that contain this; also ``kind:"caller line"``, ``kind:/^mark$/`` |
| ``dir:sent`` or ``>``        | messages to the agent                                                   |
| ``dir:received`` or ``<``    | messages of the agent                                                   |
| ``dir:own``                  | what is no message but happened here                                    |
| ``errors`` ``warnings``      | what has a ✗, what has a !                                              |
| ``findings`` ``losses``      | where the agent strays from its protocol, what was lost                 |
| ``unknown`` ``audio``        | messages the protocol does not have, messages that carry audio          |
| ``transcript``               | messages of the agent that say in words what either side spoke          |
| ``marked`` ``noted``         | events you have marked, events you wrote a note on                      |
| ``turn:3`` ``turn:2..4``     | turns; 0 is what comes before you first speak                           |
| ``time:10..20``              | seconds since the session's start; also ``1:30``, minutes and seconds   |
| ``after:10`` ``before:1:30`` | the same, open to one side                                              |
| ``number:100..``             | events by number; also ``..200``, ``100..200``, or one                  |
| ``size > 2k``                | messages by size in bytes; also >= < <= = and 1.5M                      |

Put ``and`` (or nothing) and ``or`` between them, ``not`` before one, parentheses around some; ``and`` binds closer
than ``or``. A run of messages is shown when one of them matches.

    kind:chunk and time:10..20        errors or losses or size > 100k        < not audio "order number"
"""

from __future__ import annotations

import re
from typing import NamedTuple

from tui.models.filter.fields import WORDS, FilterError, field_filter, pattern_of, size_bytes
from tui.models.filter.patterns import Phrase
from tui.models.filter.terms import And, Everything, Filter, Not, Or, Size, Text

MAX_DEPTH = 50
"""Of parentheses and negations in each other."""
JOINTS = ("and", "or", "not")

# Compiled when it is met first, as nobody filters before the first picture.
_TOKEN = r"""(?xis)\s*(?:
    (?P<end>$)
  | (?P<paren>[()])
  | (?P<size>size\s*(?P<sign>[<>]=?|=)\s*)(?P<bytes>[^\s()]*)
  | (?P<arrow>[<>])
  | (?P<field>[a-z]\w*):(?P<value>"(?:[^"\\]|\\.)*"|/(?:[^/\\]|\\.)*/i?(?![^\s()])|[^\s()]*)
  | (?P<pattern>"(?:[^"\\]|\\.)*"|/(?:[^/\\]|\\.)*/i?(?![^\s()])|["/][^\s()]*)
  | (?P<word>[^\s()"]+)
    )"""


def parse(text: str) -> Filter:
    """The filter a text describes; the empty text describes all events. Raises `FilterError`."""
    return _Parser(text).parse()


def help_text() -> str:
    """The page that explains the language."""
    return (__doc__ or "").replace("``", "`").strip()


class _Token(NamedTuple):
    column: int
    text: str
    term: Filter | None = None
    """None for what joins terms, and for the end."""


class _Parser:
    """Recursive descent, one token ahead."""

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
            raise FilterError("this parenthesis closes nothing", self._token.column, "Take it out.")
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
            raise FilterError("this is nested too deeply", token.column, "Take some parentheses out.")
        if self._take("not"):
            found: Filter = Not(self._one())
        elif self._take("("):
            found = self._any()
            if not self._take(")"):
                raise FilterError("this parenthesis is not closed", token.column, "Write ) at its end.")
        else:
            what = f"here stands {token.text}" if token.text else "the filter ends"
            hint = 'Write a word, "some words", /regex/, or a condition such as kind:chunk.'
            raise FilterError(f"{what} where a condition is due", token.column, hint)
        self._depth -= 1
        return found

    def _is(self, *joints: str) -> bool:
        return self._token.term is None and self._token.text in joints

    def _take(self, joint: str) -> bool:
        taken = self._is(joint)
        if taken:
            self._token = self._read()
        return taken

    def _read(self) -> _Token:
        match = re.compile(_TOKEN).match(self._text, self._at)
        if match is None:
            raise AssertionError("every text is some token")
        self._at = match.end()
        kind = next(name for name, text in match.groupdict().items() if text is not None)
        column, text = match.start(kind) + 1, match[kind]
        match kind:
            case "size":
                size = size_bytes(match["bytes"], match.start("bytes") + 1)
                return _Token(column, text, Size(match["sign"], size))
            case "field":
                return _Token(column, text, field_filter(text, match["value"], column))
            case "pattern":
                return _Token(column, text, Text(pattern_of(text, column)))
            case "arrow":
                return _Token(column, text, WORDS[text])
            case "word" if text.lower() not in JOINTS:
                return _Token(column, text, WORDS.get(text.lower()) or Text(Phrase(text)))
            case _:
                return _Token(column, text.lower())
