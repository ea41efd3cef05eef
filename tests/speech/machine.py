"""Installs a fake voice (a command) and a fake recognizer (a package), which take no time."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

_ESPEAK = f"""#!{sys.executable} -S
import math, struct, sys, wave
text = sys.stdin.read()
if "crash" in text:
    sys.exit(3)
path = sys.argv[sys.argv.index("-w") + 1]
words_per_min = int(sys.argv[sys.argv.index("-s") + 1])
spoken = [] if "(" in text else [int(9000 * math.sin(n / 8)) for n in range(22050 * len(text) // words_per_min * 10)]
samples = [0] * 4000 + spoken + [0] * 4000
with wave.open(path, "wb") as file:
    file.setnchannels(1), file.setsampwidth(2), file.setframerate(22050)
    file.writeframes(struct.pack(f"<{{len(samples)}}h", *samples))
"""
_WHISPER = """
import os, time
from types import SimpleNamespace
print("a library that prints")
def available_models():
    return ["tiny.en", "base"]
class WhisperModel:
    def __init__(self, place, device, compute_type):
        if place == "base":
            raise RuntimeError("no network")
        self.place = place
    def transcribe(self, samples, **options):
        if len(samples) > 16_000 * 60:
            os._exit(9)
        words = f" {len(samples)} samples heard by {os.path.basename(self.place)}"
        return [SimpleNamespace(text=words), SimpleNamespace(text=" and more. ")], None
"""


def install_voice(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installs an ``espeak-ng`` command that writes a tone, whose length depends on the text and the pace."""
    command = folder / "espeak-ng"
    command.write_text(_ESPEAK)
    command.chmod(0o700)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)


def install_recognizer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installs a ``faster_whisper`` package that recognizes the number of samples as words."""
    (folder / "faster_whisper.py").write_text(_WHISPER)
    monkeypatch.setenv("PYTHONPATH", str(folder))
