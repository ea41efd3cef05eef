"""TalkFold: how long each party spoke, how long both did, and when nobody did."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from tui.models import events as e
from tui.models.turns.turns import DeadAir
from tui.units import NS_PER_MS

DEAD_AIR_NS = 2_000_000_000
_KEPT_STRETCHES = 32


class Stretch(NamedTuple):
    """A period in which one party spoke."""

    began_ns: int
    ended_ns: int


class TalkFold:
    """Folds the edges of speech on both tracks, whose events come some time after the edge."""

    def __init__(self) -> None:
        self.talk_ms: dict[e.Party, float] = {}
        self.overlap_ms: float | None = None
        self.dead_air: list[DeadAir] = []
        self._open: dict[e.Party, int] = {}
        self._spoken: dict[e.Party, deque[Stretch]] = {
            speaker: deque(maxlen=_KEPT_STRETCHES) for speaker in e.Party
        }
        self._quiet_since_ns: int | None = None

    def apply(self, event: e.SessionEvent) -> bool:
        """Fold one event; True when a figure changed."""
        match event:
            case e.StatusChanged(new=e.Status.ACTIVE) if self._quiet_since_ns is None:
                self._quiet_since_ns = event.at_ns
            case e.SpeechEdge(started=True) if event.speaker not in self._open:
                return self._begin(event)
            case e.SpeechEdge(started=False) if event.speaker in self._open:
                self._end(event.speaker, event.at_ns)
                return True
            case e.StatusChanged(new=e.Status.ENDED | e.Status.ERROR):
                return self._close(event.at_ns)
            case _:
                pass
        return False

    def last_heard_ns(self, speaker: e.Party, now_ns: int) -> int | None:
        """When the party was heard last: ``now_ns`` if it is speaking, None if it never was."""
        if speaker in self._open:
            return now_ns
        return self._spoken[speaker][-1].ended_ns if self._spoken[speaker] else None

    def _begin(self, edge: e.SpeechEdge) -> bool:
        quiet_since_ns = self._quiet_since_ns
        self._open[edge.speaker] = edge.at_ns
        if len(self._open) > 1 or quiet_since_ns is None:
            return False
        return self._quiet(quiet_since_ns, edge.at_ns)

    def _quiet(self, since_ns: int, until_ns: int) -> bool:
        if until_ns - since_ns <= DEAD_AIR_NS:
            return False
        self.dead_air.append(DeadAir(since_ns, (until_ns - since_ns) / NS_PER_MS))
        return True

    def _end(self, speaker: e.Party, at_ns: int) -> None:
        other = e.Party.AGENT if speaker is e.Party.USER else e.Party.USER
        stretch = Stretch(self._open.pop(speaker), at_ns)
        self._spoken[speaker].append(stretch)
        self.talk_ms[speaker] = self.talk_ms.get(speaker, 0.0) + _length_ns(stretch) / NS_PER_MS
        both_ns = sum(_length_ns(_common(stretch, theirs)) for theirs in self._spoken[other])
        self.overlap_ms = (self.overlap_ms or 0.0) + both_ns / NS_PER_MS
        self._quiet_since_ns = max(self._quiet_since_ns or at_ns, at_ns)

    def _close(self, at_ns: int) -> bool:
        """End the session, and with it any speech that is still open."""
        changed = bool(self._open)
        for speaker in list(self._open):
            self._end(speaker, max(at_ns, self._open[speaker]))
        if self._quiet_since_ns is not None:
            changed |= self._quiet(self._quiet_since_ns, at_ns)
            self._quiet_since_ns = None
        return changed


def _common(one: Stretch, other: Stretch) -> Stretch:
    return Stretch(max(one.began_ns, other.began_ns), min(one.ended_ns, other.ended_ns))


def _length_ns(stretch: Stretch) -> int:
    return max(stretch.ended_ns - stretch.began_ns, 0)
