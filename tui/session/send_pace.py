"""Measures when captured blocks are sent, and how long each block takes from callback to socket."""

from __future__ import annotations

from collections import deque
from itertools import accumulate, takewhile
from typing import NamedTuple

from tui.audio.blocks import Captured
from tui.models import events as e
from tui.protocols.base import Outgoing
from tui.units import NS_PER_S

_KEPT_BLOCKS = 200
_STEP_MS = 0.05
_STEPS = 2_000


class Way(NamedTuple):
    """Times at which a block left the device's callback, completed a message, and was sent."""

    captured_ns: int | None = None
    framed_ns: int | None = None
    """None if the block did not wait for later blocks to complete its message."""
    sent_ns: int | None = None


class _Sent:
    """A captured block and the last message that contains a part of it."""

    def __init__(self, block: Captured, last_message: Outgoing | None) -> None:
        self.end_ns = block.end_ns
        self.captured_ns = block.captured_ns
        self.last_message = last_message
        self.framed_ns: int | None = None
        self.sent_ns: int | None = None


class SendPace:
    """Measures how long captured blocks take from the device's callback to the socket.

    Call `gave` for each block and `sent` for each message, on one event loop.
    """

    def __init__(self) -> None:
        self._blocks: deque[_Sent] = deque(maxlen=_KEPT_BLOCKS)
        self._held: deque[_Sent] = deque(maxlen=_KEPT_BLOCKS)
        """Blocks that are waiting for their message to be complete."""
        self._counts = [0] * (_STEPS + 1)
        self._count = 0
        self._worst_ms = 0.0
        self._recent: deque[tuple[int, float]] = deque()

    def gave(self, block: Captured, messages: list[Outgoing], *, held: bool = False) -> None:
        """Records that a block was put into ``messages``.

        If ``held``, the block waits for later blocks to complete its message.
        """
        sent = _Sent(block, messages[-1] if messages else None)
        self._blocks.append(sent)
        if messages:
            for waiting in self._held:
                waiting.last_message, waiting.framed_ns = messages[-1], block.captured_ns
            self._held.clear()
        elif held:
            self._held.append(sent)

    def sent(self, message: Outgoing, now_ns: int) -> None:
        """Records that a message was written to the socket at ``now_ns``."""
        found = False
        for block in reversed(self._blocks):
            if block.last_message is message:
                found = True
                block.last_message, block.sent_ns = None, now_ns
                self._took((now_ns - (block.framed_ns or block.captured_ns)) / 1e6, now_ns)
            elif found and block.sent_ns is not None:
                return

    def of(self, at_ns: int) -> Way:
        """Returns the times of the block that contains the sample captured at ``at_ns``."""
        for block in self._blocks:
            if block.end_ns >= at_ns:
                return Way(block.captured_ns, block.framed_ns, block.sent_ns)
        return Way()

    def worst_ms(self, now_ns: int) -> float | None:
        """Returns the longest delay of the last second, in ms; None if nothing was sent."""
        while self._recent and self._recent[0][0] < now_ns - NS_PER_S:
            self._recent.popleft()
        return max((took_ms for _, took_ms in self._recent), default=None)

    def sent_since(self, since_ns: int) -> list[tuple[int, float]]:
        """Returns the blocks of the last second that were sent after ``since_ns``.

        A tuple contains the time at which a block was sent, and the delay of the block in ms.
        """
        return [*takewhile(lambda sent: sent[0] > since_ns, reversed(self._recent))][::-1]

    def measured(self, now_ns: int) -> e.SendingMeasured | None:
        """Returns the delays of the whole call as an event; None if nothing was sent."""
        p50_ms, p99_ms = self.percentile_ms(0.5), self.percentile_ms(0.99)
        if p50_ms is None or p99_ms is None:
            return None
        return e.SendingMeasured(
            at_ns=now_ns, blocks=self._count, p50_ms=p50_ms, p99_ms=p99_ms, worst_ms=self._worst_ms
        )

    def percentile_ms(self, share: float) -> float | None:
        """Returns a percentile of the delays in the whole call; None if nothing was sent.

        The result is in steps of 0.05 ms, up to 100 ms.
        """
        if not self._count:
            return None
        reached = accumulate(self._counts)
        wanted = share * self._count
        return (1 + next(step for step, counted in enumerate(reached) if counted >= wanted)) * _STEP_MS

    def _took(self, took_ms: float, now_ns: int) -> None:
        self._counts[min(int(took_ms / _STEP_MS), _STEPS)] += 1
        self._count += 1
        self._worst_ms = max(self._worst_ms, took_ms)
        self._recent.append((now_ns, took_ms))
