"""StallFold: how often a device of the call stalled or was gone, and for how long."""

from __future__ import annotations

import msgspec

from tui.models import events as e
from tui.units import NS_PER_MS


class Stalls(msgspec.Struct, omit_defaults=True):
    """Of one device: the times in which no sound passed it."""

    count: int = 0
    lasted_ms: float = 0.0

    def __str__(self) -> str:
        times = "once" if self.count == 1 else f"{self.count:,} times"
        return f"{times}, {self.lasted_ms / 1000:.1f} s" if self.lasted_ms else f"{times}, not over"


class StallFold:
    """Folds what is told of devices into ``stalls``, by path. A stall that is found to be a loss is one with it."""

    def __init__(self, stalls: dict[str, Stalls]) -> None:
        self._stalls = stalls
        self._since_ns: dict[str, int] = {}
        """By path, of what has not ended yet."""
        self._until_ns: dict[str, int] = {}

    def apply(self, event: e.SessionEvent) -> bool:
        """Fold one event; True when a figure changed."""
        match event:
            case e.ConditionChanged(condition=e.Condition.STALLED | e.Condition.VANISHED):
                if event.active:
                    self._begin(event.path, event.at_ns if event.since_ns is None else event.since_ns)
                else:
                    self._end(event.path, event.at_ns)
            case e.StatusChanged(new=e.Status.ENDED | e.Status.ERROR):
                for path in tuple(self._since_ns):
                    self._end(path, event.at_ns)
            case _:
                return False
        return True

    def _begin(self, path: str, since_ns: int) -> None:
        counted_until_ns = self._until_ns.get(path, since_ns)
        self._since_ns[path] = max(since_ns, counted_until_ns)
        self._stalls.setdefault(path, Stalls()).count += since_ns >= counted_until_ns

    def _end(self, path: str, at_ns: int) -> None:
        since_ns = self._since_ns.pop(path, None)
        if since_ns is not None:
            self._until_ns[path] = at_ns
            self._stalls[path].lasted_ms += (at_ns - since_ns) / NS_PER_MS
