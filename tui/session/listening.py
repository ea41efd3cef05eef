"""Waits for the agent's greeting, its answers and the ends of its turns in a headless call.

The waits depend on audible sound, because some agents stream silence or music without a pause. Each
wait has a time limit.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import KW_ONLY, dataclass
from enum import Enum
from typing import NamedTuple

import msgspec

from tui.models import events as e
from tui.models.session_state import SessionState
from tui.models.target import Target
from tui.models.turns.audible import KNOWN_AFTER_NS
from tui.models.turns.turn_fold import EARLY_NS
from tui.session.pending import Pending
from tui.units import NS_PER_MS, NS_PER_S

_LULL_S = 1.0
"""Time without audible sound after which an agent that streams silence has finished; longer than a pause in
speech.
"""
_TEXT_ONLY_S = 1.5
"""Text that is not followed by sound within this time counts as the whole answer."""
_FLOWING_S = 0.3
"""Audio counts as arriving continuously as long as its latest chunk is no older than this."""
_LOOK_NS, _LOOK_S = 50_000_000, 0.08
"""Intervals at which a wait checks its condition again, because elapsed time and audibility do not cause events.

After the first interval, the next event triggers the check, because an event wakes the loop anyway. Without events,
a timer triggers it after the second interval."""


class Answered(Enum):
    """Whether and how the agent answered."""

    HEARD = "heard"
    IN_TEXT = "in text"
    """The agent answered in text, without sound."""
    SILENT_AFTER_TOOL = "silent after tool"
    """The agent received the result of its tool and did not answer it within the time limit."""
    FAILED = "failed"
    """The agent reported a failure instead of an answer."""
    NONE = "none"
    """There was no answer within the time limit, or the call ended first."""


UNANSWERED = (Answered.SILENT_AFTER_TOOL, Answered.FAILED, Answered.NONE)


class Limits(msgspec.Struct, frozen=True):
    """Time limits in seconds for the waits of `Listening`."""

    answer_s: float = 10.0
    max_turn_s: float = 60.0
    """Time after which the call continues even if the agent is still audible."""
    quiet_s: float = 0.4
    """The agent has finished once none of its audio has been due for this long."""
    greeting_s: float = 3.0

    @classmethod
    def of(cls, target: Target, answer_s: float = 10.0) -> Limits:
        """Returns the limits that the settings of a target contain."""
        return cls(answer_s, target.max_turn_s, target.quiet_s, target.greeting_timeout_s)


async def _wait(changed: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        # Not wait_for, which creates a task.
        async with asyncio.timeout(_LOOK_S):
            await changed.wait()


@dataclass(eq=False, repr=False)
class Listening:
    """Follows a session, and waits for actions of the agent. Runs on the session's loop.

    ``note`` receives a sentence when a time limit, rather than the agent, ends the agent's turn. ``wait``
    returns when its event is set, or after a short time.
    """

    limits: Limits
    note: Callable[[str], None]
    _: KW_ONLY
    clock_ns: Callable[[], int] = time.monotonic_ns
    wait: Callable[[asyncio.Event], Awaitable[None]] = _wait

    def __post_init__(self) -> None:
        self._state = SessionState()
        self._pending = Pending(replies_are_ended=True)
        self._changed = asyncio.Event()
        self._looked_ns = 0
        """When the current wait last checked its condition."""
        self._heard = _Received(self._pending)
        self._returned = False
        self.silent_tool = ""
        """Name of the tool whose result the agent last failed to answer; empty if it answered every result."""
        self.unfinished = 0
        """Number of replies that the agent began but never ended."""

    def follow(self, state: SessionState, pending: Pending) -> None:
        """Starts listening to a session; call it before the session begins."""
        self._state, self._pending = state, pending
        self._heard = _Received(pending)

    def take(self, event: e.SessionEvent) -> None:
        """Processes an event of the session."""
        if self._heard.take(event) or event.at_ns >= self._looked_ns + _LOOK_NS:
            self._changed.set()

    def end(self) -> None:
        """Records that the session is over, and ends all waits."""
        self._returned = True
        self._changed.set()

    @property
    def over(self) -> bool:
        """Whether the call has ended or is ending."""
        return self._returned or self._state.status in (e.Status.ENDING, e.Status.ENDED, e.Status.ERROR)

    async def until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Waits for a condition. Returns False if the time limit expires or the call ends first.

        Time spent running a tool or resuming the session does not count; both have separate limits.
        """
        left_ns = timeout_s * NS_PER_S
        while not condition():
            if self.over or left_ns <= 0:
                return condition()
            began_ns = self.clock_ns()
            await self._look_again()
            if not (self._pending.tools or self._pending.resuming):
                left_ns -= self.clock_ns() - began_ns
        return True

    async def resumed(self) -> None:
        """Waits while the session is being resumed, which has a separate time limit."""
        await self.until(lambda: not self._pending.resuming, _LOOK_S)

    async def greeting(self) -> None:
        """Waits for a greeting to start, up to the time limit for greetings, and then for its end."""
        await self.answer(0, self.limits.greeting_s)
        await self.turn_end()

    async def line_end(self, since_ns: int, timeout_s: float) -> None:
        """Waits until a recorded line has ended or failed after ``since_ns``."""
        await self.until(lambda: self._heard.line_ended_ns > since_ns, timeout_s)

    async def answer(self, since_ns: int, timeout_s: float | None = None) -> Answered:
        """Waits until the agent is heard, or has answered in text, after ``since_ns``."""
        limit_s = self.limits.answer_s if timeout_s is None else timeout_s
        return await self._answered(lambda: self._heard_since(since_ns), since_ns, limit_s)

    async def _answer_to(self, tool: _EndedTool) -> Answered:
        """Waits for the answer to a tool's result.

        Audio that the agent sent before the result is not part of the answer.
        """

        def is_heard() -> bool:
            if self._pending.replies_are_ended:
                return self._heard.begun_ns >= tool.ended_ns and self._heard_since(tool.ended_ns)
            return self._heard_since(tool.heard_out_ns) or self._goes_on_after(tool)

        return await self._answered(is_heard, tool.ended_ns, self.limits.answer_s)

    async def _answered(self, is_heard: Callable[[], bool], since_ns: int, limit_s: float) -> Answered:
        await self.until(
            lambda: is_heard() or self._only_text_since(since_ns) or self._failed_since(since_ns), limit_s
        )
        if is_heard():
            return Answered.HEARD
        if (self._heard.text_ns or 0) > since_ns:
            return Answered.IN_TEXT
        if self._failed_since(since_ns):
            return Answered.FAILED
        tool = self._heard.tool
        if tool is None or tool.ended_ns < since_ns or self.over:
            return Answered.NONE
        self.silent_tool, self._heard.tool = tool.name, None
        return Answered.SILENT_AFTER_TOOL

    async def turn_end(self) -> Answered:
        """Waits until the agent's turn is over.

        If the agent has to answer the result of a tool, its turn lasts until the end of the answer. Returns
        one of `UNANSWERED` if the agent did not answer.
        """
        answer = Answered.HEARD
        await self._until_quiet()
        while answer not in UNANSWERED and (self._pending.tools or self._heard.tool) and not self.over:
            await self.until(lambda: not self._pending.tools, self.limits.answer_s)
            if tool := self._heard.tool:
                answer = await self._answer_to(tool)
                if self._heard.tool is tool:
                    self._heard.tool = None
            await self._until_quiet()
        return answer

    async def _until_quiet(self) -> None:
        began_ns = self.clock_ns()
        while not self.over and not self._pending.tools and not self._is_quiet():
            if self._heard.receiving and self.clock_ns() - began_ns > self.limits.max_turn_s * NS_PER_S:
                limit = f"{self.limits.max_turn_s:g} s"
                self.note(
                    f"The agent's turn had not ended after {limit} and was treated as finished (--max-turn)."
                )
                return
            await self._look_again()

    async def _look_again(self) -> None:
        self._changed.clear()
        self._looked_ns = self.clock_ns()
        await self.wait(self._changed)

    def _heard_since(self, since_ns: int) -> bool:
        """Returns whether the agent became audible after ``since_ns``."""
        audible, now_ns = self._state.audible, self.clock_ns()
        if audible.heard_from(e.Party.AGENT, since_ns, now_ns):
            return True
        # A reply that follows another without a detectable pause has no separate onset.
        played_ns = self._heard.played_ns
        if played_ns is None or played_ns < since_ns or now_ns < played_ns + KNOWN_AFTER_NS:
            return False
        return audible.heard_between(e.Party.AGENT, played_ns + EARLY_NS, now_ns)

    def _goes_on_after(self, tool: _EndedTool) -> bool:
        """Returns whether the agent is heard after the audio that it sent before a tool's result has played.

        If the agent does not mark the end of replies, its answer may follow its previous words without a
        pause.
        """
        since_ns, now_ns = tool.heard_out_ns + int(_FLOWING_S * NS_PER_S), self.clock_ns()
        known = now_ns >= since_ns + KNOWN_AFTER_NS
        return known and self._state.audible.heard_between(e.Party.AGENT, since_ns, now_ns)

    def _only_text_since(self, since_ns: int) -> bool:
        text_ns = self._heard.text_ns
        if text_ns is None or text_ns < since_ns or self._pending.replies:
            return False
        return self.clock_ns() - text_ns > _TEXT_ONLY_S * NS_PER_S

    def _failed_since(self, since_ns: int) -> bool:
        """Returns whether the agent's answer failed after ``since_ns``, and all of its audio has been played."""
        heard, now_ns = self._heard, self.clock_ns()
        # Audio that has just been played is detected as heard slightly later.
        played = not heard.playing and now_ns > heard.changed_ns + KNOWN_AFTER_NS
        return heard.failed_ns > since_ns and played

    def _is_quiet(self) -> bool:
        """Returns whether the agent has probably finished speaking."""
        heard, now_ns = self._heard, self.clock_ns()
        if not heard.playing:
            return now_ns - heard.changed_ns > self.limits.quiet_s * NS_PER_S
        late_ns = now_ns - heard.arrives_until_ns
        if late_ns > self.limits.answer_s * NS_PER_S:
            self.unfinished += len(heard.receiving)
            heard.playing.clear()
            heard.receiving.clear()
            return False
        if not heard.receiving or abs(late_ns) > _FLOWING_S * NS_PER_S:
            return False  # a reply that was sent well ahead is played to its end, and one that stalls may continue
        last_ns = self._state.audible.last_heard_ns(e.Party.AGENT, now_ns) or 0
        return now_ns - max(last_ns, heard.changed_ns) > max(_LULL_S, self.limits.quiet_s) * NS_PER_S


