"""Emits an event for every message, and for the findings and errors in messages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import KW_ONLY, dataclass

import msgspec

from tui.models import events as e
from tui.models.journal import Journal
from tui.models.tally import is_round
from tui.protocols.base import Finding, Incoming, Outgoing
from tui.websocket.message_handler import MessageHandler, Received

_SUMMED_NS = 100_000_000
"""Longest time for which received audio is summed before it is logged; kept short, because waits depend on how much
has arrived."""


@dataclass
class _AudioSum:
    """The sum of the audio messages in one direction that have not been logged yet."""

    count: int = 0
    size_bytes: int = 0
    audio_ms: float = 0.0
    at_ns: int = 0
    """Time of the first of these messages."""


@dataclass
class _Repeated:
    """A finding that may occur repeatedly: its latest occurrence and its counts."""

    found: Finding
    count: int = 0
    emitted: int = 0
    """The most recently emitted count."""


@dataclass(eq=False)
class MessageLog:
    """Emits events for a `MessageHandler` and a `Connection`. Runs on the session's loop.

    When a message has been logged, ``reply`` sends the protocol's answer to the message, and then ``route``
    receives the message. ``on_fatal`` receives an error that ends the session. With ``sums_audio``, audio
    messages that were understood and have no findings are logged as one sum: by `emit_counts`, or before the
    next message of another kind.
    """

    journal: Journal
    _: KW_ONLY
    protocol: str
    reply: Callable[[Iterable[Outgoing]], None]
    route: Callable[[Incoming], Awaitable[None]]
    on_fatal: Callable[[e.ErrorRaised], object]
    sums_audio: bool = False

    def __post_init__(self) -> None:
        self._sums = {direction: _AudioSum() for direction in e.Direction}
        self._findings: dict[str, _Repeated] = {}
        """Findings by the rule that was broken."""
        self._undecodable = 0

    def register_with(self, messages: MessageHandler) -> None:
        """Registers handlers for every message and every error."""
        messages.add_message_handler(self.received)
        messages.add_error_handler(self.report_error)

    def sent(self, message: Outgoing) -> None:
        """Logs a message that is about to be written."""
        if message.audio_ms and self.sums_audio:
            self._add(e.Direction.SENT, message.frame, message.audio_ms, self.journal.clock_ns())
            return
        self._log_sums()
        self.journal.message(e.Direction.SENT, message.frame, message.kind, message.summary, message.audio_ms)

    def dropped(self, message: Outgoing) -> None:
        """Counts user audio that will never be sent."""
        self.journal.losing(e.Loss.UNSENT, message.kind)

    async def received(self, received: Received) -> None:
        """Logs a message that arrived, even if it was not understood; then answers and routes it."""
        incoming = received.incoming
        if self.sums_audio and incoming and incoming.audio_ms and not received.findings:
            self._add(e.Direction.RECEIVED, received.frame, incoming.audio_ms, received.at_ns)
            if incoming.replies:
                self.reply(incoming.replies)
            return
        self._log_sums()
        logged = self.journal.message(
            e.Direction.RECEIVED,
            received.frame,
            incoming.kind if incoming else f"undecodable ({received.error})",
            incoming.summary if incoming else received.reason,
            incoming.audio_ms if incoming else 0.0,
            at_ns=received.at_ns,
            known=incoming is not None and incoming.known,
        )
        if incoming is None:
            self._undecodable += 1
        for found in received.findings:
            self.find(found, about=logged.number)
        if incoming is not None:
            self.reply(incoming.replies)
            await self.route(incoming)

    def find(self, found: Finding, *, about: int = 0) -> None:
        """Emits a finding or advice about the event with the number ``about``.

        If the same rule was broken before, counts the finding, and emits it only if the count is 1, 10, 100
        and so on.
        """
        repeated = self._findings.setdefault(found.rule, _Repeated(found))
        repeated.found, repeated.count = found, repeated.count + 1
        if is_round(repeated.count):
            self._emit_finding(repeated, about)

    def _emit_finding(self, repeated: _Repeated, about: int = 0) -> None:
        repeated.emitted = repeated.count
        self.journal.find(repeated.found, about=about, count=repeated.count)

    def emit_counts(self, *, at_the_end: bool = False) -> None:
        """Emits the sums of audio messages and the number of unreadable messages. Call it regularly.

        With ``at_the_end``, also emits the counts of repeated findings.
        """
        self._log_sums()
        if at_the_end:
            for repeated in self._findings.values():
                if repeated.count > repeated.emitted:
                    self._emit_finding(repeated)
        if self._undecodable:
            undecodable, self._undecodable = self._undecodable, 0
            self.journal.lost(e.Loss.UNDECODABLE, undecodable)

    def _add(self, direction: e.Direction, frame: str | bytes, audio_ms: float, at_ns: int) -> None:
        added = self._sums[direction]
        if direction is e.Direction.RECEIVED and added.count and at_ns - added.at_ns >= _SUMMED_NS:
            self._log_sums()
            added = self._sums[direction]
        if not added.count:
            added.at_ns = at_ns
        added.count += 1
        added.size_bytes += len(frame)
        added.audio_ms += audio_ms

    def _log_sums(self) -> None:
        for direction, added in self._sums.items():
            if added.count:
                self._sums[direction] = _AudioSum()
                self.journal.emit(
                    e.MessageLogged(
                        at_ns=added.at_ns,
                        direction=direction,
                        kind="audio",
                        summary=f"{added.count} audio messages, {added.audio_ms:.0f} ms",
                        size_bytes=added.size_bytes,
                        audio_ms=added.audio_ms,
                        count=added.count,
                    )
                )

    def report_error(self, error: e.ErrorRaised) -> None:
        """Emits the error, with a reference to the last logged message.

        Registered as an error handler of the `MessageHandler`.
        """
        undecodable = error.source == "protocol" and not error.fatal
        hint = self._hint_for_undecodable() if undecodable else ""
        message = error.message
        if error.fatal and error.source == "agent" and self.journal.state.status is e.Status.RESUMING:
            message = f"The connection was lost, and the agent refused to resume the session: {message}"
        about = self.journal.number
        raised = self.journal.emit(msgspec.structs.replace(error, message=message, hint=hint, about=about))
        if raised.fatal:
            self.on_fatal(raised)

    def _hint_for_undecodable(self) -> str:
        """Returns a hint about an unreadable message.

        Until the agent has accepted the session, the hint suggests another protocol.
        """
        if self.journal.state.metrics.started_ns is None:
            return f"Does it speak {self.protocol}?"
        return "The content is lost; the call continues. Press enter to see the message, v for its raw text."
