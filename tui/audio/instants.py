"""When a sample passes a device, from the instants of its callbacks.

Capture: callbacks come late, never early, and the times that PortAudio puts on a block wander over 24 ms. The
minimum of the callbacks' instants, over the last two seconds and set against the count of samples, stays within
0.3 ms (measured).

Playback: a device with much latency takes its blocks in pairs, the second one a block too early, and after a
start holds another amount than it says it will; but the lead that PortAudio gives with each callback follows
that: its median was within 0.2 ms of the recorded device in most runs, and within 6 ms in all (measured), where
callback plus stated latency was 5 to 25 ms early.
"""

from __future__ import annotations

import statistics
from collections import deque

from tui.audio.pcm import frames_to_ns

WINDOW_NS = 2_000_000_000
STALL_NS = 200_000_000
"""Callbacks so far apart belong to two streams: what was known of the first says nothing of the second."""
_BLOCKS = 9
"""Of which the median is taken: few, as a device that ran empty says nothing of it but leads longer from then on."""
_WATCHED_BLOCKS = 50
"""Over which that median is watched: a sound server that was busy as the stream began told leads 50 ms wrong, which
came right at 8 ms a second (measured)."""


class BlockInstants:
    """Ties the frames of a stream to the monotonic clock. One thread feeds; any may ask."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._offsets: deque[tuple[int, int]] = deque()
        self._last_ns: int | None = None

    def feed(self, callback_ns: int, frame: int) -> None:
        """The callback for the block that begins with ``frame`` was entered at that instant."""
        if self._last_ns is not None and callback_ns - self._last_ns > STALL_NS:
            self._offsets.clear()
        self._last_ns = callback_ns
        offset_ns = callback_ns - frames_to_ns(frame, self.rate)
        # Kept are those that nothing since undercut, in growing order: the first is the minimum.
        while self._offsets and self._offsets[-1][1] >= offset_ns:
            self._offsets.pop()
        self._offsets.append((callback_ns, offset_ns))
        while self._offsets[0][0] < callback_ns - WINDOW_NS:
            self._offsets.popleft()

    def at(self, frame: int) -> int | None:
        """When the callback for that frame was due, on a device that never waits; None before the first."""
        try:
            return self._offsets[0][1] + frames_to_ns(frame, self.rate)
        except IndexError:
            return None


class SoundInstants:
    """Ties the frames of a playback stream to the instants at which they are heard. One thread feeds; any may ask."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._offsets: deque[int] = deque(maxlen=_WATCHED_BLOCKS)

    def feed(self, heard_ns: int, frame: int) -> None:
        """The block that begins with ``frame`` is heard from that instant on, says its callback."""
        self._offsets.append(heard_ns - frames_to_ns(frame, self.rate))

    def restart(self) -> None:
        """What follows does not follow the blocks before without a gap: the device stopped, or ran empty."""
        self._offsets.clear()

    def at(self, frame: int) -> int | None:
        """When that frame is heard; None before the first block."""
        offsets = list(self._offsets)[-_BLOCKS:]
        return int(statistics.median_low(offsets)) + frames_to_ns(frame, self.rate) if offsets else None

    @property
    def moved_ns(self) -> int:
        """How far the instants have moved within the last 50 blocks; 0 while there are not so many."""
        offsets = list(self._offsets)
        if len(offsets) < _WATCHED_BLOCKS:
            return 0
        return int(abs(statistics.median_low(offsets[-_BLOCKS:]) - statistics.median_low(offsets[:_BLOCKS])))