class _EndedTool(NamedTuple):
    """A tool whose result was sent to the agent and must be answered."""

    name: str
    ended_ns: int
    heard_out_ns: int
    """Time at which all audio received before the result will have been played."""


class _Received:
    """Tracks which agent audio has been received and played."""

    def __init__(self, pending: Pending) -> None:
        self._pending = pending
        self.playing: set[str] = set()
        """Replies that have begun and have not been played to the end."""
        self.receiving: set[str] = set()
        """The replies in `playing` that may still receive audio."""
        self.changed_ns = 0
        """Time at which a reply last began or ended."""
        self.arrives_until_ns = 0
        """Time at which all audio received so far will have been played; minutes of audio may arrive at once."""
        self.played_ns: int | None = None
        """Time at which the newest reply began to play."""
        self.text_ns: int | None = None
        """Time at which the agent's newest text arrived."""
        self.line_ended_ns = 0
        """Time at which the user's newest line finished or failed."""
        self.begun_ns = 0
        """Time at which the newest reply began to arrive."""
        self.tool: _EndedTool | None = None
        """The last tool whose result the agent must still answer."""
        self.failed_ns = 0
        """Time at which the agent last reported a failed answer; 0 if the user has spoken since."""

    def take(self, event: e.SessionEvent) -> bool:
        """Processes one event. Returns whether waits must check their conditions again."""
        match event:
            case e.MessageLogged():
                if event.audio_ms > 0 and event.direction is e.Direction.RECEIVED:
                    arrives_ns = max(self.arrives_until_ns, event.at_ns)
                    self.arrives_until_ns = arrives_ns + int(event.audio_ms * NS_PER_MS)
                return False
            case e.ReplyStarted():
                self.playing.add(event.reply)
                self.receiving.add(event.reply)
                self.arrives_until_ns = max(self.arrives_until_ns, event.at_ns)
                self.changed_ns = self.begun_ns = event.at_ns
            case e.ReplyEnded():
                self.receiving.discard(event.reply)
            case e.PlaybackStarted():
                self.played_ns = event.at_ns
            case e.PlaybackEnded():
                self.playing.discard(event.reply)
                self.receiving.discard(event.reply)
                self.changed_ns = event.at_ns
            case e.Transcribed(speaker=e.Party.AGENT) if event.text:
                self.text_ns = event.at_ns
            case e.ToolChanged():
                if self._pending.owes_answer(event):
                    heard_out_ns = max(event.at_ns, self.arrives_until_ns)
                    self.tool = _EndedTool(event.name, event.at_ns, heard_out_ns)
            case e.Flushed():
                self.arrives_until_ns = event.at_ns
            case e.ErrorRaised(answer_failed=True):
                self.failed_ns = event.at_ns
            case e.LineChanged(finished=True) | e.ErrorRaised(source="audio"):
                self.line_ended_ns = event.at_ns
            case e.SpeechEdge(speaker=e.Party.USER) if event.at_ns > self.failed_ns:
                # Only the answer to the first part of the turn failed; an answer to the rest may follow.
                self.failed_ns = 0
            case e.StatusChanged() | e.SpeechEdge():
                pass
            case _:
                return False
        return True
