"""Dialects of OpenAI Realtime: services that use additional messages and members."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from tui.protocols.openai_realtime import wire


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """How a service differs from OpenAI."""

    beta: bool | None = None
    """Whether the service uses the beta's names; None if its first message determines this."""
    messages: tuple[str, ...] = ()
    """Name prefixes of messages that exist only in this dialect and do not affect the call."""
    opens_with: str = ""
    """The first message from the service, which replaces or precedes ``session.created``."""
    has_azure_voices: bool = False
    """Whether Azure voices are sent as objects rather than names."""
    pcm_rates: tuple[int, ...] = wire.PCM_RATES
    """The PCM sample rates that the service supports, in Hz."""
    truncates: bool = True
    """Whether the service accepts ``conversation.item.truncate``, which reports how much was heard."""
    host: str = ""
    """The domain of the service's URLs, including all subdomains."""
    path: str = ""
    """The ending of the path in the service's URLs; the local agent serves the dialect there too."""

    def knows(self, kind: str) -> bool:
        """Returns whether only this dialect defines the message."""
        return kind.startswith(self.messages) if self.messages else False


DIALECTS: Mapping[str, Dialect] = {
    "auto": Dialect(),
    "ga": Dialect(beta=False),
    "beta": Dialect(beta=True),
    # azure-ai-voicelive 1.3.1: the beta's names, and many messages for avatars and word timing.
    "azure-voice-live": Dialect(
        beta=True,
        messages=(
            "input_audio.turn.",
            "mcp_",
            "response.animation_",
            "response.audio_timestamp.",
            "response.file_search_call.",
            "response.mcp_",
            "response.video.",
            "response.web_search_call.",
            "session.avatar.",
            "warning",
        ),
        has_azure_voices=True,
        pcm_rates=(8_000, 16_000, 24_000),
        path="/voice-live/realtime",
    ),
    # docs.x.ai: GA's names; ``conversation.created`` comes first. LiveKit's and pydantic-ai's clients do not
    # truncate, pipecat's does.
    "xai": Dialect(
        beta=False,
        messages=("ping", "conversation.item.input_audio_transcription.updated"),
        opens_with="conversation.created",
        pcm_rates=(8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000),
        truncates=False,
        host="x.ai",
        path="/xai/v1/realtime",
    ),
}
"""Dialects by the value of the option ``dialect``."""
_AZURE_VOICE = re.compile(r"[a-z]{2,3}-[A-Z][A-Za-z]+-\S+")
"""Pattern of a locale and a name, such as en-US-AvaNeural."""


def dialect_of(url: str) -> str:
    """Returns the name of the dialect that the URL indicates; "auto" if it indicates none."""
    try:
        parts = urlsplit(url)
        host = f".{parts.hostname or ''}"
    except ValueError:
        return "auto"
    path = parts.path.rstrip("/")
    for name, dialect in DIALECTS.items():
        if dialect.path and path.endswith(dialect.path):
            return name
        if dialect.host and host.endswith(f".{dialect.host}"):
            return name
    return "auto"


def voice_member(voice: str, dialect: Dialect) -> Mapping[str, Any]:
    """Returns the session member that names the voice; {} if ``voice`` is empty."""
    if not voice:
        return {}
    is_azures = dialect.has_azure_voices and _AZURE_VOICE.fullmatch(voice)
    return {"voice": {"type": "azure-standard", "name": voice} if is_azures else voice}
