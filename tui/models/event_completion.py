"""How a filter that is being written may go on."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tui.models.event_fields import FIELDS, WAYS, WORDS
from tui.models.event_filter import JOINTS
from tui.models.event_patterns import Words

MAX_COMPLETIONS = 50

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


def _kinds(wanted: str, seen: Iterable[str]) -> list[str]:
    kinds = sorted(
        (kind for kind in seen if wanted in kind.casefold()),
        key=lambda kind: (not kind.casefold().startswith(wanted), kind),
    )
    return [kind if re.fullmatch(r'[^\s()"/][^\s()]*', kind) else str(Words(kind)) for kind in kinds]


def _split(text: str) -> tuple[str, str]:
    """What stands before the token that is being written, and what there is of it."""
    until = text.rfind('"') if text.count('"') % 2 else len(text)
    start = max(text.rfind(" ", 0, until), text.rfind("(", 0, until)) + 1
    return text[:start], text[start:]
