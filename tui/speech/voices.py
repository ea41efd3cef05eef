"""Synthesizers: hibari from the ``speech`` extra, or one that is installed on the machine.

Heavy imports are deferred until first use.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shutil
import subprocess
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tui.speech.errors import EXTRA, SpeechError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RATE = 16_000
"""Sample rate of synthesized speech, in Hz."""
_LOWERED = 1.2
"""Factor by which the agent's voice is deeper than the user's; with 1.25 or more, the recognizer misses words."""
_TIMEOUT_S = 60.0
_PEAK = 10 ** (-3 / 20)
"""Peak level: -3 dBFS, like the recordings."""
_QUIET = 10 ** (-50 / 20)
_FADE_FRAMES = RATE * 5 // 1000


class Voice(StrEnum):
    """A voice for synthesized speech."""

    USER = "user"
    AGENT = "agent"
    """A deeper voice, so that the user and the agent can be distinguished in one recording."""


class Synthesizer(ABC):
    """Converts text to audio."""

    name: str
    """Name in the settings."""

    @property
    @abstractmethod
    def version(self) -> str:
        """Name and version. Cached audio of another version is synthesized again."""

    @abstractmethod
    def synthesize(self, text: str, speed: float) -> tuple[NDArray[np.float32], int]:
        """Returns samples in -1..1, shape (n,), and their rate in Hz; ``speed`` 1 is the normal pace.

        Raises `SpeechError`.
        """


class Hibari(Synthesizer):
    """The package hibari-tts, which contains a small neural voice for American English (Apache-2.0)."""

    name = "hibari"
    _seed = 7
    """Seed that makes the noise component reproducible."""

    @property
    def version(self) -> str:
        """Version of the package."""
        return f"hibari-tts {importlib.metadata.version('hibari-tts')}"

    def synthesize(self, text: str, speed: float) -> tuple[NDArray[np.float32], int]:
        """Returns samples at 24 kHz."""
        samples: NDArray[np.float32] = self._model(text, speed=speed, seed=self._seed)
        return samples, self._model.sample_rate

    @cached_property
    def _model(self) -> Any:
        import hibari

        return hibari.Hibari()


class CommandVoice(Synthesizer):
    """A synthesizer that runs a command, which reads text from standard input and writes a WAV file.

    ``arguments`` returns the command's arguments for a number of words per minute and the path of the file.
    """

    def __init__(self, name: str, words_per_min: int, arguments: Callable[[int, str], list[str]]) -> None:
        self.name = name
        self._words_per_min = words_per_min
        self._arguments = arguments

    @property
    def version(self) -> str:
        """Name of the command, without a version.

        Querying the version would start a process for each cached sentence.
        """
        return self.name

    def synthesize(self, text: str, speed: float) -> tuple[NDArray[np.float32], int]:
        """Returns the samples at the rate that the command uses."""
        from tui.audio.mix import mix
        from tui.audio.wav import AudioFileError, WavFile

        with tempfile.TemporaryDirectory(prefix="opusagent-tui-speech-") as folder:
            path = Path(folder, "spoken.wav")
            command = [self.name, *self._arguments(round(self._words_per_min * speed), str(path))]
            try:
                subprocess.run(
                    command, input=text.encode(), check=True, capture_output=True, timeout=_TIMEOUT_S
                )
                with WavFile(path) as file:
                    return mix(file.read(0, file.frames), file.channel_mask), file.rate
            except subprocess.CalledProcessError as error:
                raise SpeechError(f"{self.name} failed with exit code {error.returncode}.") from error
            except subprocess.TimeoutExpired as error:
                raise SpeechError(f"{self.name} did not finish within {_TIMEOUT_S:g} s.") from error
            except (OSError, AudioFileError) as error:
                raise SpeechError(f"{self.name} wrote no audio: {error}") from error


_ESPEAK = CommandVoice(
    "espeak-ng", 165, lambda pace, path: ["-v", "en-us", "-s", str(pace), "-w", path, "--stdin"]
)
_SAY = CommandVoice(
    "say", 175, lambda pace, path: ["-r", str(pace), "-o", path, "--data-format=LEI16@22050", "-f", "-"]
)
SYNTHESIZERS = ("hibari", "espeak-ng", "say")
"""Names of the synthesizers, the best first."""


def find_synthesizer(name: str = "") -> Synthesizer:
    """Returns the synthesizer with that name, or the best one that is installed. Raises `SpeechError`."""
    if name and name not in SYNTHESIZERS:
        raise SpeechError(f"Unknown synthesizer {name!r}. Choose from {', '.join(SYNTHESIZERS)}.")
    there: list[Synthesizer] = []
    if importlib.util.find_spec("hibari"):
        there.append(Hibari())
    if shutil.which(_ESPEAK.name):
        there.append(_ESPEAK)
    if sys.platform == "darwin" and shutil.which(_SAY.name):
        there.append(_SAY)
    found = next((each for each in there if name in ("", each.name)), None)
    if found is None:
        missing = f"The synthesizer {name} is not installed" if name else "No voice is installed"
        raise SpeechError(f"{missing}. Run `{EXTRA}`, or install espeak-ng.")
    return found


def speak(text: str, voice: Voice, synthesizer: Synthesizer) -> bytes:
    """Returns the text as 16-bit mono PCM at `RATE`, trimmed, with 5 ms fades and a peak at -3 dBFS.

    Raises `SpeechError`, also if the text contains nothing that can be spoken.
    """
    import numpy as np

    from tui.audio.pcm import from_float
    from tui.audio.resample import resample_floats

    # A voice is lowered, including its formants, by playing it more slowly. To compensate, the text is
    # synthesized faster.
    lowered = _LOWERED if voice is Voice.AGENT else 1.0
    samples, rate = synthesizer.synthesize(text, lowered)
    samples = resample_floats(samples.astype(np.float32), round(rate / lowered), RATE)
    peak = float(np.abs(samples).max(initial=0.0))
    loud = np.flatnonzero(np.abs(samples) > _QUIET * peak)
    if len(loud) < 2 * _FADE_FRAMES:
        raise SpeechError("This text contains nothing that can be spoken.")
    samples = samples[loud[0] : loud[-1] + 1] * np.float32(_PEAK / peak)
    fade = np.linspace(0, 1, _FADE_FRAMES, dtype=np.float32)
    samples[:_FADE_FRAMES] *= fade
    samples[-_FADE_FRAMES:] *= fade[::-1]
    return from_float(samples)
