from __future__ import annotations

from pathlib import Path

import pytest

from tui.assets import caller_lines
from tui.scenario.lines import lines_of
from tui.scenario.model import Hear, Say, Scenario
from tui.scenario.reading import ScenarioError
from tui.scenario.verdict import StepVerdict
from tui.scenario.words import AgentWords, Excerpt
from tui.speech.errors import SpeechError

PASSED, FAILED, NOT_MEASURED = StepVerdict.PASSED, StepVerdict.FAILED, StepVerdict.NOT_MEASURED
MS = 1_000_000


def blocks(words: AgentWords, *, until_ms: int, rate: int = 8_000) -> None:
    for at_ms in range(0, until_ms, 20):
        words.agent_heard(at_ms * MS, bytes([at_ms // 20]) * (rate // 25), rate)


def test_an_excerpt_has_what_was_heard_and_not_what_was_cut() -> None:
    words = AgentWords(None)
    blocks(words, until_ms=100)
    words.agent_cut(60 * MS)
    said = words.between(20 * MS, 1_000 * MS)
    assert said == Excerpt(b"\x01" * 320 + b"\x02" * 320, 8_000)
    assert words.between(60 * MS, 1_000 * MS) == Excerpt(b"", 0)


@pytest.mark.parametrize(
    ("heard", "verdict", "reason"),
    [
        ("Four, seven, one.", PASSED, ""),
        (
            "four seven two",
            FAILED,
            '"four seven two" was heard: its word error rate is 0.33; the limit is 0.2.',
        ),
        (" ", FAILED, "No words were heard."),
    ],
)
async def test_words_pass_up_to_their_word_error_rate(heard: str, verdict: StepVerdict, reason: str) -> None:
    words = AgentWords(lambda pcm, rate: heard)
    assert await words.judge(Hear(hear="471"), Excerpt(b"\1\1", 8_000)) == (verdict, reason)


async def test_without_audio_nobody_is_asked() -> None:
    words = AgentWords(lambda pcm, rate: pytest.fail("it was asked"))
    assert await words.judge(Hear(hear="yes"), Excerpt(b"", 0)) == (FAILED, "No words were heard.")


async def test_words_that_cannot_be_recognized_are_not_measured() -> None:
    def fails(pcm: bytes, rate: int) -> str:
        raise SpeechError("Install it.")

    said = Excerpt(b"\1\1", 8_000)
    assert await AgentWords(fails).judge(Hear(hear="yes"), said) == (NOT_MEASURED, "Install it.")
    assert await AgentWords(None).judge(Hear(hear="yes"), said) == (
        NOT_MEASURED,
        "No speech recognizer is available.",
    )


def saying(text: str) -> Scenario:
    return Scenario(name="says", steps=[Say(say=text, file="a.call.toml", line=4)], path=Path("a.call.toml"))


def test_a_sentence_is_spoken_by_the_voice() -> None:
    recorded = caller_lines()[0]
    lines = lines_of(saying("Is it open on Sunday?"), lambda text: recorded.path)
    assert lines["Is it open on Sunday?"].line.path == str(recorded.path)
    assert lines["Is it open on Sunday?"].end_ns == pytest.approx(2.0e9, abs=1e8)


def test_a_recorded_line_needs_no_voice() -> None:
    recorded = caller_lines()[0]
    lines = lines_of(saying(recorded.key), lambda text: pytest.fail("it was spoken"))
    assert lines[recorded.key].line.name == recorded.name


def test_a_missing_voice_is_a_sentence_with_file_and_line() -> None:
    def missing(text: str) -> Path:
        raise SpeechError("No voice is installed. Run `pip install x`.")

    with pytest.raises(ScenarioError) as raised:
        lines_of(saying("Is it open?"), missing)
    assert str(raised.value) == "a.call.toml, line 4: No voice is installed. Run `pip install x`."
    with pytest.raises(ScenarioError, match=r'"Is it open\?" is neither a recorded line') as raised:
        lines_of(saying("Is it open?"))
    assert "pip" not in str(raised.value)
