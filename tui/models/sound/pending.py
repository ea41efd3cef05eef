"""PendingEvents: holds audio events until the next poll emits them."""

from __future__ import annotations

from collections.abc import Callable

from tui.models import events as e


class PendingEvents:
    """Collects events of the audio path in order. `add` may be called from any thread."""

    def __init__(self, clock_ns: Callable[[], int]) -> None:
        self.clock_ns = clock_ns
        self._events: list[e.SessionEvent] = []

    def add(self, event: e.SessionEvent) -> None:
        """Appends an event, which must have its time already."""
        self._events.append(event)

    def error(self, code: str, message: str) -> None:
        """Appends an error of the audio path with the current time."""
        self.add(audio_error(self.clock_ns(), code, message))

    def notice(self, text: str, hint: str = "", *, of_call: bool = False) -> None:
        """Appends a notice with the current time."""
        self.add(e.NoticeRaised(at_ns=self.clock_ns(), text=text, hint=hint, of_call=of_call))

    def take(self) -> list[e.SessionEvent]:
        """Removes and returns all collected events."""
        taken = list(self._events)
        # Removed by count rather than with `clear()`, because another thread may append between the copy and
        # the removal.
        del self._events[: len(taken)]
        return taken


def audio_error(at_ns: int, code: str, message: str) -> e.ErrorRaised:
    """Returns an error event whose source is the audio path."""
    return e.ErrorRaised(at_ns=at_ns, source="audio", code=code, message=message)
