"""GaplessSpeech: detects speech in captured audio in which a device or a sound server may have left gaps."""

from __future__ import annotations

from typing import NamedTuple

from tui.audio.detector_pool import PooledSpeech
from tui.audio.pcm import frames_to_ns, ns_to_frames

_GAP_NS = 60_000_000
"""Shortest gap in ns that is filled with silence, as on the saved track. Shorter gaps are clock corrections."""
_PROOF_NS = 100_000_000
"""Time in ns after which a gap counts as lost audio.

A block that follows a stall has a late time, as if audio were missing before it. If the audio was only late,
the remaining audio arrives in a burst, and the times of the later blocks are right again.
"""
_MOST_SILENCE_NS = 1_000_000_000
"""Maximum silence in ns that is inserted for a gap. This is enough to end speech."""


class _Held(NamedTuple):
    """A block that waits until it is known whether audio was lost before it."""

    pcm: bytes
    start_ns: int
    lasts_ns: int


class GaplessSpeech:
    """Passes captured blocks to ``speech``, with silence in place of lost audio, as on the saved track.

    Without the silence, two words around a gap would count as one utterance during the call, but as two when
    the saved session is measured. An end of speech shortly before a gap would be dated too late.
    """

    def __init__(self, speech: PooledSpeech, rate: int) -> None:
        self._speech = speech
        self._rate = rate
        self._fed_until_ns = 0
        self._held: list[_Held] = []

    def feed(self, pcm: bytes, end_ns: int) -> None:
        """Adds samples, the last of which left the microphone at ``end_ns``."""
        lasts_ns = frames_to_ns(len(pcm) // 2, self._rate)
        start_ns = end_ns - lasts_ns
        if not self._held and (not self._fed_until_ns or start_ns - self._fed_until_ns <= _GAP_NS):
            self._pass_on(pcm, end_ns)
            return
        self._held.append(_Held(pcm, start_ns, lasts_ns))
        if start_ns - self._held[0].start_ns >= _PROOF_NS:
            self._release()

    def finish(self, end_ns: int) -> None:
        """Ends the track, and speech in progress, at ``end_ns``."""
        if self._held:
            self._release()
        self._speech.finish(end_ns)

    def _release(self) -> None:
        """Passes on the held blocks, preceded by silence if audio before them was lost."""
        held, self._held = self._held, []
        at_ns = _begins_ns(held)
        if (missing_ns := at_ns - self._fed_until_ns) > _GAP_NS:
            silence = bytes(2 * ns_to_frames(min(missing_ns, _MOST_SILENCE_NS), self._rate))
            self._pass_on(silence, self._fed_until_ns + frames_to_ns(len(silence) // 2, self._rate))
        for block in held:
            at_ns += block.lasts_ns
            self._pass_on(block.pcm, at_ns)

    def _pass_on(self, pcm: bytes, end_ns: int) -> None:
        self._fed_until_ns = end_ns
        self._speech.feed(pcm, end_ns)


def _begins_ns(held: list[_Held]) -> int:
    """Returns when the first held block began, according to the block with the least delay."""
    before_ns, begins_ns = 0, held[0].start_ns
    for block in held:
        begins_ns = min(begins_ns, block.start_ns - before_ns)
        before_ns += block.lasts_ns
    return begins_ns
