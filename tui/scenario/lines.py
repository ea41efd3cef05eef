"""Finds the audio for ``say`` steps (a recorded line, a WAV file or a sentence) and the audible speech in it."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import msgspec

from tui.assets import caller_lines
from tui.audio.pcm import frames_to_ns
from tui.audio.speech import TrackEdge, make_detector
from tui.audio.wav import AudioFileError, read_wav
from tui.models.sound.lines import CallerLine, line_of
from tui.scenario.model import Say, Scenario
from tui.scenario.reading import ScenarioError
from tui.speech.errors import SpeechError
from tui.text.strict import quoted
from tui.units import NS_PER_S

_RATE = 16_000
_BLOCK_BYTES = 2 * _RATE // 50
_SILENCE_MS = 600
_MOST_NAME_CHARS = 60
Speaker = Callable[[str], Path]
"""Synthesizes a sentence, and returns the path of its WAV file. Raises `SpeechError`, which states what is
missing.
"""


class SpokenLine(msgspec.Struct, frozen=True):
    """A line to speak, and the positions at which speech begins and ends in its file."""

    line: CallerLine
    onset_ns: int
    end_ns: int
    length_ns: int


def lines_of(scenario: Scenario, speak: Speaker | None = None) -> dict[str, SpokenLine]:
    """Returns the lines of a scenario, keyed by the text of their steps. Raises `ScenarioError`.

    ``speak`` synthesizes sentences; without it, sentences are rejected. Blocks while the lines are read and
    synthesized.
    """
    found: dict[str, SpokenLine] = {}
    for step in scenario.steps:
        if isinstance(step, Say) and step.say not in found:
            try:
                found[step.say] = _spoken(_line_for(step, speak))
            except (AudioFileError, SpeechError, ValueError) as error:
                raise ScenarioError(f"{step.file}, line {step.line}: {error}") from error
    return found


def spoken_line(path: Path) -> SpokenLine:
    """Returns a WAV file as a line to speak. Raises `AudioFileError`.

    Blocks while the speech in the file is detected.
    """
    return _spoken(line_of(path))


def _line_for(step: Say, speak: Speaker | None) -> CallerLine:
    words = step.say.strip()
    for line in caller_lines():
        if words in (line.key, line.name) or words.casefold() == line.text.casefold():
            return CallerLine(line.name, line.text, str(line.path))
    if words.lower().endswith(".wav"):
        return line_of(Path(step.file).parent / words)
    if speak is None:
        names = ", ".join(line.name for line in caller_lines())
        raise ValueError(f"{quoted(words)} is neither a recorded line ({names}) nor a WAV file.")
    return CallerLine(words[:_MOST_NAME_CHARS], words, str(speak(words)))


def _spoken(line: CallerLine) -> SpokenLine:
    edges_ns, length_ns = _edges(
        line.path, Path(line.path).stat().st_mtime_ns if Path(line.path).exists() else 0
    )
    return SpokenLine(
        msgspec.structs.replace(line, edges_ns=edges_ns),
        onset_ns=edges_ns[0] if edges_ns else 0,
        end_ns=edges_ns[-1] if edges_ns else length_ns,
        length_ns=length_ns,
    )


@lru_cache(maxsize=256)
def _edges(path: str, _changed_ns: int) -> tuple[tuple[int, ...], int]:
    """Returns the alternating starts and ends of speech in a file, and the file's length, all in ns.

    Uses the same speech detector as a call. A file without speech has no edges.
    """
    pcm = read_wav(path, _RATE)
    length_ns = frames_to_ns(len(pcm) // 2, _RATE)
    detector = make_detector(_RATE)
    # Fed in blocks and after silence, as in a call.
    detector.feed(bytes(2 * _RATE * _SILENCE_MS // 1000), 0)
    edges: list[TrackEdge] = []
    for at in range(0, len(pcm), _BLOCK_BYTES):
        block = pcm[at : at + _BLOCK_BYTES]
        edges += detector.feed(block, frames_to_ns((at + len(block)) // 2, _RATE))
    edges += detector.finish(length_ns)
    return tuple(max(edge.at_ns, 0) for edge in edges), length_ns


SLACK_S = 10.0
"""Seconds added to a line's length to get the time limit for speaking it."""


def limit_s(line: SpokenLine) -> float:
    """Returns the time limit for speaking a line, in seconds."""
    return line.length_ns / NS_PER_S + SLACK_S
