"""Journal: numbers events, applies them to the session's state, and passes them to a sink."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from tui.models import events as e
from tui.models.session_state import SessionState
from tui.models.tally import Tally
from tui.models.target import Target
from tui.protocols.base import Finding
from tui.protocols.log_rules import LogRules
from tui.text.redaction import Redactor

Emitted = TypeVar("Emitted", bound=e.SessionEvent)


@dataclass(eq=False, repr=False)
class Journal:
    """Adds events to a session's stream. No other object may add events. Runs on the session's loop.

    ``redactor`` first removes the secrets of the call from every event and message. ``sink`` receives every
    event in order, after it was applied to ``state``. ``keep_raw`` stores a raw message and returns its
    offset, or -1 if it did not keep the message.
    """

    state: SessionState
    _: KW_ONLY
    sink: Callable[[e.SessionEvent], object]
    keep_raw: Callable[[bytes], int]
    clock_ns: Callable[[], int]
    redactor: Redactor = field(default_factory=Redactor)

    def __post_init__(self) -> None:
        self.number = 0
        """The number of the last event."""
        self._losing: Tally[tuple[e.Loss, str]] = Tally()

    def emit(self, event: Emitted) -> Emitted:
        """Removes secrets from the event, numbers it, applies it to the state and passes it to ``sink``.

        Returns the resulting event.
        """
        self.number += 1
        event = msgspec.structs.replace(self.redactor.event(event), number=self.number)
        self.state.apply(event)
        # After the fold, so that the state already includes the event when the sink receives it.
        self.sink(event)
        return event

    def begin(
        self,
        target: Target,
        session_id: str = "",
        *,
        volume: float = 1.0,
        log_rules: LogRules | None = None,
    ) -> None:
        """Begins a session with the given target. ``session_id`` is empty if the call is refused before it starts.

        ``volume`` is the playback volume of the previous call; an event is emitted if the state has another
        volume. ``log_rules`` are the rules of a custom protocol.
        """
        self.emit(
            e.SessionStarted(
                at_ns=self.clock_ns(),
                session_id=session_id,
                started_utc=utc_now(),
                target=target.safe_url,
                protocol=target.protocol,
                title=target.name,
                log_rules=log_rules,
            )
        )
        if volume != self.state.controls.volume:
            self.emit(e.VolumeChanged(at_ns=self.clock_ns(), volume=volume))

    def become(self, new: e.Status, reason: str = "") -> bool:
        """Changes the session's status. If the change is not allowed, emits an error and returns False."""
        old = self.state.status
        if not old.may_become(new):
            message = f"A session that is {old} cannot become {new}."
            self.error("session", "illegal-transition", message)
            return False
        self.emit(e.StatusChanged(at_ns=self.clock_ns(), old=old, new=new, reason=reason))
        return True

    def message(
        self,
        direction: e.Direction,
        frame: str | bytes,
        kind: str,
        summary: str = "",
        audio_ms: float = 0.0,
        *,
        at_ns: int | None = None,
        known: bool = True,
    ) -> e.MessageLogged:
        """Logs a message that was sent or received, and keeps it verbatim except for secrets."""
        raw = frame if isinstance(frame, bytes) else frame.encode("utf-8", "surrogatepass")
        kept = self.redactor.message(raw)
        offset = self.keep_raw(kept)
        return self.emit(
            e.MessageLogged(
                at_ns=self.clock_ns() if at_ns is None else at_ns,
                direction=direction,
                kind=kind,
                summary=summary,
                size_bytes=len(raw),
                offset=offset,
                kept_bytes=0 if kept is raw or offset < 0 else len(kept),
                audio_ms=audio_ms,
                known=known,
            )
        )

    def error(
        self, source: str, code: str, message: str, hint: str = "", *, fatal: bool = False
    ) -> e.ErrorRaised:
        """Emits an error event."""
        at_ns = self.clock_ns()
        return self.emit(
            e.ErrorRaised(at_ns=at_ns, source=source, code=code, message=message, hint=hint, fatal=fatal)
        )

    def condition(
        self, condition: e.Condition, path: str, *, active: bool, text: str, hint: str = ""
    ) -> None:
        """Emits an event for a condition that began or ended."""
        at_ns = self.clock_ns()
        self.emit(
            e.ConditionChanged(
                at_ns=at_ns, condition=condition, path=path, active=active, text=text, hint=hint
            )
        )

    def notice(self, text: str, hint: str = "") -> None:
        """Emits a notice: information for the user that is not an error."""
        self.emit(e.NoticeRaised(at_ns=self.clock_ns(), text=text, hint=hint))

    def find(self, found: Finding, *, about: int = 0, count: int = 1) -> None:
        """Emits a finding or advice; ``count`` is the number of occurrences so far."""
        self.emit(
            e.FindingRaised(
                at_ns=self.clock_ns(),
                rule=found.rule,
                text=found.text,
                advice=found.advice,
                about=about,
                count=count,
            )
        )

    def lost(self, loss: e.Loss, count: float, detail: str = "", *, reply: str = "") -> None:
        """Emits a `LossCounted` event."""
        self.emit(e.LossCounted(at_ns=self.clock_ns(), loss=loss, count=count, detail=detail, reply=reply))

    def losing(self, loss: e.Loss, detail: str = "", more: int = 1) -> None:
        """Counts a loss that may recur many times in a row.

        Emits the first occurrence immediately, and later occurrences together, at most once a second.
        """
        if count := self._losing.add((loss, detail), self.clock_ns(), more):
            self.lost(loss, count.new, detail)

    def report_losses(self, *, final: bool = False) -> None:
        """Emits the counts of `losing` that are due: once a second for each loss, or all of them if ``final``.

        Call it often.
        """
        for (loss, detail), count in self._losing.due(self.clock_ns(), final=final):
            self.lost(loss, count.new, detail)


def utc_now() -> str:
    """Returns the current UTC date and time in ISO 8601 format, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
