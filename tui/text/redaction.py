"""Redaction: keeps the secrets of a call out of everything that is shown or saved.

No other module knows the secrets. The secrets are the token, the values of headers, the user, password, query
and fragment of the URL, parameters and options whose names mark them as secret, and the JSON fields of
``--redact``. `Redactor` removes secrets from the events and messages of one call, before anything else reads
them. `without_secrets` removes the secrets of all calls of this process from text that does not belong to a
call: log lines, command errors, crash files.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote, quote_plus, unquote, unquote_plus

import msgspec

REDACTED = "[redacted]"
HIDDEN = "…"
"""Replacement for a secret at a known position, in a URL or in a table of settings."""
SHORTEST_SECRET = 6
"""Minimum length in characters. A shorter value, such as a header value "1", would match everywhere."""
SHORTEST_LEARNT = 4
"""Minimum length of values of ``--redact`` fields, which is shorter because the user has named these fields."""
_LEARNT_VALUES = 256
_VALUES_OF_A_PROCESS = 512
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_JSON = json.JSONDecoder(strict=False)
_SECRET_NAME = re.compile("key|token|secret|passw|auth|sign|credential|cookie", re.IGNORECASE)
_PUBLIC_NAMES = frozenset((
    "model", "deployment", "deploymentid", "agent", "agentid", "apiversion", "version", "encoding", "codec", "rate",
    "samplerate", "inputsamplerate", "outputsamplerate", "format", "inputformat", "outputformat",
))  # fmt: skip
"""Names of query parameters whose values agents repeat in ordinary messages. Lower case, letters only."""
_SCHEME = re.compile(r"(?:basic|bearer|token|key|apikey|digest)\s+(?=\S+$)", re.IGNORECASE)
_WHITE_SPACE = " \t\r\n\v\f\0\u00a0\u200b\ufeff\u2028\u2029"
_CONTROL = re.compile("[\0-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")

AnyStruct = TypeVar("AnyStruct", bound=msgspec.Struct)


class Redactor:
    """Removes secrets from text, raw messages and events. `add` and `text` may be called from any thread.

    ``secrets`` are values that are replaced wherever they occur, also in their JSON, URL and base64 forms.
    ``fields`` are names of JSON fields whose values are always replaced, at any depth and also in JSON inside
    a JSON string. Text that was found in a field of ``fields`` is replaced everywhere afterwards, because a
    transcript may repeat it. The redactor also adds every secret that it learns to ``shared``.
    """

    def __init__(
        self,
        secrets: Iterable[str] = (),
        fields: Iterable[str] = (),
        *,
        most_values: int | None = None,
        shared: Redactor | None = None,
    ) -> None:
        self._most_values = most_values
        self._shared = shared
        self._secrets: OrderedDict[str, frozenset[str]] = OrderedDict()
        self._learnt: OrderedDict[str, frozenset[str]] = OrderedDict()
        self._names: dict[str, None] = {}
        self._field: re.Pattern[str] | None = None
        # Replaced as one object and never changed in place, because another thread may be reading it.
        self._forms: tuple[str, ...] = ()
        self._lock = threading.Lock()
        self.add(secrets, fields)

    def add(self, secrets: Iterable[str] = (), fields: Iterable[str] = ()) -> None:
        """Adds secrets, and names of JSON fields with secret values."""
        secrets, fields = tuple(secrets), tuple(fields)
        if self._shared:
            self._shared.add(secrets, fields)
        with self._lock:
            new = [each for each in secrets if len(each) >= SHORTEST_SECRET and each not in self._secrets]
            for secret in new:
                self._secrets[secret] = _forms(secret)
            while self._most_values and len(self._secrets) > self._most_values:
                self._secrets.popitem(last=False)
            if new:
                self._sort_forms()
            if any(name and name not in self._names for name in fields):
                self._names.update(dict.fromkeys(filter(None, fields)))
                names = "|".join(map(re.escape, self._names))
                self._field = re.compile(rf'"(?:{names})"\s*:\s*', re.IGNORECASE)

    def message(self, raw: bytes) -> bytes:
        """Returns a raw message without secrets. A message without secrets is returned unchanged."""
        if not self._forms and self._field is None:
            return raw
        text = raw.decode("utf-8", "surrogateescape")
        clean = self.text(text)
        return raw if clean is text or clean == text else clean.encode("utf-8", "surrogateescape")

    def text(self, text: str) -> str:
        """Returns a text without secrets, including secrets that were cut off with an ellipsis."""
        if self._field is not None:
            text = self._without_fields(text, self._field)
        for form in self._forms:
            if form in text:
                text = text.replace(form, REDACTED)
        return _without_cut_forms(text, self._forms) if HIDDEN in text else text

    def event(self, event: AnyStruct) -> AnyStruct:
        """Returns an event without secrets in its text. An event without secrets is returned unchanged."""
        if not self._forms and self._field is None:
            return event
        cleaned: dict[str, Any] = {}
        for name in event.__struct_fields__:
            value = getattr(event, name)
            # No subclasses of str: enum members are not secrets.
            if type(value) is str:
                # Most strings in an event are empty.
                if len(value) >= SHORTEST_LEARNT and (clean := self.text(value)) is not value:
                    cleaned[name] = clean
            elif type(value) is dict and value:
                cleaned[name] = {self.text(str(key)): each for key, each in value.items()}
        return msgspec.structs.replace(event, **cleaned) if cleaned else event

    def _without_fields(self, text: str, field: re.Pattern[str]) -> str:
        parts: list[str] = []
        done = 0
        while match := field.search(text, done):
            parts.append(self._inside_strings(text[done : match.start()], field) + match[0])
            try:
                value, done = _JSON.raw_decode(text, match.end())
            except (ValueError, RecursionError):
                return "".join([*parts, f'"{REDACTED}"'])
            self._learn(value)
            parts.append(f'"{REDACTED}"')
        parts.append(self._inside_strings(text[done:], field))
        return "".join(parts)

    def _inside_strings(self, text: str, field: re.Pattern[str]) -> str:
        """Redacts JSON within JSON strings, such as the arguments of a tool call."""
        if '\\"' not in text:
            return text

        def inside(match: re.Match[str]) -> str:
            if '\\"' not in match[0]:
                return match[0]
            try:
                inner: str = _JSON.decode(match[0])
            except ValueError:
                return match[0]
            clean = self._without_fields(inner, field)
            return match[0] if clean == inner else json.dumps(clean, ensure_ascii=False)

        return _STRING.sub(inside, text)

    def _learn(self, value: object) -> None:
        with self._lock:
            new = [text for text in _texts_in(value) if text != REDACTED and text not in self._learnt]
            for text in new:
                self._learnt[text] = _forms(text)
            while len(self._learnt) > _LEARNT_VALUES:
                self._learnt.popitem(last=False)
            if new:
                self._sort_forms()
        if new and self._shared:
            self._shared._learn(new)  # noqa: SLF001 - of the same class

    def _sort_forms(self) -> None:
        every = {
            form for known in (self._secrets, self._learnt) for forms in known.values() for form in forms
        }
        # The longest first, because otherwise part of a longer secret could remain.
        self._forms = tuple(sorted(every, key=len, reverse=True))


_every_call = Redactor(most_values=_VALUES_OF_A_PROCESS)


def redactor_of_call(secrets: Iterable[str], fields: Iterable[str] = ()) -> Redactor:
    """Returns the redactor for one call.

    From now on, `without_secrets` also removes the secrets of the call.
    """
    return Redactor(secrets, fields, shared=_every_call)


def know_secrets(secrets: Iterable[str]) -> None:
    """Adds secrets that `without_secrets` removes from now on."""
    _every_call.add(secrets)


def without_secrets(text: str) -> str:
    """Returns a text without the secrets of all calls of this process. May be called from any thread."""
    return _every_call.text(text)


class LogFormatter(logging.Formatter):
    """Formats log records and their tracebacks, and removes secrets from both."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns the text for a record."""
        return without_secrets(super().format(record))


