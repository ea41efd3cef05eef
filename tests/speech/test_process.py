from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.speech.machine import install_recognizer, install_voice
from tui import child
from tui.audio.wav import WavFile
from tui.speech import process
from tui.speech.errors import SpeechError
from tui.speech.process import SpeechProcess, cache_folder
from tui.speech.voices import Voice, find_synthesizer

_SECOND = bytes(32_000)


@pytest.fixture
def speech(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SpeechProcess]:
    install_voice(tmp_path, monkeypatch)
    install_recognizer(tmp_path, monkeypatch)
    with SpeechProcess(synthesizer="espeak-ng", model="tiny.en") as speech:
        yield speech


def _samples(path: Path) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    with WavFile(path) as file:
        assert (file.rate, file.channels) == (16_000, 1)
        return file.read(0, file.frames)[:, 0].astype(np.float64)


def _pitch_hz(samples: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(samples)))) * 16_000 / len(samples)


def test_a_sentence_is_spoken_once_and_the_agent_is_deeper_at_the_same_pace(speech: SpeechProcess) -> None:
    path = speech.speak("Any  sentence\nat all.")
    user = _samples(path)
    assert path.parent == cache_folder()
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert np.abs(user).max() == pytest.approx(0.708, abs=0.002)
    assert np.abs(user[[0, -1]]).max() < 0.01
    assert np.flatnonzero(np.abs(user) > 0.1)[0] < 160
    agent = _samples(speech.speak("Any sentence at all.", Voice.AGENT))
    assert _pitch_hz(user) / _pitch_hz(agent) == pytest.approx(1.2, abs=0.01)
    assert len(agent) == pytest.approx(len(user), rel=0.02)
    with SpeechProcess(synthesizer="espeak-ng") as other:
        assert other.speak("Any sentence at all.") == path
        assert other._child is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (" \n", r"This text contains nothing that can be spoken\."),
        ("(…)", r"This text contains nothing that can be spoken\."),
        ("crash", r"espeak-ng failed with exit code 3\."),
        ("a" * 2001, r"at most 2,000 characters; this one has 2,001\."),
    ],
)
def test_what_cannot_be_spoken_is_a_sentence_and_leaves_no_file(
    speech: SpeechProcess, text: str, sentence: str
) -> None:
    with pytest.raises(SpeechError, match=sentence):
        speech.speak(text)
    assert list(cache_folder().glob("*")) == []
    assert speech.speak("\udc80 and what comes next").is_file()


def test_the_cache_forgets_what_was_not_spoken_for_longest(
    speech: SpeechProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_KEPT_FILES", 2)
    first, second = speech.speak("one"), speech.speak("two")
    os.utime(first, ns=(1, 1))
    os.utime(second, ns=(2, 2))
    foreign = cache_folder() / "mine.wav"
    foreign.touch()
    assert speech.speak("one") == first
    third = speech.speak("three")
    assert {*cache_folder().glob("*")} == {first, third, foreign}


def test_audio_becomes_words_and_prints_of_a_library_do_not_disturb_it(speech: SpeechProcess) -> None:
    assert speech.hear(_SECOND, 16_000) == "25600 samples heard by tiny.en and more."
    assert speech.hear(_SECOND, 8_000) == "41600 samples heard by tiny.en and more."
    assert speech.hear(b"", 16_000) == "9600 samples heard by tiny.en and more."


def test_a_recognizer_that_fails_is_a_sentence_and_the_next_request_works(speech: SpeechProcess) -> None:
    with pytest.raises(SpeechError, match=r"ended before it answered\."):
        speech.hear(_SECOND * 61, 16_000)
    assert speech.hear(_SECOND, 16_000).startswith("25600")
    with (
        SpeechProcess(model="base") as other,
        pytest.raises(SpeechError, match=r"The speech model base cannot be loaded: no network"),
    ):
        other.hear(_SECOND, 16_000)


def test_a_process_that_does_not_answer_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_DOWNLOAD_TIMEOUT_S", 0.05)
    monkeypatch.setattr(child, "child_command", lambda module: ["sleep", "60"])
    speech = SpeechProcess()
    with pytest.raises(SpeechError, match=r"did not answer within 0\.05 s\."):
        speech.hear(b"", 16_000)
    assert speech._child is None


def test_closing_ends_a_request_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    started = threading.Event()

    def start() -> subprocess.Popen[bytes]:
        child = subprocess.Popen(["sleep", "60"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        started.set()
        return child

    monkeypatch.setattr(process, "_start", start)
    speech = SpeechProcess()
    failed: list[str] = []

    def hear() -> None:
        try:
            speech.hear(b"", 16_000)
        except SpeechError as error:
            failed.append(str(error))

    thread = threading.Thread(target=hear)
    thread.start()
    assert started.wait(10)
    while speech._child is None:
        pass
    speech.close()
    thread.join(10)
    assert failed == ["The speech process ended before it answered."]


def test_the_best_installed_voice_is_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"hibari", "espeak-ng", "say"}
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name if name in there else None)
    monkeypatch.setattr("shutil.which", lambda name: name if name in there else None)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert find_synthesizer().name == "hibari"
    assert find_synthesizer("say").name == "say"
    there.remove("hibari")
    assert find_synthesizer().name == "espeak-ng"
    there.remove("espeak-ng")
    assert find_synthesizer().name == "say"
    monkeypatch.setattr(sys, "platform", "linux")
    install = r"Run `pip install 'opusagent-tui\[speech\]'`, or install espeak-ng\."
    with pytest.raises(SpeechError, match=rf"No voice is installed\. {install}"):
        find_synthesizer()
    with pytest.raises(SpeechError, match=rf"The synthesizer hibari is not installed\. {install}"):
        find_synthesizer("hibari")
    with pytest.raises(
        SpeechError, match=r"Unknown synthesizer 'hibary'\. Choose from hibari, espeak-ng, say\."
    ):
        find_synthesizer("hibary")
