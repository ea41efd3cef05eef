"""Which protocol an agent speaks, as far as its URL or its first message tells.

A guess says why, so that it can be shown. Whoever asks listens for `LISTEN_MS` where the URL says nothing, and
asks the user where that says nothing either.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

LISTEN_MS = 300
"""How long the first message may take: of the protocols of this program only OpenAI's agents speak first."""

_WORD = re.compile(r"[a-z0-9]+")
_WORDS = {
    "audiocodes": "audiocodes",
    "vaic": "audiocodes",
    "twilio": "twilio",
    "convai": "elevenlabs",
    "elevenlabs": "elevenlabs",
    "pcm": "pcm",
    "openai": "openai",
}
"""Words of a path, and the protocol they are from."""
_ENDINGS = {
    "/realtime": ("openai", "as in OpenAI's interface"),
    "/media-stream": ("twilio", "as in Twilio's samples"),
    "/ws/telephony": ("audiocodes", "as where opusagent answers AudioCodes"),
}


class Guess(NamedTuple):
    """A protocol's name, and why it is thought to be spoken."""

    protocol: str
    why: str
    """One sentence."""


def from_url(url: str) -> Guess | None:
    """What the URL tells; None where it tells nothing, or names a protocol that this program does not have."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
    except ValueError:
        return None
    if parts.scheme in ("http", "https"):
        return Guess("twilio", "This is a web address: the webhook from which Twilio gets its TwiML.")
    path = parts.path.rstrip("/").lower()
    return _from_known_host(host, path) if _is_known(host) else _from_path(path)


def from_first_frame(frame: str | bytes) -> Guess | None:
    """What a message tells that the agent sent before it was told anything."""
    if isinstance(frame, bytes):
        why = "The agent's first message is binary, and only plain PCM carries anything but text."
        return Guess("pcm", why) if frame and not frame.lstrip().startswith(b"{") else None
    from tui.protocols.base import ProtocolError
    from tui.protocols.json_frames import decode_object

    try:
        message, _ = decode_object(frame)
    except ProtocolError:
        return None
    return _from_message(message)


def _is_known(host: str) -> bool:
    return f".{host}".endswith((".openai.com", ".azure.com", ".elevenlabs.io"))


def _from_known_host(host: str, path: str) -> Guess | None:
    """Each of them has other websockets too."""
    if host.endswith("elevenlabs.io"):
        return (
            Guess("elevenlabs", f"{host} is ElevenLabs.") if path in ("", "/v1/convai/conversation") else None
        )
    owner = "OpenAI" if host.endswith(".openai.com") else "Azure OpenAI"
    return Guess("openai", f"{host} is {owner}.") if path == "" or path.endswith("/realtime") else None


def _from_path(path: str) -> Guess | None:
    for word in _WORD.findall(path):
        if protocol := _WORDS.get(word):
            return Guess(protocol, f"The path has {word!r} in it.")
    for ending, (protocol, example) in _ENDINGS.items():
        if path.endswith(ending):
            return Guess(protocol, f"The path ends in {ending}, {example}.")
    return None


def _from_message(message: Mapping[str, Any]) -> Guess | None:
    match message:
        case {"type": "session.created" as kind}:
            return Guess("openai", f"The agent spoke first, with {kind}, as only OpenAI's do.")
        case {"type": "conversation_initiation_metadata" as kind}:
            return Guess("elevenlabs", f"The agent sent {kind}, which is a message of ElevenLabs.")
        case {"type": "session.accepted" | "playStream.start" | "userStream.started" as kind}:
            return Guess("audiocodes", f"The agent sent {kind}, which is a message of AudioCodes.")
        case {"event": "media" | "mark" | "clear" as event}:
            return Guess("twilio", f"The agent sent the event {event}, as servers send it to Twilio.")
        case {"type": "ready", "sample_rate": int()} | {"type": "ready", "output_sample_rate": int()}:
            return Guess("pcm", "The agent sent ready with a sample rate, as servers of plain PCM do.")
        case _:
            return None