def log_without_secrets(level: int | str, layout: str) -> None:
    """Sends the log of this process to stderr, without secrets."""
    handler = logging.StreamHandler()
    handler.setFormatter(LogFormatter(layout))
    logging.basicConfig(level=level, handlers=[handler])


# -- values that are secret --


def is_secret_name(name: str) -> bool:
    """Returns whether a parameter or option with this name may have a secret value."""
    return bool(_SECRET_NAME.search(name))


def named_secrets(values: Mapping[str, str]) -> Iterator[str]:
    """Yields the values of the parameters or options whose names mark them as secret."""
    return (value for name, value in values.items() if is_secret_name(name))


def header_secrets(headers: Mapping[str, str]) -> Iterator[str]:
    """Yields the values of headers, without a preceding word such as "Bearer".

    Also yields the parts of a value that consists of several parts, such as cookies.
    """
    for name, value in headers.items():
        bare = _SCHEME.sub("", value, count=1)
        yield bare
        # The agent may quote only the last part, or one of several parts, such as cookies.
        if len(parts := re.split(r"[;,\s]+", bare)) > 1 or name.lower() == "cookie":
            yield parts[-1]
            yield from (part.partition("=")[2].strip('"') for part in parts)


def subprotocol_secrets(names: Iterable[str]) -> Iterator[str]:
    """Yields the keys in websocket subprotocols such as ``openai-insecure-api-key.KEY`` and ``bearer.TOKEN``."""
    for name in names:
        if key := name.partition(".")[2]:
            yield key


