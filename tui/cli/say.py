"""Values of ``--say``: WAV files, numbers of recorded lines, pipes with audio, and sentences.

An existing file takes precedence over the number of a recorded line, which takes precedence over a sentence.
A single word that looks like a file name (with a slash or an extension) is never spoken, so a mistyped
``hours.wav`` is an error.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tui.cli.program import Sentence
from tui.files import read_stream

_STANDARD_INPUT = Path("-")
_MOST_BYTES = 512 * 1024 * 1024
_MOST_NAME_CHARS = 60
"""Maximum length of a file name in characters; it is at most 240 bytes, which every file system allows."""


@contextmanager
def spoken_files(names: Sequence[Path], timeout_s: float, synthesizer: str = "") -> Iterator[list[Path]]:
    """Yields a list with a readable WAV file for each name. Raises `Sentence`, `AudioFileError`, `SpeechError`.

    Data from a pipe is kept in a temporary file until the block ends. ``timeout_s`` is the longest wait for
    more data. ``synthesizer`` speaks sentences; the file of a sentence is named after it.
    """
    from tui.audio.wav import AudioFileError, read_wav

    with ExitStack() as at_end:
        files = []
        sentences = _speak([name for name in names if _is_sentence(name)], at_end, synthesizer)
        for name in names:
            path = sentences.get(name) or _line_or_file(name)
            if path == _STANDARD_INPUT or _is_stream(path):
                folder = Path(at_end.enter_context(tempfile.TemporaryDirectory(prefix="opusagent-tui-say-")))
                path = folder / ("stdin" if name == _STANDARD_INPUT else name.name)
                path.write_bytes(_read(name, timeout_s))
            try:
                read_wav(path, 16_000)
            except AudioFileError as error:
                shown = f"--say {name}" if path.parent != name.parent else str(name)
                raise AudioFileError(str(error).replace(str(path), shown)) from error
            files.append(path)
        yield files


def _line_or_file(name: Path) -> Path:
    """Returns the file of a recorded line if ``name`` is its number; otherwise ``name`` as a path."""
    if len(name.name) > 1 or name == _STANDARD_INPUT or os.path.exists(name):  # noqa: PTH110 - never raises
        return name
    from tui.assets import caller_lines

    return next((line.path for line in caller_lines() if line.key == name.name), name)


def _is_sentence(name: Path) -> bool:
    """Returns whether ``name`` is a sentence to speak rather than a file or the number of a recorded line."""
    text = str(name)
    if name == _STANDARD_INPUT or len(text) == 1 or os.path.lexists(name):
        return False
    return len(text.split()) > 1 or not (name.suffix or os.sep in text)


def _speak(sentences: Sequence[Path], at_end: ExitStack, synthesizer: str) -> dict[Path, Path]:
    """Synthesizes sentences; returns the file of each one. Raises `SpeechError`."""
    if not sentences:
        return {}
    from tui.speech.process import SpeechProcess

    folder = Path(at_end.enter_context(tempfile.TemporaryDirectory(prefix="opusagent-tui-say-")))
    files = {}
    with SpeechProcess(synthesizer=synthesizer) as speech:
        for number, sentence in enumerate(dict.fromkeys(sentences)):
            spoken = speech.speak(str(sentence))
            # The name of the file is shown as the line.
            files[sentence] = folder / str(number) / str(sentence).replace(os.sep, " ")[:_MOST_NAME_CHARS]
            files[sentence].parent.mkdir()
            files[sentence].symlink_to(spoken)
    return files


def _is_stream(path: Path) -> bool:
    """Returns whether the file is a pipe or device, which can be read only once."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False  # the reader reports the reason
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _read(name: Path, timeout_s: float) -> bytes:
    standard_input = name == _STANDARD_INPUT
    if standard_input and (sys.stdin is None or sys.stdin.isatty()):
        raise Sentence("--say -: standard input is neither a pipe nor a file. Redirect a WAV file to it.")
    try:
        descriptor = (
            os.dup(sys.stdin.fileno()) if standard_input else os.open(name, os.O_RDONLY | os.O_NONBLOCK)
        )
        with os.fdopen(descriptor, "rb", buffering=0) as stream:
            return read_stream(stream.fileno(), timeout_s=timeout_s, most_bytes=_MOST_BYTES)
    except TimeoutError as error:
        raise Sentence(
            f"--say {name}: nothing was written to this pipe for {timeout_s:g} s (--timeout)."
        ) from error
    except OSError as error:
        raise Sentence(f"--say {name} cannot be read: {error.strerror or error}.") from error
