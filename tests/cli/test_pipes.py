"""Tests audio input and written files with pipes, devices and links."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from platformdirs import user_data_path

from tests.speech.machine import install_voice
from tui.agent.process import start_agent
from tui.agent.settings import AgentSettings
from tui.assets import caller_lines
from tui.audio.endpoints import is_output_file
from tui.audio.wav import AudioFileError, read_wav
from tui.cli.program import Sentence
from tui.cli.say import spoken_files
from tui.files import write_to
from tui.speech.errors import SpeechError

LINE = next(Path(line.path) for line in caller_lines() if line.name == "yes")


def spoken(*names: str | Path, timeout_s: float = 5.0, synthesizer: str = "") -> list[bytes]:
    """Returns the audio for each name."""
    with spoken_files([Path(name) for name in names], timeout_s, synthesizer) as files:
        return [read_wav(path, 8_000) for path in files]


def through(path: Path, content: bytes) -> threading.Thread:
    """Writes into a pipe from another thread."""
    thread = threading.Thread(target=path.write_bytes, args=(content,))
    thread.start()
    return thread


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


def test_files_numbers_and_pipes_are_spoken_and_leave_nothing(
    pipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    sound = read_wav(LINE, 8_000)
    writing = through(pipe, LINE.read_bytes())
    assert spoken(LINE, pipe, timeout_s=20)[:2] == [sound, sound]
    writing.join()
    assert spoken("1") == [read_wav(caller_lines()[0].path, 8_000)]
    assert list((tmp_path / "temporary").iterdir()) == []


def test_standard_input_is_spoken(pipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with LINE.open("rb") as file:
        monkeypatch.setattr(sys, "stdin", file)
        assert spoken("-") == [read_wav(LINE, 8_000)]


def test_a_pipe_that_nobody_writes_to_is_a_sentence(pipe: Path) -> None:
    began_s = time.monotonic()
    with pytest.raises(Sentence) as caught:
        spoken(pipe, timeout_s=0.05)
    assert str(caught.value) == f"--say {pipe}: nothing was written to this pipe for 0.05 s (--timeout)."
    assert time.monotonic() - began_s < 5


def test_what_a_pipe_carries_is_judged_like_a_file_and_named_as_typed(pipe: Path) -> None:
    writing = through(pipe, b"no sound")
    with pytest.raises(AudioFileError) as caught:
        spoken(pipe, timeout_s=20)
    writing.join()
    assert str(caught.value) == f"--say {pipe} is not a WAV file."
    with pytest.raises(AudioFileError, match=r"^nothing\.wav does not exist\.$"):
        spoken("nothing.wav")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with start_agent(AgentSettings()) as agent:
        yield agent.url("/audiocodes")


def test_a_call_speaks_and_writes_through_the_pipes_of_a_shell(url: str, tmp_path: Path) -> None:
    program = f"'{sys.executable}' -m tui call {url} --no-save --timeout 20"
    script = f"cat '{LINE}' | {program} --say - --say <(cat '{LINE}') --output >(cat >'{tmp_path}/heard.wav')"
    ran = subprocess.run(
        ["bash", "-c", f"{script}; sleep 0.3"], capture_output=True, text=True, check=False, timeout=50
    )
    assert ran.stdout.count("recognition: Yes.") == 2, ran.stdout + ran.stderr
    assert len(read_wav(tmp_path / "heard.wav", 16_000)) > 16_000
    assert not (user_data_path("opusagent-tui") / "sessions").exists(), "--no-save"


def test_outputs_that_are_files(pipe: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("")
    assert [
        is_output_file(str(name))
        for name in ("a.wav", "/dev/null", pipe, tmp_path, tmp_path / "text", "/no/such", "USB", "null")
    ] == [True, True, True, False, False, False, False, False]


# -- files named by the user --


def test_a_device_and_a_pipe_are_written_to_directly(pipe: Path) -> None:
    write_to(Path("/dev/null"), b"page")
    assert Path("/dev/null").is_char_device()
    with pytest.raises(OSError, match="No space left on device"):
        write_to(Path("/dev/full"), b"page")
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_to(pipe, b"page")
    assert os.read(reader, 100) == b"page"
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    os.close(reader)


def test_an_open_descriptor_is_written_behind_what_is_there(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb", buffering=0) as file:
        file.write(b"before ")
        write_to(Path(f"/dev/fd/{file.fileno()}"), b"page")
    assert (tmp_path / "out").read_bytes() == b"before page"


def test_a_link_is_followed_and_the_mode_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "real" / "target.html"
    target.parent.mkdir()
    target.write_text("before")
    target.chmod(0o644)
    (tmp_path / "link.html").symlink_to(target)
    write_to(tmp_path / "link.html", b"after")
    assert (target.read_bytes(), target.stat().st_mode & 0o777) == (b"after", 0o644)
    assert (tmp_path / "link.html").is_symlink()
    (tmp_path / "dangling").symlink_to(tmp_path / "real" / "new.html")
    write_to(tmp_path / "dangling", b"new")
    assert (tmp_path / "real" / "new.html").read_bytes() == b"new"
    assert sorted(path.name for path in target.parent.iterdir()) == ["new.html", "target.html"]


def test_a_new_file_is_private(tmp_path: Path) -> None:
    write_to(tmp_path / "new.html", b"page")
    assert (tmp_path / "new.html").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["Hello there, can I stop you?", "Hello", "Is it 5/10 or ./this.wav?", "12"])
def test_any_sentence_is_spoken_and_named_as_typed(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_voice(tmp_path, monkeypatch)
    with spoken_files([Path(text), LINE, Path(text)], 5.0, "espeak-ng") as (first, line, again):
        assert first.name == text.replace("/", " ")
        assert line == LINE
        assert read_wav(first, 16_000) == read_wav(again, 16_000)
        assert len(read_wav(first, 16_000)) > 2_000
    assert not first.parent.exists()


def test_a_file_with_the_words_of_a_sentence_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("say this").write_bytes(LINE.read_bytes())
    assert spoken("say this") == [read_wav(LINE, 8_000)]


def test_a_sentence_without_a_voice_is_an_error_that_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    install = r"espeak-ng is not installed\. Run `pip install 'opusagent-tui\[speech\]'`"
    with pytest.raises(SpeechError, match=install):
        spoken("Hello there", synthesizer="espeak-ng")
