"""How a filter that is being written may go on, and what was meant by one that finds nothing."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from tui.models.filter.fields import FIELDS, WAYS, WORDS
from tui.models.filter.language import JOINTS
from tui.models.filter.patterns import Phrase
from tui.models.filter.terms import And, Filter, Kind, Not, Or, Text

MAX_COMPLETIONS = 50
MAX_MEANT = 3

_BEGINNINGS = [*WORDS, *(f"{name}:" for name in FIELDS), "size > ", *(f"{name} " for name in JOINTS)]


def completions(prefix: str, kinds_seen: Iterable[str]) -> list[str]:
    """What the text before the cursor may become: whole texts, the likeliest first."""
    head, last = _split(prefix)
    field, colon, value = last.partition(":")
    match field.lower():
        case "kind" if colon:
            candidates = [f"{field}:{kind}" for kind in _kinds(value.lstrip('"').casefold(), kinds_seen)]
        case "dir" if colon:
            candidates = [f"{field}:{way}" for way in WAYS if way.startswith(value.lower())]
        case "":
            candidates = [f"kind:{kind}" for kind in _kinds("", kinds_seen)]
        case _:
            candidates = [word for word in _BEGINNINGS if word.startswith(last.lower())]
            candidates += [f"kind:{kind}" for kind in _kinds(last.casefold(), kinds_seen)]
    return [head + candidate for candidate in candidates[:MAX_COMPLETIONS] if candidate != last]


@lru_cache(maxsize=1)  # asked for each time that there is nothing to draw
def meant(filter_: Filter, kinds_seen: tuple[str, ...]) -> list[str]:
    """Conditions that are spelt much like the words of a filter, for one that finds nothing; nearest first."""
    known = {word: word for word in WORDS if word.isalpha()}
    known |= {name: field.example.partition(" or ")[0].partition(",")[0] for name, field in FIELDS.items()}
    known |= {way: f"dir:{way}" for way in WAYS} | {"size": "size > 2k"}
    known |= {kind.casefold(): f"kind:{_written(kind)}" for kind in kinds_seen}
    found: dict[str, None] = {}
    for word in _words(filter_):
        found |= dict.fromkeys(
            known[near] for near in difflib.get_close_matches(word.casefold(), known, 1, 0.75)
        )
    return list(found)[:MAX_MEANT]


def _words(filter_: Filter) -> Iterator[str]:
    """All that are looked for."""
    match filter_:
        case And(terms) | Or(terms):
            for term in terms:
                yield from _words(term)
        case Not(term):
            yield from _words(term)
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
    """What stands before the token that is being written, and what there is of it."""
    until = text.rfind('"') if text.count('"') % 2 else len(text)
    start = max(text.rfind(" ", 0, until), text.rfind("(", 0, until)) + 1
    return text[:start], text[start:]
