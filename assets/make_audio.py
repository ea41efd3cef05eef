"""Makes every recording that audio/lines.toml names, with espeak-ng and sox.

Run it after changing a text: ``python assets/make_audio.py``. The same versions of both tools make the same bytes.
"""

from __future__ import annotations

import subprocess
import tempfile
import tomllib
from pathlib import Path

AUDIO = Path(__file__).parent / "audio"
AGENT_VOICE = ("-v", "en-us+f3", "-p", "55", "-s", "175")
CALLER_VOICE = ("-v", "en-gb", "-p", "32", "-s", "165")
CALLER_TAIL_S = "1"
"""Digital silence after a caller line: what an agent needs to hear that the caller has finished."""


def speak(text: str, voice: tuple[str, ...], path: Path, *effects: str) -> None:
    """Speaks ``text`` into a 16-bit mono 16 kHz WAV: trimmed, 5 ms fades, peak at -3 dBFS, then ``effects``."""
    path.parent.mkdir(exist_ok=True)
    one_end = ("silence", "1", "0.005", "-50d", "fade", "q", "0.005", "reverse")
    with tempfile.NamedTemporaryFile(suffix=".wav") as raw:
        subprocess.run(["espeak-ng", *voice, "-w", raw.name, text], check=True)
        # -D: no dither, so that silence is digital and a second run makes the same bytes
        command = ["sox", "-D", raw.name, "-r", "16000", "-c", "1", "-b", "16", str(path)]
        shape = ["gain", "-n", "-6", "rate", "-v", "16000", *one_end, *one_end, "gain", "-n", "-3", *effects]
        subprocess.run([*command, *shape], check=True)


def main() -> None:
    """Makes them all."""
    manifest = tomllib.loads((AUDIO / "lines.toml").read_text(encoding="utf-8"))
    for entry in manifest["agent"].values():
        speak(entry["text"], AGENT_VOICE, AUDIO / entry["file"])
    for entry in manifest["caller"].values():
        speak(entry["text"], CALLER_VOICE, AUDIO / entry["file"], "pad", "0", CALLER_TAIL_S)


if __name__ == "__main__":
    main()
