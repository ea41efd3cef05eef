"""The program's recordings: prompts of the local agent, and lines that the user can play.

Uses only the standard library, so that the screen can show the text of the lines without loading heavy
modules.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).parent
_PLACES = (_PACKAGE / "_assets" / "audio", _PACKAGE.parent / "assets" / "audio")
"""Possible paths of the recordings: in a wheel, and in a clone or an editable install."""


class AssetsMissing(Exception):
    """Raised if the installation has no recordings. The message is one sentence."""


@dataclass(frozen=True, slots=True)
class Line:
    """A recorded line that a key from 1 to 9 plays. Every line ends with a second of digital silence."""

    key: str
    name: str
    path: Path
    """16-bit mono WAV at 16 kHz."""
    text: str
    answer: str
    """Name of the local agent's prompt that answers this line."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A recorded prompt of the local agent."""

    name: str
    path: Path
    """16-bit mono WAV at 16 kHz."""
    text: str


def audio_folder() -> Path:
    """Returns the folder of the recordings. Raises `AssetsMissing`."""
    for place in _PLACES:
        if (place / "lines.toml").is_file():
            return place
    raise AssetsMissing(f"The recordings are missing from this installation: {_PLACES[0]} does not exist.")


@cache
def caller_lines() -> tuple[Line, ...]:
    """Returns the recorded lines, in the order of their keys. Raises `AssetsMissing`."""
    return tuple(
        Line(key, entry["name"], audio_folder() / entry["file"], entry["text"], entry["answer"])
        for key, entry in _manifest()["caller"].items()
    )


@cache
def prompts() -> dict[str, Prompt]:
    """Returns the agent's prompts by name: ``greeting``, ``fallback``, ``dtmf-1``, … Raises `AssetsMissing`."""
    return {
        name: Prompt(name, audio_folder() / entry["file"], entry["text"])
        for name, entry in _manifest()["agent"].items()
    }


@cache
def _manifest() -> dict[str, dict[str, dict[str, str]]]:
    return tomllib.loads((audio_folder() / "lines.toml").read_text(encoding="utf-8"))
