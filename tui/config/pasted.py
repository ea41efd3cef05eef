"""Reads a command line for another client (wscat, websocat or curl) that the user pasted in place of a URL."""

from __future__ import annotations

import os
import re
import shlex

import msgspec

from tui.text.redaction import clean_header

_CLIENTS = ("wscat", "websocat", "curl")
_HEADER_OPTIONS = ("-H", "--header")
_SUBPROTOCOL_OPTIONS = {"wscat": ("-s", "--subprotocol"), "websocat": ("--protocol",), "curl": ()}
_OF_THE_HANDSHAKE = ("connection", "upgrade", "host")
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


class Pasted(msgspec.Struct, frozen=True):
    """The URL and headers in a pasted command line. Values of headers are secrets."""

    url: str
    headers: dict[str, str]
    subprotocols: tuple[str, ...] = ()


def read_command(text: str) -> Pasted | None:
    """Returns the URL and headers in a command line; None if the text is not a command with a URL.

    Headers that every websocket client sets automatically are left out. A curl command's ``https://`` becomes
    ``wss://``, because curl sends a websocket handshake as an ordinary request.
    """
    try:
        words = shlex.split(text.replace("\\\n", " "))
    except ValueError:
        return None
    words = words[next((n + 1 for n, word in enumerate(words) if word in ("$", ">")), 0) :]
    client = os.path.basename(words[0]) if words else ""  # noqa: PTH119 - a word, not a path of this machine
    if client not in _CLIENTS:
        return None
    url, headers, subprotocols = "", {}, []
    rest = iter(words[1:])
    for word in rest:
        name, _, value = word.partition("=") if word.startswith("-") else (word, "", "")
        if name in _HEADER_OPTIONS:
            headers.update(_header(value or next(rest, "")))
        elif name in _SUBPROTOCOL_OPTIONS[client]:
            subprotocols.append(value or next(rest, ""))
        elif "://" in word:
            url = url or word[word.index("=") + 1 if word.startswith("-") and "=" in word else 0 :]
    if client == "curl":
        url = re.sub(r"^http", "ws", url)
    return Pasted(url, headers, tuple(filter(None, subprotocols))) if url else None


def _header(line: str) -> dict[str, str]:
    name, _, value = line.partition(":")
    name = name.strip()
    if (
        not _NAME.fullmatch(name)
        or name.lower() in _OF_THE_HANDSHAKE
        or name.lower().startswith("sec-websocket-")
    ):
        return {}
    try:
        return {name: clean_header(value.strip())}
    except ValueError:
        return {}
