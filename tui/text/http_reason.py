"""Extracts the reason for an HTTP error from the body of the response."""

from __future__ import annotations

import json

MOST_CHARS = 240
_LONGEST_BODY_BYTES = 64 * 1024
_NAMES = ("message", "msg", "detail", "reason", "error_description", "title", "errors")


def reason_in_body(body: bytes) -> str:
    """Returns the reason on one line, without its final full stop; "" for HTML, binary data or an empty body.

    In JSON, the reason is the text of ``error.message``, ``message``, ``detail`` or ``reason``, or else the
    complete JSON. The reason is not shortened, so that secrets can be removed first; see `shortened`.
    """
    try:
        text = body[:_LONGEST_BODY_BYTES].decode().strip()
    except UnicodeDecodeError:
        return ""
    try:
        found = _reason_of(json.loads(text)) or text
    except (ValueError, RecursionError):
        found = "" if text.startswith("<") else text.partition("\n")[0]
    return " ".join(found.split()).rstrip(".")


def shortened(reason: str) -> str:
    """Cuts the reason to a length that fits into a sentence."""
    return reason if len(reason) <= MOST_CHARS else reason[: MOST_CHARS - 1] + "…"


def _reason_of(value: object) -> str:
    match value:
        case str():
            return value
        case dict():
            error = value.get("error")
            inner = error if isinstance(error, dict | list) else None
            found = (_reason_of(each) for each in (inner, *map(value.get, _NAMES), error))
            return next(filter(None, found), "")
        case [first, *_]:
            return _reason_of(first)
        case _:
            return ""
