"""Completes filters while the user types, and suggests other conditions if a filter matches nothing."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from tui.models.filter.language import OPERATORS
from tui.models.filter.patterns import Phrase
from tui.models.filter.terms import COMPARISONS, FIELDS, WORDS, And, Filter, Kind, Not, Or, Text

MAX_COMPLETIONS = 50
MAX_SUGGESTIONS = 3

_BEGINNINGS = [
    *WORDS,
    *(f"{name}:" for name in FIELDS),
    *(f"{name} > " for name in COMPARISONS),
    *(f"{name} " for name in OPERATORS),
]


def completions(prefix: str, kinds_seen: Iterable[str]) -> list[str]:
    """Returns completions of ``prefix``, the text before the cursor, most likely first.

    Each completion is the complete text of a filter.
    """
    head, last = _split(prefix)
    field, colon, value = last.partition(":")
    term = FIELDS.get(field.lower()) if colon else None
    if term is Kind:
        candidates = [f"{field}:{kind}" for kind in _kinds(value.lstrip('"').casefold(), kinds_seen)]
    elif term is not None and term.CHOICES:
        candidates = [f"{field}:{choice}" for choice in term.CHOICES if choice.startswith(value.lower())]
    else:
        candidates = [word for word in _BEGINNINGS if last and word.startswith(last.lower())]
        candidates += [f"kind:{kind}" for kind in _kinds(last.casefold(), kinds_seen)]
    return [head + candidate for candidate in candidates[:MAX_COMPLETIONS] if candidate != last]


@lru_cache(maxsize=1)  # called on every draw of an empty list
def suggestions(filter_: Filter, kinds_seen: tuple[str, ...]) -> list[str]:
    """Returns conditions with a spelling similar to the words of a filter, the most similar first."""
    known = {word: word for word in WORDS if word.isalpha()}
    known |= {name: term.FIELDS[name][0] for name, term in FIELDS.items()}
    known |= {choice: f"{name}:{choice}" for name, term in FIELDS.items() for choice in term.CHOICES}
    known |= {name: term.COMPARISONS[name][0] for name, term in COMPARISONS.items()}
    known |= {kind.casefold(): f"kind:{_written(kind)}" for kind in kinds_seen}
    found: dict[str, None] = {}
    for phrase in _phrases(filter_):
        found |= dict.fromkeys(
            known[near] for near in difflib.get_close_matches(phrase.casefold(), known, 1, 0.75)
        )
    return list(found)[:MAX_SUGGESTIONS]


def _phrases(filter_: Filter) -> Iterator[str]:
    """Yields the phrases that a filter searches for."""
    match filter_:
        case And(terms) | Or(terms):
            for term in terms:
                yield from _phrases(term)
        case Not(term):
            yield from _phrases(term)
        case Text(Phrase(text)) | Kind(Phrase(text)):
            yield text


def _kinds(wanted: str, seen: Iterable[str]) -> list[str]:
    kinds = sorted(
        (kind for kind in seen if wanted in kind.casefold()),
        key=lambda kind: (not kind.casefold().startswith(wanted), kind),
    )
    return [_written(kind) for kind in kinds]


def _written(kind: str) -> str:
    return kind if re.fullmatch(r'[^\s()"/][^\s()]*', kind) else str(Phrase(kind))


def _split(text: str) -> tuple[str, str]:
    """Returns the text before the token that is being typed, and the token so far."""
    until = text.rfind('"') if text.count('"') % 2 else len(text)
    start = max(text.rfind(" ", 0, until), text.rfind("(", 0, until)) + 1
    return text[:start], text[start:]
