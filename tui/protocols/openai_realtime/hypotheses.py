"""The words of the user that are on their way, by the item they belong to."""

from __future__ import annotations

_MAX_ITEMS = 20
_MAX_CHARS = 20_000


class Hypotheses:
    """Partial transcripts; they may be of several turns at once, as transcription takes its time."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}

    def add(self, item_id: str, delta: str) -> str:
        """More words of an item; all of them so far."""
        self._texts[item_id] = (self._texts.get(item_id, "") + delta)[:_MAX_CHARS]
        if len(self._texts) > _MAX_ITEMS:
            del self._texts[next(iter(self._texts))]
        return self._texts.get(item_id, "")

    def end(self, item_id: str) -> None:
        """The transcript of an item is complete, or failed."""
        self._texts.pop(item_id, None)
