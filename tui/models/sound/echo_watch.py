"""Removes the agent's echo from captured audio, and reports echo that remains."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tui.audio.echo import Echo, Track, find_echo
from tui.audio.echo_guard import EchoGuard
from tui.audio.pcm import is_zero
from tui.callbacks import spawn
from tui.models import events as e
from tui.models.sound.pending import PendingEvents

INTERVAL_NS = 1_000_000_000
_SAME_DELAY_MS = 20.0
_HINT = "Use headphones, --echo cancel, or --echo gate (half-duplex)."
_GUARDED_HINT = "Some echo remains although --echo is on. Use headphones, or turn the speaker down."
_GONE_AFTER = 4
"""Number of consecutive checks without an echo, made while the agent speaks, after which an echo counts as gone."""


class EchoWatch:
    """Compares the microphone's audio with the played audio once a second.

    Runs on the engine's loop; events go to ``emit``. ``hint`` is the advice that the event shows to the user.
    """

    def __init__(self, emit: Callable[[e.SessionEvent], None], hint: str = "") -> None:
        self.echo: Echo | None = None
        """The latest echo; None once it is gone."""
        self._emit = emit
        self._hint = hint
        self._captured: Track | None = None
        self._played: Track | None = None
        self._last_played_ns = 0
        self._looked_ns = 0
        self._before: Echo | None = None
        self._missed = 0
        self._looking = False

    def captured(self, end_ns: int, pcm: bytes, rate: int) -> None:
        """Adds a block from the microphone."""
        # Another device may have another sample rate, and audio of two rates cannot be joined.
        if self._captured is None or self._captured.full_rate != rate:
            self._captured = Track(rate)
        self._captured.feed(end_ns, pcm)

    def played(self, end_ns: int, pcm: bytes, rate: int) -> None:
        """Adds a block that has left the speaker."""
        if self._captured is None:
            return  # audio played before the microphone's first block cannot return as an echo
        if self._played is None or self._played.full_rate != rate:
            self._played = Track(rate)
        # Silence is played most of the time and cannot return as an echo.
        if not is_zero(pcm):
            self._last_played_ns = end_ns
        self._played.feed(end_ns, pcm)

    def poll(self, now_ns: int) -> None:
        """Checks for an echo once a second if the agent was heard within the last two seconds."""
        if self._looking or now_ns - self._looked_ns < INTERVAL_NS:
            return
        self._looked_ns = now_ns
        if now_ns - self._last_played_ns < 2 * INTERVAL_NS and self._captured and self._played:
            self._looking = True
            # Runs on a thread, because the correlation takes longer than a block, and blocks must not wait.
            spawn(self._look(self._captured, self._played, now_ns), "look for echo")

    async def _look(self, captured: Track, played: Track, now_ns: int) -> None:
        # Blocks arrive here up to 200 ms after they were heard or captured; both tracks are complete up to
        # that time.
        until_ns = now_ns - INTERVAL_NS // 5
        tracks = captured.until(until_ns), played.until(until_ns)
        try:
            self._judge(await asyncio.to_thread(find_echo, *tracks, captured.rate), now_ns)
        finally:
            self._looking = False

    def _judge(self, found: Echo | None, now_ns: int) -> None:
        """Reports an echo that was found twice at the same delay.

        Two voices may match once by chance, but hardly twice at the same delay.
        """
        before, self._before = self._before, found
        if found is not None:
            self._missed = 0
            if before is not None and abs(found.delay_ms - before.delay_ms) <= _SAME_DELAY_MS:
                if self.echo is None:
                    level = f"after {found.delay_ms:.0f} ms at {found.gain_db:.0f} dB"
                    text = f"The agent is hearing itself: the microphone picks up playback {level}."
                    self._report(now_ns, text, hint=self._hint)
                self.echo = found
        elif self.echo is not None:
            self._missed += 1
            if self._missed >= _GONE_AFTER:
                self.echo = None
                self._report(now_ns, "The agent no longer hears itself.", active=False)

    def _report(self, now_ns: int, text: str, *, active: bool = True, hint: str = "") -> None:
        echo = e.Condition.ECHO
        self._emit(
            e.ConditionChanged(
                at_ns=now_ns, condition=echo, path="capture", active=active, text=text, hint=hint
            )
        )


class EchoControl:
    """Removes the agent's echo from captured blocks if there is a guard, and watches for echo that remains.

    Runs on the engine's loop.
    """

    def __init__(self, guard: EchoGuard | None, pending: PendingEvents) -> None:
        self._guard = guard
        self._pending = pending
        self._failed = False
        self._sent = EchoWatch(pending.add, _GUARDED_HINT if guard else _HINT)
        """Watches the audio sent to the agent."""
        self._raw = EchoWatch(lambda _: None) if guard else self._sent
        """Watches the microphone's audio before the guard processes it."""

    @property
    def found(self) -> Echo | None:
        """The echo that the microphone picks up, before the guard removes it; None if no echo was found."""
        return self._raw.echo

    @property
    def held_blocks(self) -> int:
        """Number of captured blocks with sound that the guard has replaced by silence."""
        return self._guard.held_blocks if self._guard else 0

    def clean(self, end_ns: int, block: bytes, rate: int) -> bytes:
        """Passes a block from the device through the guard and returns the result."""
        if self._guard is not None:
            self._raw.captured(end_ns, block, rate)
            # The guard also receives the current time, because a canceller needs the audio about to be played
            # before its echo arrives.
            block = self._guard.clean(end_ns, self._pending.clock_ns(), block, rate)
            if self._guard.failure and not self._failed:
                self._failed = True
                self._pending.error("echo", self._guard.failure)
        self._sent.captured(end_ns, block, rate)
        return block

    def played(self, end_ns: int, block: bytes, rate: int) -> None:
        """Adds a block that has left the speaker, whose echo the microphone may pick up."""
        self._sent.played(end_ns, block, rate)
        if self._raw is not self._sent:
            self._raw.played(end_ns, block, rate)

    def poll(self, now_ns: int) -> None:
        """Checks for an echo if a check is due."""
        self._sent.poll(now_ns)
        if self._raw is not self._sent:
            self._raw.poll(now_ns)
