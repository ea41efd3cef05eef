"""Collects partial transcripts of the user's speech."""

from __future__ import annotations

_MAX_ITEMS = 20
_MAX_CHARS = 20_000


class PartialTranscripts:
    """Collects partial transcripts by item. Several items can be open at once, because transcription lags behind."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}

    def add(self, item_id: str, delta: str) -> str:
        """Adds a fragment to an item's transcript; returns the transcript so far."""
        self._texts[item_id] = (self._texts.get(item_id, "") + delta)[:_MAX_CHARS]
        if len(self._texts) > _MAX_ITEMS:
            del self._texts[next(iter(self._texts))]
        return self._texts.get(item_id, "")

    def end(self, item_id: str) -> None:
        """Forgets an item whose transcript is complete or failed."""
        self._texts.pop(item_id, None)
