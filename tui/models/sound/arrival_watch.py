"""ArrivalWatch: notices that agent audio does not come in the middle of a reply, while it does not."""

from __future__ import annotations

from collections.abc import Callable

from tui.models import events as e

STALL_MS = 500.0
"""A shorter gap is an underrun, and told when it is over."""


class ArrivalWatch:
    """Told what plays and for how long it has been silent. News goes to ``tell``."""

    def __init__(self, tell: Callable[[e.SessionEvent], None]) -> None:
        self._tell = tell
        self._reply: str | None = None
        """The one that is waited for."""
        self._gap_ms = 0.0
        self._excused = False

    def excuse(self) -> None:
        """The socket is lost: that nothing comes is explained, until something does."""
        self._excused = True

    def came(self) -> None:
        """Audio has come."""
        self._excused = False

    def poll(self, now_ns: int, reply: str | None, gap_ms: float) -> None:
        """``reply`` has begun and not ended, and has had nothing to play for ``gap_ms``."""
        stalls = reply is not None and gap_ms >= STALL_MS and not self._excused
        if self._reply is not None and (reply != self._reply or not stalls):
            waited_s = self._gap_ms / 1000
            text = f"Audio of reply {self._reply} comes again after {waited_s:.1f} s."
            if reply != self._reply:
                text = f"Reply {self._reply} is over, {waited_s:.1f} s after its last audio."
            elif self._excused:
                text = f"The socket was lost, so that no audio of reply {self._reply} comes."
            self._told(now_ns, self._reply, text, active=False)
            self._reply = None
        if stalls and self._reply is None and reply is not None:
            self._reply = reply
            text = (
                f"The agent sends nothing in the middle of reply {reply}: silence for {gap_ms / 1000:.1f} s."
            )
            self._told(now_ns, reply, text, active=True)
        self._gap_ms = gap_ms

    def _told(self, now_ns: int, reply: str, text: str, *, active: bool) -> None:
        self._tell(
            e.ConditionChanged(
                at_ns=now_ns,
                condition=e.Condition.ARRIVAL_STALL,
                path="playback",
                active=active,
                text=text,
                hint="It neither sends more of it nor says that it is complete." if active else "",
                reply=reply,
            )
        )
