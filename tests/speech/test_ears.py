from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tui.speech.ears import Ears, find_model
from tui.speech.errors import SpeechError

_DOWNLOADS = ["tiny.en", "base"]


def _model_in(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "model.bin").touch()
    return folder


def test_a_model_is_a_folder_a_package_or_a_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    folder = _model_in(tmp_path / "mine")
    shipped = _model_in(tmp_path / "some_models" / "model")
    (tmp_path / "some_models" / "__init__.py").touch()
    assert find_model(str(folder), _DOWNLOADS) == str(folder)
    assert find_model("some-models", _DOWNLOADS) == str(shipped)
    assert find_model("base", _DOWNLOADS) == "base"


def test_without_a_setting_an_installed_model_comes_before_a_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.speech.ears._PACKAGE", "shipped_models")
    assert find_model("", _DOWNLOADS) == "tiny.en"
    monkeypatch.syspath_prepend(tmp_path)
    shipped = _model_in(tmp_path / "shipped_models" / "model")
    assert find_model("", _DOWNLOADS) == str(shipped)


@pytest.mark.parametrize("model", ["nothing", "json", "../x", "a.b", "-"])
def test_an_unknown_model_is_a_sentence(model: str) -> None:
    with pytest.raises(SpeechError, match=r"Unknown speech model .* nor one of tiny.en, base\."):
        find_model(model, _DOWNLOADS)


def test_a_folder_without_a_model_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SpeechError, match=r"it has no model\.bin"):
        find_model(str(tmp_path), _DOWNLOADS)


def test_without_the_extra_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    with pytest.raises(SpeechError, match=r"faster-whisper, which is not installed\. Run `pip install 'opus"):
        Ears()
