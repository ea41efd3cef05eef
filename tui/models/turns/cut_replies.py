"""CutReplies: how much of a reply came that was cut off, with what arrives after its playback has ended."""

from __future__ import annotations

from tui.models import events as e


class CutReplies:
    """Folds events into what was received of replies that are played no longer, constant work each."""

    def __init__(self) -> None:
        self.received_ms: dict[str, float] = {}
        """Of each reply whose playback has ended: heard, unheard and late."""
        self._cut: set[str] = set()

    def apply(self, event: e.SessionEvent) -> float:
        """Fold one event; gives how much more of a reply that was cut off it tells of, in ms."""
        match event:
            case e.PlaybackEnded():
                self.received_ms[event.reply] = event.heard_ms + event.unheard_ms
                if event.unheard_ms > 0:
                    self._cut.add(event.reply)
            case e.LossCounted(loss=e.Loss.UNHEARD) if event.reply in self.received_ms and event.count > 0:
                self._cut.add(event.reply)
                return self._receive(event.reply, event.count)
            case e.ReplyEnded() if event.reply in self._cut:
                return self._receive(event.reply, event.received_ms - self.received_ms[event.reply])
            case _:
                pass
        return 0.0

    def _receive(self, reply: str, more_ms: float) -> float:
        self.received_ms[reply] += max(more_ms, 0.0)
        return max(more_ms, 0.0)
