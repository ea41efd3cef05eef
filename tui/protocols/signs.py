"""Signs: the features by which `tui.protocols.detect` recognizes a protocol that the user has not named."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import msgspec


class Host(msgspec.Struct, frozen=True):
    """A service that speaks the protocol, at a domain and its subdomains."""

    domain: str
    owner: str
    """The name shown in the reason, such as "Azure OpenAI"."""
    path_endings: tuple[str, ...]
    """Endings of the paths at which the service speaks the protocol; other paths may have other protocols. An empty
    path always matches."""


class Signs(msgspec.Struct, frozen=True, kw_only=True):
    """Features of a URL or of the agent's first message that identify a protocol.

    Reasons are clauses, which the program shows in parentheses.
    """

    hosts: tuple[Host, ...] = ()
    path_words: tuple[str, ...] = ()
    """Words to look for in the URL's path, in lower case."""
    path_endings: Mapping[str, str] = {}
    """Endings of the URL's path, each with the owner of the convention, such as "Twilio's samples"."""
    web_address: str = ""
    """Why an http or https URL belongs to this protocol; empty if it does not."""
    first_message: Callable[[Mapping[str, Any] | bytes], str] = lambda message: ""
    """Returns why the agent's first message, sent unprompted, belongs to this protocol.

    The message is a JSON object or a binary frame. Returns "" if it does not belong; must not raise.
    """


def first_message_of(
    owner: str, kinds: Collection[str], member: str = "type", **others: type
) -> Callable[[Mapping[str, Any] | bytes], str]:
    """Returns a `Signs.first_message` that recognizes messages of these kinds.

    ``others`` are the names and types of further members that the message must have.
    """

    def reason(message: Mapping[str, Any] | bytes) -> str:
        if isinstance(message, bytes):
            return ""
        kind = message.get(member)
        fits = all(isinstance(message.get(name), due) for name, due in others.items())
        return sent(kind, owner) if isinstance(kind, str) and kind in kinds and fits else ""

    return reason


def sent(kind: object, owner: str) -> str:
    """Returns the reason for recognizing a protocol by a message of this kind."""
    return f"the agent sent {kind}, which is a message of {owner}"
