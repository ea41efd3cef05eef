"""Keeping secrets out of what is saved: values we hold, and JSON fields that the user lists."""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Iterable
from typing import TypeVar
from urllib.parse import quote, unquote, urlsplit

import msgspec

from tui.models.events import SessionEvent
from tui.models.target import Target

REDACTED = "[redacted]"
SHORTEST_SECRET = 6
"""A shorter value (a header with value "1") would match everywhere and is not a secret."""
SHORTEST_LEARNT = 4
_LEARNT_VALUES = 256
_LONG_BASE64 = re.compile(rb'"([A-Za-z0-9+/_-]{41,}={0,2})"')
"""Longer than any identifier (a SHA-1 has 40); shorter strings hold less than 2 ms of telephone audio."""
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_JSON = json.JSONDecoder(strict=False)

AnyEvent = TypeVar("AnyEvent", bound=SessionEvent)


class Redactor:
    """Removes secrets from messages and events.

    ``secrets`` are values replaced wherever they occur, also as JSON or a URL writes them; ``fields`` are names
    of JSON fields, at any depth and in JSON inside a JSON string, whose values are replaced, whatever they are.
    A text found in such a field is replaced everywhere from then on, because a transcript may repeat it.
    """

    def __init__(self, secrets: Iterable[str] = (), fields: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets if len(secret) >= SHORTEST_SECRET for form in _forms(secret)}
        # The longest first, or a part of one would remain.
        self._secrets = sorted(forms, key=len, reverse=True)
        names = "|".join(re.escape(name) for name in fields if name)
        self._field = re.compile(rf'"(?:{names})"\s*:\s*', re.IGNORECASE) if names else None
        self._learnt: OrderedDict[str, None] = OrderedDict()
        self._replaced: tuple[str, ...] = tuple(self._secrets)

    def message(self, raw: bytes) -> bytes:
        """A raw message without secrets; the same object if it has none."""
        if not self._replaced and self._field is None:
            return raw
        text = raw.decode("utf-8", "surrogateescape")
        clean = self.text(text)
        return raw if clean == text else clean.encode("utf-8", "surrogateescape")

    def text(self, text: str) -> str:
        """A text without secrets."""
        if self._field is not None:
            text = self._without_fields(text)
        for secret in self._replaced:
            if secret in text:
                text = text.replace(secret, REDACTED)
        return text

    def event(self, event: AnyEvent) -> AnyEvent:
        """An event without secrets in its texts."""
        if not self._replaced and self._field is None:
            return event
        cleaned: dict[str, str] = {}
        for name in event.__struct_fields__:
            value = getattr(event, name)
            # Not a subclass of str: enumerations hold no secrets.
            if type(value) is str and (clean := self.text(value)) != value:
                cleaned[name] = clean
        return msgspec.structs.replace(event, **cleaned) if cleaned else event

    def _without_fields(self, text: str) -> str:
        assert self._field is not None
        parts: list[str] = []
        done = 0
        while match := self._field.search(text, done):
            parts.append(self._inside_strings(text[done : match.start()]) + match[0])
            try:
                value, done = _JSON.raw_decode(text, match.end())
            except (ValueError, RecursionError):
                return "".join([*parts, f'"{REDACTED}"'])
            self._learn(value)
            parts.append(f'"{REDACTED}"')
        parts.append(self._inside_strings(text[done:]))
        return "".join(parts)

    def _inside_strings(self, text: str) -> str:
        """Redact JSON within JSON strings, such as the arguments of a tool call."""
        return _STRING.sub(self._inside_string, text) if '\\"' in text else text

    def _inside_string(self, match: re.Match[str]) -> str:
        if '\\"' not in match[0]:
            return match[0]
        try:
            inner: str = _JSON.decode(match[0])
        except ValueError:
            return match[0]
        clean = self._without_fields(inner)
        return match[0] if clean == inner else json.dumps(clean, ensure_ascii=False)

    def _learn(self, value: object) -> None:
        if not isinstance(value, str) or len(value) < SHORTEST_LEARNT or value == REDACTED:
            return
        if value not in self._learnt:
            self._learnt[value] = None
            if len(self._learnt) > _LEARNT_VALUES:
                self._learnt.popitem(last=False)
            # Replaced as a whole, never changed in place: another thread reads it.
            known = {form for learnt in self._learnt for form in _forms(learnt)}
            self._replaced = tuple(sorted({*self._secrets, *known}, key=len, reverse=True))


def secrets_of(target: Target) -> list[str]:
    """The secret values of a target: token, header values, password and query values of the URL."""
    parts = urlsplit(target.url)
    hidden = [parts.password or "", *(pair.partition("=")[2] for pair in parts.query.split("&"))]
    values = [target.token, *target.headers.values(), *hidden, *map(unquote, hidden)]
    # Of "Bearer abc", the agent may quote the last part alone.
    return [*values, *(value.split()[-1] for value in values if " " in value.strip())]


def without_audio(raw: bytes) -> bytes | None:
    """A raw message with its audio replaced by its length; None if it is nothing but audio."""
    if b"\0" in raw or not _is_text(raw):
        return None
    return _LONG_BASE64.sub(lambda match: b'"(%d characters)"' % len(match[1]), raw)


def _is_text(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _forms(secret: str) -> set[str]:
    """A value in plain form, and escaped as in JSON and in URLs."""
    return {
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        quote(secret, safe="", errors="replace"),
    }
