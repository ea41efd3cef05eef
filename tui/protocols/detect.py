"""Detects an agent's protocol from the agent's URL or first message.

Each protocol defines its signs (`Protocol.signs`). Built-in protocols are tried first; protocols of installed
packages are tried only if no built-in protocol matches. If the URL matches no protocol, the program waits up
to `LISTEN_MS` for a first message. If the message matches no protocol either, the program asks the user.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from tui.protocols.base import Protocol, ProtocolError
from tui.protocols.json_frames import decode_object
from tui.protocols.registry import BUILT_IN, ProtocolUnavailable, names, protocol_named

LISTEN_MS = 300
"""How long to wait for the first message; only OpenAI and Deepgram agents send a message before the caller does."""

_WORD = re.compile(r"[a-z0-9]+")


class Guess(NamedTuple):
    """A detected protocol, and the reason for the guess."""

    protocol: str
    """The protocol's name, as used with ``--protocol NAME``."""
    title: str
    why: str
    """The reason as a clause in parentheses, such as 'the URL path contains “twilio”'."""

    @property
    def sentence(self) -> str:
        """The sentence to show the user."""
        return f"Using the {self.title} protocol ({self.why})."


def from_url(url: str) -> Guess | None:
    """Returns the protocol that the URL indicates; None if it matches no protocol."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
    except ValueError:
        return None
    return _first(lambda protocols: _by_url(protocols, parts, host))


def from_first_frame(frame: str | bytes) -> Guess | None:
    """Returns the protocol of the agent's first frame, which must have been sent without a request."""
    if isinstance(frame, bytes) and (not frame or frame.lstrip().startswith(b"{")):
        return None
    try:
        message = frame if isinstance(frame, bytes) else decode_object(frame)[0]
    except ProtocolError:
        return None
    return _first(lambda protocols: _guess((p, p.signs.first_message(message)) for p in protocols))


def _first(guess: Callable[[Sequence[Protocol]], Guess | None]) -> Guess | None:
    """Returns the first match. Built-in protocols are tried first, so that a package cannot claim their signs."""
    return guess([protocol_named(name) for name in BUILT_IN]) or guess(_installed())


@cache
def _installed() -> Sequence[Protocol]:
    """Returns the protocols of installed packages.

    Skips broken packages, which are reported only if the user requests their protocol.
    """
    found = []
    for name in names()[len(BUILT_IN) :]:
        try:
            found.append(protocol_named(name))
        except ProtocolUnavailable:
            continue
    return found


def _by_url(protocols: Sequence[Protocol], parts: SplitResult, host: str) -> Guess | None:
    if parts.scheme in ("http", "https"):
        return _guess((protocol, protocol.signs.web_address) for protocol in protocols)
    path = parts.path.rstrip("/").lower()
    services = [(protocol, service) for protocol in protocols for service in protocol.signs.hosts]
    at_host = [found for found in services if f".{host}".endswith(f".{found[1].domain}")]
    if at_host:
        # A known service also has websockets with other protocols, so words in its paths prove nothing.
        return _guess(
            (protocol, f"{host} is {service.owner}" if _is_at(path, service.path_endings) else "")
            for protocol, service in at_host
        )
    words = _WORD.findall(path)
    by_word = (
        (protocol, f"the URL path contains “{word}”" if word in protocol.signs.path_words else "")
        for word in words
        for protocol in protocols
    )
    by_ending = (
        (protocol, f"the URL path ends in {ending}, as in {origin}" if path.endswith(ending) else "")
        for protocol in protocols
        for ending, origin in protocol.signs.path_endings.items()
    )
    return _guess(by_word) or _guess(by_ending)


def _is_at(path: str, endings: tuple[str, ...]) -> bool:
    return path == "" or path.endswith(endings)


def _guess(reasons: Iterable[tuple[Protocol, str]]) -> Guess | None:
    """Returns a guess for the first protocol whose reason is not empty; None if all are empty."""
    return next((Guess(protocol.name, protocol.title, why) for protocol, why in reasons if why), None)
