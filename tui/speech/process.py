"""SpeechProcess: synthesizes and recognizes speech in a child process.

Synthesis and recognition each use a full core and 300 MB, so they do not run in the process of a call.
Requests go to the child's standard input, and answers come from its standard output, each as one line of
JSON. A recognition request is followed by PCM, and states the number of bytes. Uses only the standard library
and msgspec.
"""

from __future__ import annotations

import contextlib
import hashlib
import subprocess
import threading
from pathlib import Path
from typing import Any, Self

import msgspec
from platformdirs import user_cache_path

from tui.child import read_line, start_child
from tui.files import private_folder
from tui.speech.errors import SpeechError
from tui.speech.voices import Voice, find_synthesizer
from tui.text.visible import one_line

MOST_CHARS = 2000
_TIMEOUT_S = 120.0
"""Longest wait for an answer, in seconds."""
_DOWNLOAD_TIMEOUT_S = 900.0
"""Longest wait in seconds for the first recognition, which may have to download its model."""
_KEPT_FILES = 1000
_MAX_REASON_CHARS = 400


class SpeechProcess:
    """Synthesizer and recognizer in a child process, which starts with the first request that needs it.

    ``synthesizer`` and ``model`` are the settings of that name in ``[speech]``; if a setting is empty, the
    best installed one is used. Requests are handled one after another. Methods block and may be called from
    any thread; in an event loop, use `asyncio.to_thread`. Call `close`, or use ``with``. The child also ends
    when this process ends.
    """

    def __init__(self, *, synthesizer: str = "", model: str = "") -> None:
        self._synthesizer = synthesizer
        self._model = model
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._has_heard = False

    def speak(self, text: str, voice: Voice = Voice.USER) -> Path:
        """Returns a WAV file of the text: 16-bit mono at 16 kHz, without silence around it, peak at -3 dBFS.

        The file stays in the cache, so each text is synthesized only once per voice and synthesizer. If the
        text is in the cache, the process is not started. Raises `SpeechError`.
        """
        text = " ".join(text.encode(errors="replace").decode().split())
        if not text:
            raise SpeechError("This text contains nothing that can be spoken.")
        if len(text) > MOST_CHARS:
            raise SpeechError(
                f"Text to be spoken can have at most {MOST_CHARS:,} characters; this one has {len(text):,}."
            )
        synthesizer = find_synthesizer(self._synthesizer)
        folder = cache_folder()
        key = f"{synthesizer.version}\0{voice}\0{text}"
        path = folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.wav"
        try:
            if path.is_file():
                path.touch()  # the cache removes the least recently used sentences
                return path
            _forget_oldest(private_folder(folder))
        except OSError as error:
            raise SpeechError(f"The folder {folder} cannot be used: {error.strerror or error}.") from error
        self._ask(
            {"speak": text, "voice": voice, "synthesizer": synthesizer.name, "path": str(path)}, _TIMEOUT_S
        )
        return path

    def hear(self, pcm: bytes, rate: int) -> str:
        """Returns the words in 16-bit mono PCM at ``rate`` Hz; empty if no speech was found.

        The first call loads the model, which takes about a second, or downloads it. Raises `SpeechError`.
        """
        timeout_s = _TIMEOUT_S if self._has_heard else _DOWNLOAD_TIMEOUT_S
        text = self._ask({"hear": len(pcm), "rate": rate, "model": self._model}, timeout_s, pcm)
        self._has_heard = True
        return text

    def close(self) -> None:
        """Ends the child. A request in progress raises `SpeechError`."""
        child = self._child
        if child is not None:
            child.kill()  # it has no data that could be lost
            with self._lock:
                self._forget(child)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, request: dict[str, Any], timeout_s: float, pcm: bytes = b"") -> str:
        with self._lock:
            child = self._child
            if child is None or child.poll() is not None:
                child = self._child = _start()
            try:
                assert child.stdin is not None
                child.stdin.write(msgspec.json.encode(request) + b"\n" + pcm)
                child.stdin.flush()
                answer = msgspec.json.decode(read_line(child, timeout_s))
            except (OSError, EOFError, msgspec.DecodeError) as error:
                self._forget(child)
                late = isinstance(error, TimeoutError)
                how = f"did not answer within {timeout_s:g} s" if late else "ended before it answered"
                raise SpeechError(f"The speech process {how}.") from error
        if "error" in answer:
            raise SpeechError(one_line(answer["error"], _MAX_REASON_CHARS))
        return str(answer["text"])

    def _forget(self, child: subprocess.Popen[bytes]) -> None:
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            with contextlib.suppress(OSError):  # unsent data is discarded
                if pipe is not None:
                    pipe.close()
        if self._child is child:
            self._child = None


def cache_folder() -> Path:
    """Returns the folder of cached WAV files; it need not exist."""
    return user_cache_path("opusagent-tui") / "speech"


def _start() -> subprocess.Popen[bytes]:
    try:
        return start_child("tui.speech", stderr=subprocess.DEVNULL)
    except OSError as error:
        reason = error.strerror or error
        raise SpeechError(f"The speech process cannot be started: {reason}.") from error


def _forget_oldest(folder: Path) -> None:
    """Deletes the least recently used WAV files if the cache exceeds its limit. Raises `OSError`."""
    files = [path for path in folder.glob("*.wav") if len(path.stem) == 32]
    if len(files) < _KEPT_FILES:
        return
    for path in sorted(files, key=lambda path: path.stat().st_mtime_ns)[: len(files) - _KEPT_FILES + 1]:
        path.unlink(missing_ok=True)
