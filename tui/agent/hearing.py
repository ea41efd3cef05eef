"""Detects the turns of one user and recognizes their words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from tui.agent.recogniser import Hypotheses, Match, Recogniser
from tui.agent.settings import AgentSettings, Fault
from tui.agent.transcripts import Transcripts
from tui.audio.formats import AudioFormat, StreamDecoder
from tui.audio.pcm import frames_to_ns, ns_to_frames, to_float
from tui.audio.speech import make_detector

_MARGIN_MS = 150
"""How much audio to keep before and after an utterance, because the detector marks only the loud part."""
_STILL_SPEAKING = 0.1
"""Minimum peak of the last 100 ms relative to the peak of the utterance: -20 dB."""
_LONGEST_UTTERANCE_S = 120
"""How much of an utterance to keep; if it is longer, only its end is kept."""


@dataclass(frozen=True, slots=True)
class TurnBegan:
    """Event: the user has spoken long enough to interrupt the agent."""

    ago_ms: float
    """Time since the speech began, measured in the user's audio."""


@dataclass(frozen=True, slots=True)
class Words:
    """Event: the words of a recorded line that the user has spoken so far."""

    text: str


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """Event: the user has been silent long enough to end the turn."""

    pcm: bytes
    """The utterance as 16-bit PCM, with a short margin of silence."""
    rate: int
    speech_ms: float
    match: Match | None
    words: str = ""
    """The words that a speech recognizer transcribed; empty if the turn was not transcribed."""
    brief: bool = False
    """Whether the utterance was too short to interrupt the agent, in which case no `TurnBegan` preceded it."""

    @property
    def text(self) -> str:
        """The user's words; if unknown, the duration, such as "(1.2 s of speech)"."""
        return self.known_words or f"({self.speech_ms / 1000:.1f} s of speech)"

    @property
    def known_words(self) -> str:
        """The user's words; empty if unknown."""
        return self.match.line.text if self.match else self.words


Sound: TypeAlias = TurnBegan | Words | TurnEnded


