"""Builds the output of the agent's end: one continuous audio track, and its transcript at the pace of speech."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from tui.audio.formats import AudioFormat

_CHUNK_MS = 100
_FRAGMENT_MS = 200
_WORD_MS = 300
"""Duration of a word, at about the pace of a human speaker."""
_WORDS_DELAY_MS = 600
"""Time from the moment words are spoken until the service sends them."""

_Timed = tuple[float, float, str]


class SaidTrack:
    """Queues speech and yields it in chunks of 100 ms as time passes, with silence in between."""

    def __init__(self, audio_format: AudioFormat) -> None:
        self.now_ms = 0.0
        """Time at which the next speech begins."""
        self._format = audio_format
        self._queued = bytearray()
        """The part of the track after the last chunk that was sent."""
        self._words: deque[str] = deque()
        self._fragments: deque[_Timed] = deque()
        """Words that have been spoken but not sent yet."""
        self._reply = ""
        self._ends = False
        """Whether no more audio of the reply follows."""
        self._sent_ms = 0
        self._spoken_ms = 0.0
        """Duration of the reply's audio that has been queued."""
        self._fragment_words = 0

    def begin(self, reply: str, text: str) -> None:
        """Begins a reply. ``text`` contains the words of the reply."""
        self._reply, self._ends = reply, False
        self._spoken_ms, self._fragment_words = 0.0, 0
        self._words = deque(text.split(" ") if text else ())

    def add(self, reply: str, audio: bytes) -> None:
        """Queues audio of the current reply, to start now or after the audio already in the queue."""
        if reply != self._reply:
            return
        if not self._spoken_ms:
            queued_frames = len(self._queued) // self._format.encoding.sample_bytes
            missing_frames = max(self._frames_until(self.now_ms) - queued_frames, 0)
            self._queued += self._format.silence(missing_frames * self._format.encoding.sample_bytes)
        self._spoken_ms += self._format.duration_ms(len(audio))
        self._queued += audio

    def end(self, reply: str, *, interrupted: bool) -> None:
        """Ends the reply. Queued audio of the reply is still sent, unless it was ``interrupted``."""
        if reply != self._reply:
            return
        self._ends = True
        if interrupted:
            del self._queued[max(self._frames_until(self.now_ms), 0) * self._format.encoding.sample_bytes :]
            self._words.clear()

    def chunks(self) -> Iterator[tuple[float, float, bytes]]:
        """Removes and yields the chunks of the track that end by now, each with its start and end in ms."""
        chunk_frames = self._format.rate * _CHUNK_MS // 1000
        size = chunk_frames * self._format.encoding.sample_bytes
        while self._sent_ms + _CHUNK_MS <= self.now_ms:
            start_ms = self._sent_ms
            said = bytes(self._queued[:size])
            del self._queued[:size]
            self._sent_ms += _CHUNK_MS
            self._speak_words(start_ms + _CHUNK_MS)
            yield start_ms, start_ms + _CHUNK_MS, said + self._format.silence(size - len(said))

    def _frames_until(self, at_ms: float) -> int:
        return round((at_ms - self._sent_ms) * self._format.rate / 1000)

    def fragments(self) -> Iterator[_Timed]:
        """Removes and yields the transcript fragments that are due, each with its start and end in ms."""
        while self._fragments and self._fragments[0][1] + _WORDS_DELAY_MS <= self.now_ms:
            yield self._fragments.popleft()

    def _speak_words(self, at_ms: float) -> None:
        """Turns the words spoken in each 200 ms into a transcript fragment."""
        if at_ms % _FRAGMENT_MS:
            return
        over = self._ends and not self._queued
        due = (
            len(self._words)
            if over
            else int((self._spoken_ms - self._format.duration_ms(len(self._queued))) / _WORD_MS)
            - self._fragment_words
        )
        words = [self._words.popleft() for _ in range(min(max(due, 0), len(self._words)))]
        if words:
            self._fragment_words += len(words)
            self._fragments.append((at_ms - _FRAGMENT_MS, at_ms, " " + " ".join(words)))
