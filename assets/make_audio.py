"""Makes every recording that audio/lines.toml names, with the voices of ``tui.speech``.

Run it after changing a text: ``uv run --isolated --group speech python assets/make_audio.py``. A second run on the
same machine makes the same bytes.
"""

from __future__ import annotations

import tomllib
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tui.speech.voices import RATE, Hibari, Voice, speak

AUDIO = Path(__file__).parent / "audio"
TAIL = bytes(2 * RATE)
"""A second of digital silence after a caller line: what an agent needs to hear that the caller has finished."""
LONGEST_PAUSE_FRAMES = RATE * 300 // 1000
"""Longest pause within a recording; agents take a longer one for the end of the turn."""
QUIET = 10 ** (-40 / 20)
"""Highest level of a pause, as a share of the peak."""
CROSSFADE_FRAMES = RATE * 5 // 1000


def shorten_pauses(pcm: bytes) -> bytes:
    """Returns 16-bit PCM in which the middle of longer pauses is cut out, with a crossfade so that nothing clicks."""
    samples = np.frombuffer(pcm, "<i2").astype(np.float32)
    loud = np.flatnonzero(np.abs(samples) > QUIET * np.abs(samples).max())
    shortened = samples[:0]
    begin = 0
    for pause in np.flatnonzero(np.diff(loud) > LONGEST_PAUSE_FRAMES):
        cut = int(loud[pause]) + LONGEST_PAUSE_FRAMES // 2
        resume = int(loud[pause + 1]) - LONGEST_PAUSE_FRAMES // 2
        shortened = join(shortened, samples[begin:cut])
        begin = resume - CROSSFADE_FRAMES
    return np.rint(join(shortened, samples[begin:])).astype("<i2").tobytes()


def join(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns both in a row; the last 5 ms of the first fade into the first 5 ms of the second."""
    if not len(first):
        return second
    rise = np.linspace(0, 1, CROSSFADE_FRAMES, dtype=np.float32)
    both = first[-CROSSFADE_FRAMES:] * rise[::-1] + second[:CROSSFADE_FRAMES] * rise
    return np.concatenate([first[:-CROSSFADE_FRAMES], both, second[CROSSFADE_FRAMES:]])


def write(path: Path, pcm: bytes) -> None:
    """Writes 16-bit mono PCM at `RATE` as a WAV file."""
    path.parent.mkdir(exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(pcm)


def main() -> None:
    """Makes them all."""
    manifest = tomllib.loads((AUDIO / "lines.toml").read_text(encoding="utf-8"))
    voice = Hibari()
    for entry in manifest["agent"].values():
        write(AUDIO / entry["file"], shorten_pauses(speak(entry["text"], Voice.AGENT, voice)))
    for entry in manifest["caller"].values():
        write(AUDIO / entry["file"], shorten_pauses(speak(entry["text"], Voice.USER, voice)) + TAIL)


if __name__ == "__main__":
    main()
