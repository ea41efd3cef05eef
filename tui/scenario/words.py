"""AgentWords: keeps the agent's audio in a call, and judges its words with a recognizer.

Recognition occupies a whole core for a second. Headless calls may run in parallel. Their words are recognized
after the call, when recognition cannot delay a step.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from tui.scenario.model import Hear
from tui.scenario.verdict import StepVerdict
from tui.speech.errors import SpeechError
from tui.speech.word_errors import word_error_rate
from tui.text.strict import quoted

_MOST_BLOCKS = 15_000
"""Number of 20 ms blocks in five minutes."""
_MOST_CHARS = 200

Recognizer = Callable[[bytes, int], str]
"""Returns the words in 16-bit mono PCM with the given rate in Hz; blocks the calling thread. Raises `SpeechError`."""


class Excerpt(NamedTuple):
    """A part of the agent's audio as the caller heard it, in 16-bit mono PCM."""

    pcm: bytes
    rate: int
    """Sample rate in Hz; 0 if there is no audio."""


class AgentWords:
    """A track sink that keeps the last five minutes of the agent's audio.

    ``hear`` is the recognizer; None if no recognizer is available.
    """

    def __init__(self, hear: Recognizer | None) -> None:
        self._hear = hear
        self.unjudged: dict[int, tuple[Hear, Excerpt]] = {}
        """Steps whose words still have to be judged, by step index."""
        self.judging = asyncio.Lock()
        """Lock held while words are judged, because a recognizer handles one request at a time."""
        # Written by the playback thread and read by the loop; safe, because appending to a deque and copying it are
        # atomic.
        self._blocks: deque[tuple[int, bytes, int]] = deque(maxlen=_MOST_BLOCKS)

    def agent_heard(self, start_ns: int, pcm: bytes, rate: int) -> None:
        """Keeps a block of agent audio."""
        self._blocks.append((start_ns, pcm, rate))

    def agent_cut(self, at_ns: int) -> None:
        """Drops the blocks that were announced for a time after ``at_ns``, because playback was cut."""
        while self._blocks and self._blocks[-1][0] >= at_ns:
            self._blocks.pop()

    def between(self, since_ns: int, until_ns: int) -> Excerpt:
        """Returns the agent's audio between ``since_ns`` and ``until_ns``."""
        blocks = [block for block in self._blocks.copy() if since_ns <= block[0] <= until_ns]
        rate = blocks[-1][2] if blocks else 0
        return Excerpt(b"".join(pcm for _, pcm, of_block in blocks if of_block == rate), rate)

    async def judge(self, step: Hear, said: Excerpt) -> tuple[StepVerdict, str]:
        """Compares the words of an excerpt with the words that a step expects.

        Returns the verdict and its reason.
        """
        # In a thread, because the recognizer blocks, and because loading the module that counts word errors takes as
        # long as many audio blocks.
        return await asyncio.to_thread(self._judge, step, said)

    def _judge(self, step: Hear, said: Excerpt) -> tuple[StepVerdict, str]:
        if self._hear is None:
            return StepVerdict.NOT_MEASURED, "No speech recognizer is available."
        try:
            words = self._hear(*said) if said.pcm else ""
            errors = word_error_rate(step.hear, words)
        except SpeechError as error:
            return StepVerdict.NOT_MEASURED, str(error)
        if errors <= step.wer:
            return StepVerdict.PASSED, ""
        if not words.strip():
            return StepVerdict.FAILED, "No words were heard."
        rate = f"its word error rate is {errors:.2f}; the limit is {step.wer:g}"
        return StepVerdict.FAILED, f"{quoted(words.strip()[:_MOST_CHARS])} was heard: {rate}."
