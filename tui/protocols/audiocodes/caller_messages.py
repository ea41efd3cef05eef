"""Builds the messages of one call in the form that VoiceAI Connect sends."""

from __future__ import annotations

from typing import Any

from tui.protocols.base import NewId, Outgoing, UtcNow
from tui.protocols.json_frames import outgoing


class CallerMessages:
    """Builds messages with the id of the call. Activities also get ids and timestamps."""

    def __init__(self, conversation_id: str, new_id: NewId, utc_now: UtcNow) -> None:
        self.conversation_id = conversation_id
        self._new_id = new_id
        self._utc_now = utc_now

    def message(self, kind: str, summary: str, audio_ms: float = 0.0, **members: Any) -> Outgoing:
        """Returns a message of this ``kind`` with these members; ``summary`` is its line in the log."""
        body = {"type": kind, "conversationId": self.conversation_id, **members}
        return outgoing(body, summary, audio_ms)

    def activity(self, summary: str, **members: Any) -> Outgoing:
        """Returns a message with one activity."""
        activity = {**members, "id": self._new_id(), "timestamp": self._utc_now()}
        return self.message("activities", summary, activities=[activity])