def url_secrets(url: str) -> Iterator[str]:
    """Yields the user, password, query values and fragment of a URL, both as written and decoded."""
    parts = _parts_of(url)
    user, _, password = parts.userinfo.partition(":")
    written = [user, password, parts.fragment]
    for pair in re.split("[&;]", parts.query):
        name, has_value, value = pair.partition("=")
        if not has_value or not value.strip("="):
            written.append(pair)
        elif re.sub("[^a-z]", "", name.lower()) not in _PUBLIC_NAMES:
            written.append(value)
    for value in filter(None, written):
        yield from (value, unquote(value), unquote_plus(value))


def token_in_environment(variable: str) -> str:
    """Returns the token in an environment variable; "" if the variable is empty or not set.

    Raises the same errors as `clean_header`.
    """
    return clean_header(os.environ.get(variable, ""))


def clean_header(value: str) -> str:
    """Returns a header value, or a token that is sent in a header, without surrounding white space.

    Raises the same `ValueError` as `clean_secret`.
    """
    value = clean_secret(value)
    for character in value:
        if ord(character) > 0xFF:  # HTTP uses ISO 8859-1 in headers
            raise ValueError(
                f"contains the character U+{ord(character):04X}, which an HTTP header cannot contain"
            )
    return value


def clean_secret(value: str) -> str:
    """Returns a secret without the white space that a file or a shell put around it.

    Raises `ValueError`, whose text completes the sentence "the value …" without repeating the value.
    """
    value = value.strip(_WHITE_SPACE)
    if found := _CONTROL.search(value):
        code = ord(found[0])
        if 0xDC80 <= code <= 0xDCFF:
            raise ValueError("contains a byte that is not valid UTF-8")
        raise ValueError(f"contains the control character U+{code:04X}")
    return value


# -- URLs --


class _UrlParts(NamedTuple):
    before: str
    """Scheme and slashes."""
    userinfo: str
    place: str
    """Host, port and path."""
    query: str
    fragment: str


