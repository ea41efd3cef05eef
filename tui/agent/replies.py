"""Loads the agent's prompts as PCM, and sends a reply at a set pace."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from tui.agent.settings import EVERYTHING_AT_ONCE, AgentSettings, Fault
from tui.assets import prompts
from tui.audio.formats import AudioFormat, encode
from tui.audio.resample import LiveResampler
from tui.audio.wav import read_wav
from tui.protocols.base import AgentEnd, Outgoing

_PROMPT_RATE = 16_000
_CLIPPED_MS = 400
_BACKCHANNEL_MS = 440


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as text and as 16-bit mono PCM at ``rate`` Hz."""

    text: str
    pcm: bytes
    rate: int
    then_hang_up: bool = False
    delay_ms: float = 0.0
    """Delay of this answer in addition to the delay in the settings."""


def prompt_answer(rate: int, *names: str) -> Answer:
    """Returns an answer that plays the named prompts in order. After the prompt ``goodbye`` the agent hangs up."""
    text = " ".join(prompts()[name].text for name in names)
    pcm = b"".join(_prompt_pcm(name, rate) for name in names)
    return Answer(text, pcm, rate, then_hang_up="goodbye" in names)


def backchannel_answer(rate: int) -> Answer:
    """Returns an answer with only the first word ("Yes,") of the prompt ``listening``."""
    return Answer("Yes.", _prompt_pcm("listening", rate)[: 2 * (rate * _BACKCHANNEL_MS // 1000)], rate)


@cache
def _prompt_pcm(name: str, rate: int) -> bytes:
    return _at_rate(read_wav(prompts()[name].path, _PROMPT_RATE), _PROMPT_RATE, rate)


def _at_rate(pcm: bytes, from_rate: int, to_rate: int) -> bytes:
    # The best filter takes three times as long and would delay the answer audibly.
    resampler = LiveResampler(from_rate, to_rate)
    return resampler.feed(pcm) + resampler.finish()


def load_prompts() -> None:
    """Reads all prompts, so that a missing one is detected at startup. Raises `AudioFileError`, `AssetsMissing`."""
    for name in prompts():
        _prompt_pcm(name, _PROMPT_RATE)


@dataclass(eq=False, repr=False)
class PacedReply:
    """Sends one reply: decides when each chunk is due, and estimates when the user will have heard the chunk.

    Each chunk is due at its position in the reply divided by the pace. Positions count from the start of the
    reply, so a late chunk does not delay later ones.
    """

    stream_id: str
    answer: Answer
    starts_ns: int
    settings: AgentSettings

    def __post_init__(self) -> None:
        self.then_hang_up = self.answer.then_hang_up
        self.started = False
        """Whether the start of the reply was sent."""
        self.sent = False
        """Whether the whole reply was sent."""
        self.heard_until_ns = self.starts_ns
        """Estimated time at which the user will have heard all audio sent so far."""
        self._format: AudioFormat | None = None
        self._audio = b""
        self._chunk_bytes = 1
        self._sent_bytes = 0

    @property
    def next_due_ns(self) -> int | None:
        """Time at which the next chunk is due; None once the whole reply has been sent."""
        return None if self.sent else self.starts_ns + self._sound_ns(self._sent_bytes, self.settings.pace)

    def due(self, now_ns: int, agent: AgentEnd) -> list[Outgoing]:
        """Returns the frames that are due by now, including the start and end of the reply."""
        frames: list[Outgoing] = []
        while (due_ns := self.next_due_ns) is not None and due_ns <= now_ns:
            if not self.started:
                frames += self._start(agent)
            chunk = self._audio[self._sent_bytes : self._sent_bytes + self._chunk_bytes]
            self._sent_bytes += len(chunk)
            self.heard_until_ns = max(self.heard_until_ns, now_ns) + self._sound_ns(len(chunk), 1.0)
            frames += agent.say_audio(self.stream_id, chunk)
            if self._sent_bytes == len(self._audio):
                self.sent = True
                frames += agent.say_stop(self.stream_id)
        return frames

    def _start(self, agent: AgentEnd) -> list[Outgoing]:
        """Starts the reply and encodes the audio. The audio format is not final until the reply starts."""
        self.started = True
        frames = agent.say_start(self.stream_id, self.answer.text)
        self._format = media = agent.play_format
        if media is None:  # a text response
            return frames
        clipped_ms = _CLIPPED_MS if self.settings.fault is Fault.CLIPS_FIRST_WORD else 0
        pcm = self.answer.pcm[2 * (self.answer.rate * clipped_ms // 1000) :]
        self._audio = encode(_at_rate(pcm, self.answer.rate, media.rate), media)
        chunk_frames = max(round(media.rate * self.settings.chunk_ms / 1000), 1)
        self._chunk_bytes = chunk_frames * media.encoding.sample_bytes
        if self.settings.pace == EVERYTHING_AT_ONCE:
            self._chunk_bytes = max(len(self._audio), 1)
        return frames

    def _sound_ns(self, size_bytes: int, pace: float) -> int:
        return round(self._format.duration_ms(size_bytes) * 1e6 / pace) if self._format else 0
