"""The recordings that come with the program: what the local agent says, and lines for a caller to speak.

Of the standard library alone; the screen shows the lines' texts without loading anything heavy.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).parent
_PLACES = (_PACKAGE / "_assets" / "audio", _PACKAGE.parent / "assets" / "audio")
"""In a wheel, and in a clone or an editable install."""


class AssetsMissing(Exception):
    """The recordings are not where the installation should have put them; the text is one sentence."""


@dataclass(frozen=True, slots=True)
class Line:
    """A caller line: what the keys 1 to 9 speak. Its recording ends with a second of digital silence."""

    key: str
    name: str
    path: Path
    """16-bit mono WAV at 16 kHz."""
    text: str
    answer: str
    """The name of the prompt with which the local agent answers it."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """Something the local agent says."""

    name: str
    path: Path
    """16-bit mono WAV at 16 kHz."""
    text: str


def audio_folder() -> Path:
    """Where the recordings are. Raises `AssetsMissing`."""
    for place in _PLACES:
        if (place / "lines.toml").is_file():
            return place
    raise AssetsMissing(f"The recordings are missing from this installation: there is no {_PLACES[0]}.")


@cache
def caller_lines() -> tuple[Line, ...]:
    """The caller lines in the order of their keys. Raises `AssetsMissing`."""
    return tuple(
        Line(key, entry["name"], audio_folder() / entry["file"], entry["text"], entry["answer"])
        for key, entry in _manifest()["caller"].items()
    )


@cache
def prompts() -> dict[str, Prompt]:
    """The agent's prompts by name: ``greeting``, ``fallback``, ``goodbye``, ``dtmf-1``, … Raises `AssetsMissing`."""
    return {
        name: Prompt(name, audio_folder() / entry["file"], entry["text"])
        for name, entry in _manifest()["agent"].items()
    }


@cache
def _manifest() -> dict[str, dict[str, dict[str, str]]]:
    return tomllib.loads((audio_folder() / "lines.toml").read_text(encoding="utf-8"))
