"""The child process of `SpeechProcess`, which answers requests until its standard input ends."""

from __future__ import annotations

import os
import signal
import sys
from functools import cache
from pathlib import Path
from typing import IO, Any

import msgspec

from tui.audio.formats import AudioFormat, Encoding
from tui.audio.wav import wav_header
from tui.files import write_atomically
from tui.speech.ears import Ears
from tui.speech.errors import SpeechError
from tui.speech.voices import RATE, Voice, find_synthesizer, speak

_synthesizer = cache(find_synthesizer)
_ears = cache(Ears)


def answer(request: dict[str, Any], requests: IO[bytes]) -> dict[str, str]:
    """Carries out a request and returns its answer, which contains text or an error.

    Reads the PCM of a recognition request from ``requests``.
    """
    pcm = requests.read(request.get("hear", 0))
    try:
        if "hear" in request:
            return {"text": _ears(request["model"]).hear(pcm, request["rate"])}
        synthesizer = _synthesizer(request["synthesizer"])
        spoken = speak(request["speak"], Voice(request["voice"]), synthesizer)
        header = wav_header(AudioFormat(Encoding.PCM16, RATE), data_bytes=len(spoken))
        write_atomically(Path(request["path"]), header + spoken)
    except SpeechError as error:
        return {"error": str(error)}
    except Exception as error:  # noqa: BLE001 - what a library raises must not end the process
        what = "The recognizer" if "hear" in request else f"The synthesizer {request['synthesizer']}"
        return {"error": f"{what} failed: {type(error).__name__}: {error}"}
    return {"text": ""}


def main() -> None:
    """Answers requests from standard input until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    # Libraries that print must not write into the answers.
    answers = os.dup(1)
    os.dup2(2, 1)
    requests = sys.stdin.buffer
    while line := requests.readline():
        os.write(answers, msgspec.json.encode(answer(msgspec.json.decode(line), requests)) + b"\n")


if __name__ == "__main__":
    main()
