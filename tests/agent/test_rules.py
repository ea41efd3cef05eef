"""Tests the table of rules: valid tables, answers, and the steps after transcription."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from websockets.asyncio.client import connect

from tests.agent.calls import line_named, recogniser, spoken
from tui.agent.conversation import Conversation
from tui.agent.hearing import Hearing, TurnEnded
from tui.agent.rules import AnswerRule, AnswerRules, read_rules, spoken_rules
from tui.agent.server import AgentServer
from tui.agent.settings import EVERYTHING_AT_ONCE, AgentError, AgentSettings
from tui.agent.transcripts import AskedTurn, Transcripts
from tui.assets import caller_lines
from tui.audio.wav import read_wav
from tui.cli.main import cli
from tui.protocols.base import Outgoing
from tui.protocols.registry import protocol_named
from tui.speech.errors import SpeechError

TABLE = """
[[answer]]
pattern = "open|hours"
text = "From nine to six."
delay_s = 1.5

[[answer]]
pattern = "table"
tool = "book_table"
args = {people = 2}
text = "Booked."

[[answer]]
pattern = "^bye"
text = "See you."
hang_up = true
"""
VOICE = caller_lines()[0].path
INITIATE = {
    "type": "session.initiate",
    "conversationId": "c",
    "expectAudioMessages": True,
    "supportedMediaFormats": ["raw/lpcm16"],
}


def written(folder: Path, text: str) -> Path:
    path = folder / "answers.toml"
    path.write_text(text)
    return path


def rules_of(folder: Path, text: str = TABLE) -> AnswerRules:
    return spoken_rules(read_rules(written(folder, text)), lambda text: VOICE)


def test_the_first_rule_that_fits_the_words_counts(tmp_path: Path) -> None:
    rules = rules_of(tmp_path, f'{TABLE}[[answer]]\ntext = "Sorry?"\n')
    texts = [
        (rule.text if (rule := rules.find(words)) else None)
        for words in ("Are you OPEN?", "A table.", "Bye", "Good bye", "")
    ]
    assert texts == ["From nine to six.", "Booked.", "See you.", "Sorry?", "Sorry?"]
    assert rules.pcm(AnswerRule(text="Booked.")) == read_wav(VOICE, 16_000)
    assert rules_of(tmp_path).find("something else") is None
    assert rules_of(tmp_path).find("") is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("answer = 1", "the file can contain only rules, each written as [[answer]]."),
        ("[[answers]]\ntext = 'a'", "the file can contain only rules, each written as [[answer]]."),
        ("[[answer]]\ntext =", "is not valid TOML"),
        (
            "[[answer]]\ntext = 'a'\n[[answer]]\ntext = 'b'\npatern = 'c'",
            'line 3: The rule has no setting "patern"; did you mean "pattern"?',
        ),
        ("[[answer]]\npattern = 'a'", 'line 1: The rule needs "text" or "tool".'),
        (
            "[[answer]]\npattern = '('\ntext = 'a'",
            "line 1: The rule has a pattern that is not a valid regular exp",
        ),
        ("[[answer]]\nargs = {a = 1}\ntext = 'a'", 'line 1: The rule has "args" without "tool".'),
        ("[[answer]]\ntool = 'a'\nhang_up = true", 'line 1: The rule needs "text", the words to say before'),
        ("[[answer]]\ntext = 'a'\ndelay_s = 61", "line 1: The rule delay_s must be a number from 0 to 60"),
    ],
)
def test_a_wrong_table_is_a_sentence_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(AgentError) as raised:
        read_rules(path)
    assert str(raised.value).startswith(str(path))
    assert says in str(raised.value)
    with pytest.raises(AgentError, match="cannot be read"):
        read_rules(tmp_path / "nowhere.toml")


class ByHand(Transcripts):
    """Transcripts whose arrival the test controls."""

    def __init__(self) -> None:
        super().__init__(lambda pcm, rate: "", lambda rule, text: None)
        self.asked: list[AskedTurn] = []

    def ask(self, turn: TurnEnded, *, committed: bool = False) -> None:
        self.newest = AskedTurn(turn, committed)
        self.asked.append(self.newest)

    def arrive(self, asked: AskedTurn, words: str) -> None:
        asked.turn = replace(asked.turn, words=words)
        self._done.append(asked)


class Line:
    """An AudioCodes call whose agent has rules. Transcripts arrive when `said` is called."""

    def __init__(self, rules: AnswerRules, *, hears: bool = True) -> None:
        self.did: list[str] = []
        self.transcripts = ByHand()
        self.asked = self.transcripts.asked
        settings = AgentSettings()
        agent = protocol_named("audiocodes").agent(lambda: "id", lambda: "2026-01-01T00:00:00.000Z")
        self.now_ns = 0
        self.conversation = Conversation(
            agent,
            settings,
            Hearing(recogniser(), settings, self.transcripts if hears else None),
            rules=rules,
        )
        for message in (INITIATE, {"type": "userStream.start"}):
            self.note(self.conversation.receive(json.dumps(message), 0))
        self.wait(20.0)

    def note(self, messages: list[Outgoing]) -> None:
        self.did += [
            f"{message.kind} {message.summary}"
            for message in messages
            if message.kind not in ("playStream.chunk", "playStream.stop")
        ]

    def wait(self, time_s: float) -> None:
        until_ns = self.now_ns + round(time_s * 1e9)
        while self.now_ns < until_ns:
            self.now_ns += 20_000_000
            self.note(self.conversation.due(self.now_ns))

    def speak(self, pcm: bytes) -> None:
        """Sends speech followed by silence."""
        audio = pcm + bytes(32_000)
        chunk = {"type": "userStream.chunk", "audioChunk": base64.b64encode(audio).decode()}
        self.note(self.conversation.receive(json.dumps(chunk), self.now_ns))

    def arrives(self, words: str) -> None:
        self.transcripts.arrive(self.asked[-1], words)
        assert self.conversation.next_due_ns == 0
        self.note(self.conversation.due(self.now_ns))


def unknown_speech() -> bytes:
    """Returns speech that is not a recorded line: one of the lines played backwards."""
    import numpy as np

    return np.frombuffer(spoken("hours"), "<i2")[::-1].tobytes()


def test_unknown_speech_is_answered_once_its_words_are_known(tmp_path: Path) -> None:
    line = Line(rules_of(tmp_path))
    line.did.clear()
    line.speak(unknown_speech())
    line.wait(3)
    assert len(line.asked) == 1
    assert not [each for each in line.did if "playStream" in each or "recognition" in each]
    line.arrives("When are you open?")
    line.wait(1)
    assert [each for each in line.did if "When are you open?" in each]
    assert not [each for each in line.did if "playStream.start" in each]  # the rule has a delay
    line.wait(1)
    assert [each for each in line.did if "playStream.start" in each]


def test_an_answer_that_the_user_talked_over_is_not_given(tmp_path: Path) -> None:
    line = Line(rules_of(tmp_path))
    line.speak(unknown_speech())
    line.speak(unknown_speech())
    line.did.clear()
    assert len(line.asked) == 2
    line.transcripts.arrive(line.asked[0], "When are you open?")
    line.wait(3)
    assert [each for each in line.did if "When are you open?" in each]
    assert not [each for each in line.did if "playStream.start" in each]
    line.arrives("Bye.")
    line.wait(5)
    assert [each for each in line.did if "hangup" in each]


@pytest.mark.parametrize("hears", [True, False])
def test_recorded_lines_are_known_at_once_and_rules_apply_to_their_words(hears: bool, tmp_path: Path) -> None:
    words = line_named("hours").text
    line = Line(rules_of(tmp_path, '[[answer]]\npattern = "hours|open"\ntext = "All day."\n'), hears=hears)
    line.did.clear()
    line.speak(spoken("hours"))
    line.wait(1)
    assert line.asked == []
    assert [each for each in line.did if words in each]
    assert [each for each in line.did if "playStream.start" in each]


def test_without_a_recognizer_unknown_speech_is_answered_at_once(tmp_path: Path) -> None:
    line = Line(rules_of(tmp_path), hears=False)
    line.did.clear()
    line.speak(unknown_speech())
    line.wait(1)
    assert [each for each in line.did if "playStream.start" in each]


async def test_a_call_over_a_socket_is_answered_when_the_recognizer_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.agent.server.missing_recognizer", lambda: "")
    monkeypatch.setattr("tui.agent.server.SpeechProcess.speak", lambda speech, text, voice: VOICE)
    monkeypatch.setattr(
        "tui.agent.server.SpeechProcess.hear",
        lambda speech, pcm, rate: "A table, please." if any(pcm) else "",
    )
    settings = AgentSettings(hear=True, answers=str(written(tmp_path, TABLE)), pace=EVERYTHING_AT_ONCE)
    audio = base64.b64encode(unknown_speech() + bytes(32_000)).decode()
    async with (
        asyncio.timeout(30),
        AgentServer(settings) as server,
        connect(f"{server.url}/audiocodes") as socket,
    ):
        for message in (
            INITIATE,
            {"type": "userStream.start"},
            {"type": "userStream.chunk", "audioChunk": audio},
        ):
            await socket.send(json.dumps(message))
        # Nothing more is sent: the agent wakes up by itself.
        received: list[dict[str, object]] = []
        while [each["type"] for each in received].count("playStream.start") < 2:
            received.append(json.loads(await socket.recv()))
    assert "A table, please." in json.dumps(received)


def test_an_agent_that_cannot_hear_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.agent.server.missing_recognizer", lambda: "Install it.")
    with pytest.raises(AgentError, match=r"^Install it\.$"):
        AgentServer(AgentSettings(hear=True))
    AgentServer(AgentSettings())


def test_an_agent_whose_answers_cannot_be_spoken_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(speech: object, text: str, voice: str) -> Path:
        raise SpeechError("No voice is installed.")

    monkeypatch.setattr("tui.agent.server.SpeechProcess.speak", missing)
    with pytest.raises(AgentError, match=r"^No voice is installed\.$"):
        AgentServer(AgentSettings(answers=str(written(tmp_path, TABLE))))


@pytest.mark.parametrize("command", ["agent", "demo"])
def test_a_wrong_table_is_refused_before_anything_starts(command: str, tmp_path: Path) -> None:
    path = written(tmp_path, "[[answer]]\npattern = 'a'\n")
    result = CliRunner().invoke(cli, [command, "--answers", str(path)])
    assert result.exit_code == 2
    assert 'answers.toml, line 1: The rule needs "text" or "tool".' in result.output
