"""TalkFold: measures how long each party spoke, how long both spoke at once, and when neither spoke."""

from __future__ import annotations

from tui.models import events as e
from tui.models.turns.audible import Audible, Stretch
from tui.models.turns.turns import DeadAir
from tui.units import NS_PER_MS

DEAD_AIR_NS = 2_000_000_000


class TalkFold:
    """Folds edges of speech on both tracks into talk times.

    ``audible`` must have processed each event first.
    """

    def __init__(self, audible: Audible) -> None:
        self.talk_ms: dict[e.Party, float] = {}
        self.overlap_ms: float | None = None
        self.dead_air: list[DeadAir] = []
        self._audible = audible
        self._talking: dict[e.Party, Stretch] = {}
        self._quiet_since_ns: int | None = None
        self._spoke_last: e.Party | None = None

    def apply(self, event: e.SessionEvent) -> bool:
        """Applies one event; returns whether a figure changed."""
        match event:
            case e.StatusChanged(new=e.Status.ACTIVE) if self._quiet_since_ns is None:
                self._quiet_since_ns = event.at_ns
            case e.SpeechEdge(started=True) if event.speaker not in self._talking:
                return self._begin(event)
            case e.SpeechEdge(started=False) if event.speaker in self._talking:
                self._end(event.speaker, event.at_ns)
                return True
            case e.StatusChanged(new=e.Status.ENDED | e.Status.ERROR):
                return self._close(event.at_ns)
        return False

    def _begin(self, edge: e.SpeechEdge) -> bool:
        quiet_since_ns = self._quiet_since_ns
        stretch = self._audible.current(edge.speaker)
        assert stretch is not None
        self._talking[edge.speaker] = stretch
        if len(self._talking) > 1 or quiet_since_ns is None:
            return False
        return self._quiet(quiet_since_ns, edge.at_ns)

    def _quiet(self, since_ns: int, until_ns: int) -> bool:
        if until_ns - since_ns <= DEAD_AIR_NS:
            return False
        self.dead_air.append(DeadAir(since_ns, (until_ns - since_ns) / NS_PER_MS))
        return True

    def _end(self, speaker: e.Party, at_ns: int) -> None:
        began_ns = self._talking.pop(speaker).began_ns
        self._spoke_last = speaker
        talk_ns = max(at_ns - began_ns, 0)
        self.talk_ms[speaker] = self.talk_ms.get(speaker, 0.0) + talk_ns / NS_PER_MS
        both_ns = sum(
            max(min(at_ns, theirs.ended_ns) - max(began_ns, theirs.began_ns), 0)
            for theirs in self._audible.stretches(speaker.other)
            if theirs.ended_ns is not None
        )
        self.overlap_ms = (self.overlap_ms or 0.0) + both_ns / NS_PER_MS
        self._quiet_since_ns = max(self._quiet_since_ns or at_ns, at_ns)

    def _close(self, at_ns: int) -> bool:
        """Ends ongoing speech at the end of the session. The final silence may be dead air."""
        changed = bool(self._talking)
        for speaker, stretch in list(self._talking.items()):
            stretch.ended_ns = max(at_ns, stretch.began_ns)
            self._end(speaker, stretch.ended_ns)
        if self._quiet_since_ns is not None:
            # Silence after the agent's last answer is not dead air: the user just has not hung up yet.
            if self._spoke_last is not e.Party.AGENT:
                changed |= self._quiet(self._quiet_since_ns, at_ns)
            self._quiet_since_ns = None
        return changed
