"""Dialects of OpenAI Realtime: services that use it with additional messages and members."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """Differences between a service and OpenAI."""

    beta: bool | None = None
    """Whether it uses the names of the beta; None if the first message decides."""
    messages: tuple[str, ...] = ()
    """Beginnings of the names of messages that only it has; none of them affects the call."""
    opens_with: str = ""
    """The message it sends first, in place of ``session.created`` or before it."""
    has_azure_voices: bool = False
    """Whether Azure voices are objects rather than names."""

    def knows(self, kind: str) -> bool:
        """Returns whether a message is one of its own."""
        return kind.startswith(self.messages) if self.messages else False


DIALECTS: Mapping[str, Dialect] = MappingProxyType(
    {
        "auto": Dialect(),
        "ga": Dialect(beta=False),
        "beta": Dialect(beta=True),
        # azure-ai-voicelive 1.3.1: the names of the beta, and much for avatars and the timing of words.
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
        ),
        # docs.x.ai: the names of GA; ``conversation.created`` comes first.
        "xai": Dialect(
            beta=False,
            messages=("ping", "conversation.item.input_audio_transcription.updated"),
            opens_with="conversation.created",
        ),
    }
)
"""By the value of the option ``dialect``."""
_AZURE_VOICE = re.compile(r"[a-z]{2,3}-[A-Z][A-Za-z]+-\S+")
"""A locale and a name, such as en-US-AvaNeural."""


def voice_member(voice: str, dialect: Dialect) -> Mapping[str, Any]:
    """Returns the member of a session that names the voice; none without one."""
    if not voice:
        return {}
    is_azures = dialect.has_azure_voices and _AZURE_VOICE.fullmatch(voice)
    return {"voice": {"type": "azure-standard", "name": voice} if is_azures else voice}
