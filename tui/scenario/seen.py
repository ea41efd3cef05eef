"""Seen: records the actions of the agent that scenario steps can expect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from tui.models import events as e
from tui.models.filter.terms import Context
from tui.models.log.event_log import EventLog
from tui.models.log.marks import Marks
from tui.models.session_state import SessionState
from tui.protocols.base import TelephonyEvent
from tui.protocols.base import TelephonyEventType as T
from tui.scenario.values import Sign, SignKind
from tui.session.live import LiveSession
from tui.units import NS_PER_MS

_PAUSE_NS = 1_000_000_000
"""Silence, in ns, after which an agent that does not mark the end of its replies counts as having stopped."""


_CUT_NS = 1_000_000_000
"""Longest time, in ns, for which a reply continues after the end of the caller's turn that interrupts it."""


class ToolSeen(NamedTuple):
    """A tool call by the agent."""

    at_ns: int
    name: str
    arguments: str


class PlayedReply(NamedTuple):
    """Times at which playback of a reply began and ended."""

    began_ns: int
    ended_ns: int | None = None
    """None while it is being played."""


class Seen:
    """Collects the agent's actions from a session's events. Runs on the session's loop.

    ``keeps_messages``: whether to keep messages, because a step searches them.
    """

    def __init__(self, clock_ns: Callable[[], int], *, keeps_messages: bool) -> None:
        self.tools: list[ToolSeen] = []
        self.left_ns: int | None = None
        """Time at which the call began to end."""
        self._clock_ns = clock_ns
        self._state = SessionState()
        self._texts: list[tuple[int, str]] = []
        self._flushes: list[int] = []
        self._replies: dict[str, PlayedReply] = {}
        self._signals: list[tuple[int, SignKind, str]] = []
        self._lines: list[tuple[int, str]] = []
        self._failed_ns = 0
        self._late: list[e.LatenessSeen] = []
        self._log = EventLog() if keeps_messages else None

    def follow(self, session: LiveSession) -> None:
        """Starts observing a session that has not begun yet."""
        self._state = session.state
        session.messages.add_audio_handler(self._signalled)
        session.messages.add_session_handler(self._signalled)

    def _signalled(self, event: TelephonyEvent) -> None:
        kind = {T.MARK: SignKind.MARK, T.TRANSFER: SignKind.TRANSFER}.get(event.type)
        if kind is not None:
            self._signals.append((self._clock_ns(), kind, event.text))

    def take(self, event: e.SessionEvent) -> None:
        """Records one event."""
        if self._log is not None:
            self._log.apply(event)
        match event:
            case e.MessageLogged():
                return
            case e.ToolChanged(finished=False):
                self.tools.append(ToolSeen(event.at_ns, event.name, event.arguments))
            case e.Transcribed(speaker=e.Party.AGENT):
                self._texts.append((event.at_ns, event.text))
            case e.Flushed():
                self._flushes.append(event.at_ns if event.silent_ns is None else event.silent_ns)
            case e.PlaybackStarted():
                self._replies[event.reply] = PlayedReply(event.at_ns)
            case e.PlaybackEnded() if event.reply in self._replies:
                self._replies[event.reply] = self._replies[event.reply]._replace(ended_ns=event.at_ns)
            case e.StatusChanged(new=e.Status.ENDING | e.Status.ERROR) if self.left_ns is None:
                self.left_ns = event.at_ns
            case e.LineChanged(finished=False):
                self._lines.append((event.at_ns, event.name))
            case e.ErrorRaised(source="audio"):
                self._failed_ns = event.at_ns
            case e.LatenessSeen():
                self._late.append(event)

    # -- what was seen --

    def find(
        self, sign: Sign, since_ns: int, now_ns: int, args: Mapping[str, Any] | None = None
    ) -> int | None:
        """Returns the time at which a sign was first seen after ``since_ns``; None if it was not seen."""
        match sign.kind:
            case SignKind.SPEAKS:
                return self._state.audible.onset_from(e.Party.AGENT, since_ns, now_ns)
            case SignKind.STOPS:
                return self.stopped(since_ns, now_ns)
            case SignKind.TOOL:
                called = (tool for tool in self.tools if tool.at_ns >= since_ns and tool.name == sign.text)
                return next((tool.at_ns for tool in called if has(tool.arguments, args or {})), None)
            case SignKind.TRANSCRIPT:
                assert sign.pattern is not None
                texts = (each for each in self._texts if each[0] >= since_ns)
                return next((at_ns for at_ns, text in texts if sign.pattern.matches(text)), None)
            case SignKind.MESSAGE:
                return self._message(sign, since_ns)
            case SignKind.MARK | SignKind.TRANSFER:
                signals = (each for each in self._signals if each[0] >= since_ns and each[1] is sign.kind)
                return next((at_ns for at_ns, _, text in signals if sign.text in ("", text)), None)
            case SignKind.HANG_UP:
                failed = self._state.fatal_error is not None
                return None if failed else self.left_ns
            case _:
                return None

    def heard(self, since_ns: int, until_ns: int) -> bool:
        """Returns whether the agent was heard between ``since_ns`` and ``until_ns``."""
        return self._state.audible.heard_between(e.Party.AGENT, since_ns, until_ns)

    def first_heard(self, since_ns: int, until_ns: int) -> int | None:
        """Returns when the agent was first heard between ``since_ns`` and ``until_ns``; None if it was not."""
        if self.heard(since_ns, since_ns):
            return since_ns
        onset_ns = self._state.audible.onset_from(e.Party.AGENT, since_ns, self._clock_ns())
        return onset_ns if onset_ns is not None and onset_ns <= until_ns else None

    @property
    def lines_begun(self) -> int:
        """Number of the caller's lines that have begun."""
        return len(self._lines)

    def line_began(self, name: str, after: int) -> int | None:
        """Returns the capture time of a line's first sample, skipping the first ``after`` lines.

        Returns None if the line has not begun. Lines are counted, because times cannot be compared: a block
        that is handled late may have been captured before its line was handed over.
        """
        return next((at_ns for at_ns, line in self._lines[after:] if line == name), None)

    def audio_failed(self, since_ns: int) -> bool:
        """Returns whether playing or reading sound failed after ``since_ns``."""
        return self._failed_ns > since_ns

    def flushed(self, since_ns: int) -> int | None:
        """Returns the time of the first flush of playback after ``since_ns``; None if there was none."""
        return next((at_ns for at_ns in self._flushes if at_ns >= since_ns), None)

    def next_reply(self, at_ns: int) -> int | None:
        """Returns the start of the reply after the one that was interrupted at ``at_ns``; None if none began."""
        ended_ns = next(
            (
                reply.ended_ns
                for reply in self._replies.values()
                if reply.ended_ns is not None and reply.began_ns < at_ns <= reply.ended_ns <= at_ns + _CUT_NS
            ),
            None,
        )
        if ended_ns is None:
            return None
        began_ns = (reply.began_ns for reply in self._replies.values())
        return min((each for each in began_ns if each >= ended_ns), default=None)

    def stopped(self, since_ns: int, now_ns: int) -> int | None:
        """Returns when an agent that was heard at ``since_ns`` stopped for good.

        Returns None if the end is not known yet.
        """
        if not self.heard(since_ns, since_ns):
            return since_ns
        flushed_ns = self.flushed(since_ns)
        ended_ns = self._last_sound(since_ns, now_ns)
        if flushed_ns is not None and (ended_ns is None or flushed_ns <= ended_ns):
            return flushed_ns
        if ended_ns is None:
            return None
        playing = any(reply.ended_ns is None for reply in self._replies.values())
        return ended_ns if not playing or now_ns - ended_ns > _PAUSE_NS else None

    def longest_gap_ms(self, since_ns: int, until_ns: int) -> float:
        """Returns the agent's longest silence between ``since_ns`` and ``until_ns``, in ms."""
        silent_since_ns, longest_ns = since_ns, 0
        for stretch in self._state.audible.stretches(e.Party.AGENT):
            if stretch.overlaps(since_ns, until_ns):
                longest_ns = max(longest_ns, stretch.began_ns - silent_since_ns)
                silent_since_ns = until_ns if stretch.ended_ns is None else stretch.ended_ns
        return max(longest_ns, until_ns - silent_since_ns) / NS_PER_MS

    def late_ms(self, since_ns: int, until_ns: int) -> float:
        """Returns this program's largest lateness between ``since_ns`` and ``until_ns``, in ms."""
        found = (late.late_ms for late in self._late if late.since_ns <= until_ns and late.at_ns >= since_ns)
        return max(found, default=0.0)

    def _last_sound(self, since_ns: int, now_ns: int) -> int | None:
        """Returns the end of the sound that was heard at ``since_ns``; None if it continues.

        Pauses of up to a second are part of the sound.
        """
        ended_ns = since_ns
        for stretch in self._state.audible.stretches(e.Party.AGENT):
            if not stretch.overlaps(since_ns, now_ns) or stretch.began_ns - ended_ns > _PAUSE_NS:
                continue
            if stretch.ended_ns is None:
                return None
            ended_ns = max(ended_ns, stretch.ended_ns)
        return ended_ns

    def _message(self, sign: Sign, since_ns: int) -> int | None:
        assert sign.filter is not None
        if self._log is None:
            return None
        events = self._log.events
        found = sign.filter(range(len(events)), Context(self._log, Marks()))
        at_ns = (events[index].at_ns for index in found if isinstance(events[index], e.MessageLogged))
        return next((each for each in at_ns if each >= since_ns), None)


def has(arguments: str, wanted: Mapping[str, Any]) -> bool:
    """Returns whether the JSON ``arguments`` of a tool contain all ``wanted`` values, also in nested objects."""
    try:
        given = msgspec.json.decode(arguments) if arguments else {}
    except msgspec.DecodeError:
        return not wanted
    return _contains(given, wanted)


def _contains(given: Any, wanted: Any) -> bool:
    if isinstance(wanted, Mapping):
        return isinstance(given, Mapping) and all(
            key in given and _contains(given[key], value) for key, value in wanted.items()
        )
    return bool(given == wanted) and isinstance(given, bool) == isinstance(wanted, bool)