class Ear:
    """Listens to one user's audio streams, one after another, all in one format.

    Speech begins a turn, and so do tones, which test clients send. Other sounds do not begin a turn, because
    a microphone always picks up noise.

    Time is counted in samples, so audio may arrive faster than in real time.
    """

    ends_turns = True
    """Whether a pause ends a turn; otherwise the caller ends each turn with `commit`."""

    def __init__(
        self, audio_format: AudioFormat, recogniser: Recogniser, silence_ms: int, interrupt_ms: int = 0
    ) -> None:
        self.format = audio_format
        self._interrupt_frames = audio_format.rate * interrupt_ms // 1000
        self._interrupts = False
        """Whether `TurnBegan` was reported for the current turn."""
        self._recogniser = recogniser
        self._silence_ms = silence_ms
        self._decoder = StreamDecoder(audio_format)
        self._detector = make_detector(self._rate, silence_ms=silence_ms, other_sounds=True)
        self._fed_frames = 0
        self._kept = bytearray()
        """The utterance so far; between utterances, the last second of audio."""
        self._began_frame = 0
        self._ended_frame = 0
        self._hypotheses: Hypotheses | None = None

    def feed(self, wire: bytes) -> Iterator[Sound]:
        """Decodes audio from the wire and yields the events detected in it."""
        yield from self._listen(self._decoder.feed(wire))

    def end_of_stream(self) -> Iterator[Sound]:
        """Ends the audio stream; yields `TurnEnded` if a turn was in progress."""
        self._decoder.flush_remainder()
        # The detector needs silence to end a turn; the extra 500 ms cover the latency of its classifier.
        quiet_ms = self._silence_ms + 500 if self._detector.speaking or self.in_turn else 0
        yield from self._listen(bytes(2 * (self._rate * quiet_ms // 1000)))
        if self.in_turn:
            yield self._end_turn(self._ended_frame)

    def commit(self) -> TurnEnded:
        """Ends and returns the current turn at the caller's request.

        Returns an empty turn if the user said nothing.
        """
        turns = [sound for sound in self.end_of_stream() if isinstance(sound, TurnEnded)]
        return turns[-1] if turns else TurnEnded(b"", self._rate, 0.0, None)

    @property
    def in_turn(self) -> bool:
        """Whether a turn is in progress."""
        return self._hypotheses is not None

    def _listen(self, pcm: bytes) -> Iterator[Sound]:
        # In small steps, so that each edge is handled while its audio is still kept.
        step_bytes = 2 * (self._rate // 10)
        for at in range(0, len(pcm), step_bytes):
            yield from self._listen_to_block(pcm[at : at + step_bytes])

    def _listen_to_block(self, pcm: bytes) -> Iterator[Sound]:
        self._fed_frames += len(pcm) // 2
        self._kept += pcm
        self._keep_latest_frames(self._rate * (_LONGEST_UTTERANCE_S if self._hypotheses else 1))
        for edge in self._detector.feed(pcm, frames_to_ns(self._fed_frames, self._rate)):
            frame = ns_to_frames(edge.at_ns, self._rate)
            if edge.started and not self.in_turn:
                if edge.method == "silero" or is_tone(self._kept, self._rate):
                    self._begin_turn(frame)
            elif not edge.started and self.in_turn:
                self._ended_frame = frame
                if self.ends_turns:
                    yield self._end_turn(frame)
            yield from self._report_beginning()
        yield from self._report_beginning()
        if self._interrupts and self._hypotheses and (text := self._hypotheses.feed(self._kept)):
            yield Words(text)

    def _report_beginning(self) -> Iterator[TurnBegan]:
        if self.in_turn and not self._interrupts and self._insists():
            self._interrupts = True
            yield TurnBegan((self._fed_frames - self._began_frame) * 1000 / self._rate)

    def _insists(self) -> bool:
        """Returns whether the user has spoken long enough to interrupt and is still speaking.

        The detector cannot tell whether the user is still speaking: it reports the end of speech only after a
        silence.
        """
        if not self._interrupt_frames:
            return True
        return self._fed_frames - self._began_frame >= self._interrupt_frames and self.still_speaks

    @property
    def still_speaks(self) -> bool:
        """Whether the last 100 ms contain speech, judged by their peak."""
        if not self._kept:
            return False
        samples = np.abs(to_float(bytes(self._kept)))
        return float(samples[-self._rate // 10 :].max()) > _STILL_SPEAKING * float(samples.max())

    def _begin_turn(self, frame: int) -> None:
        self._began_frame = frame
        self._keep_latest_frames(self._fed_frames - frame + self._margin_frames)
        self._hypotheses = Hypotheses(self._recogniser, self._rate)
        self._interrupts = False

    def _end_turn(self, frame: int) -> TurnEnded:
        self._hypotheses = None
        surplus_frames = max(self._fed_frames - frame - self._margin_frames, 0)
        utterance = bytes(self._kept[: len(self._kept) - 2 * surplus_frames])
        speech_ms = (frame - self._began_frame) * 1000 / self._rate
        match = self._recogniser.recognise(utterance, self._rate)
        return TurnEnded(utterance, self._rate, speech_ms, match, brief=not self._interrupts)

    def _keep_latest_frames(self, frames: int) -> None:
        del self._kept[: max(len(self._kept) - 2 * frames, 0)]

    @property
    def _rate(self) -> int:
        return self.format.rate

    @property
    def _margin_frames(self) -> int:
        return self._rate * _MARGIN_MS // 1000


class Hearing:
    """Listens to one user with an `Ear`, which is replaced when the audio format changes."""

    def __init__(
        self, recogniser: Recogniser, settings: AgentSettings, transcripts: Transcripts | None = None
    ) -> None:
        self.transcripts = transcripts
        """Transcribes turns that the ears do not recognize; None if speech is not transcribed."""
        self.ear: Ear | None = None
        """The ear for the current format; None before the format is known."""
        self._recogniser = recogniser
        self._silence_ms = settings.silence_ms
        yields_at_once = settings.fault is Fault.STOPS_AT_BACKCHANNEL
        self._interrupt_ms = 0 if yields_at_once else settings.interrupt_ms

    def prepare(self, audio_format: AudioFormat | None) -> None:
        """Creates the ear before audio arrives, if the format is known and there is no ear yet."""
        if self.ear is None:
            self.ear_for(audio_format)

    def ear_for(self, audio_format: AudioFormat | None) -> Ear | None:
        """Returns an ear for this format, creating one if the format changed. None means the current format."""
        if audio_format and (self.ear is None or self.ear.format != audio_format):
            self.ear = Ear(audio_format, self._recogniser, self._silence_ms, self._interrupt_ms)
        return self.ear


_WINDOW_MS = 400
_LOWEST_HZ = 250
"""Lowest frequency of a tone, above mains hum and its first harmonics."""
_PARTIALS = 8
"""Number of partials to consider: a beep has harmonics, and a dial tone has two frequencies."""
_PARTIAL_BINS = 3
"""Number of bins that a partial covers on each side under a Hann window."""
_SHARE = 0.8
"""Minimum share of a tone's energy in its partials; for white noise, the share is less than a third."""


def is_tone(pcm: bytes | bytearray, rate: int) -> bool:
    """Returns whether the last 400 ms of 16-bit ``pcm`` contain only a few steady frequencies.

    Test clients send tones in place of speech.
    """
    frames = rate * _WINDOW_MS // 1000
    samples = to_float(bytes(pcm[-2 * frames :]))
    if len(samples) < frames:
        return False
    energies = np.square(np.abs(np.fft.rfft(samples * np.hanning(frames))))
    energies[: _LOWEST_HZ * _WINDOW_MS // 1000] = 0
    total = float(energies.sum())
    in_partials = 0.0
    for _ in range(_PARTIALS):
        peak = int(np.argmax(energies))
        partial = energies[max(peak - _PARTIAL_BINS, 0) : peak + _PARTIAL_BINS + 1]
        in_partials += float(partial.sum())
        partial[:] = 0
    return total > 0 and in_partials >= _SHARE * total