def safe_url(url: str) -> str:
    """Returns a URL without user, password and fragment, and with hidden query values. Accepts any text."""
    parts = _parts_of(url)
    query = "&".join(map(_safe_pair, parts.query.split("&")))
    return parts.before + parts.place + (f"?{query}" if parts.query else "")


def host_of(url: str) -> str:
    """Returns the host and port of a URL, which are safe to show. Accepts any text."""
    return _parts_of(url).place.partition("/")[0]


def _parts_of(url: str) -> _UrlParts:
    """Splits any text into the parts of a URL. Never fails.

    `urlsplit` is not used, because it rejects some URLs, and mistakes the user name in others for a scheme.
    """
    head, _, fragment = url.partition("#")
    head, _, query = head.partition("?")
    before, found, place = head.rpartition("://") if "://" in head else ("", "", head)
    before += found
    slashes = len(place) - len(place.lstrip("/"))
    before, place = before + place[:slashes], place[slashes:]
    authority, slash, path = place.partition("/")
    userinfo, _, host = authority.rpartition("@")
    if not userinfo and _is_cut_userinfo(authority):
        # If a password contains "/", "?" or "#", everything up to the last "@" belongs to it.
        rest, found, after = url[len(before) :].rpartition("@")
        if found:
            return _parts_of(before + after)._replace(userinfo=rest)
    return _UrlParts(before, userinfo, host + slash + path, query, fragment)


def _is_cut_userinfo(authority: str) -> bool:
    host, colon, port = authority.rpartition(":")
    return bool(colon and host) and not port.isdigit() and port != "" and not authority.endswith("]")


def _safe_pair(pair: str) -> str:
    name, _, value = pair.partition("=")
    return f"{name}={HIDDEN}" if value.strip("=") else HIDDEN


# -- ways to write a secret --


def _forms(secret: str) -> frozenset[str]:
    """Returns a value as it appears in plain text, JSON (also inside a JSON string), URLs and base64."""
    escaped = json.dumps(secret)[1:-1]
    forms = {
        secret,
        escaped,
        json.dumps(secret, ensure_ascii=False)[1:-1],
        escaped.replace("/", "\\/"),
        json.dumps(escaped)[1:-1],
    }
    for encoded in (
        quote(secret, safe="", errors="replace"),
        quote(secret, errors="replace"),
        quote_plus(secret, errors="replace"),
    ):
        forms |= {encoded, re.sub("%..", lambda match: match[0].lower(), encoded)}
    if len(secret) >= SHORTEST_SECRET:  # a shorter value would match in audio
        forms.update(_base64_forms(secret.encode("utf-8", "replace")))
    return frozenset(forms)


def _base64_forms(secret: bytes) -> Iterator[str]:
    """Yields the base64 characters of a value that are the same whatever data surrounds the value.

    The characters depend on the alignment and on the alphabet, so there are six forms.
    """
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + secret + b"\0\0")
        sure = encoded[-(-8 * before // 6) : 8 * (before + len(secret)) // 6].decode()
        yield sure
        yield sure.replace("+", "-").replace("/", "_")


def _without_cut_forms(text: str, forms: Iterable[str]) -> str:
    """Returns the text without secrets that were cut off with an ellipsis."""
    pieces = text.split(HIDDEN)
    for form in forms:
        for index, piece in enumerate(pieces[:-1]):
            start = piece.rfind(form[:SHORTEST_SECRET])
            if start >= 0 and form.startswith(piece[start:]):
                pieces[index] = piece[:start] + REDACTED
    return HIDDEN.join(pieces)


def _texts_in(value: object) -> Iterator[str]:
    """Yields the strings and numbers in a JSON value that are long enough to be secrets."""
    match value:
        case str():
            if len(value) >= SHORTEST_LEARNT:
                yield value
        case bool():
            return
        case int():
            if len(str(value)) >= SHORTEST_SECRET:
                yield str(value)
        case dict():
            for each in value.values():
                yield from _texts_in(each)
        case list():
            for each in value:
                yield from _texts_in(each)
