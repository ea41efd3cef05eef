"""The rules of ``--answers``, which map the user's words to an answer or a function call."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec

from tui.agent.settings import AgentError
from tui.audio.wav import read_wav
from tui.text.strict import SettingsError, to_struct

VOICE_RATE = 16_000
"""Sample rate of the spoken answers, in Hz."""
_MAX_BYTES = 1_000_000
_TABLE = "answer"


class AnswerRule(msgspec.Struct, frozen=True):
    """The words that trigger a rule, and its answer. The fields have the names of the keys in the TOML file."""

    pattern: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    """Regular expression to search for in the user's words, ignoring case; None matches all words, even unknown
    ones."""
    text: str = ""
    tool: str = ""
    """Name of the function to call first, if the caller offers it."""
    args: dict[str, Any] = {}
    delay_s: Annotated[float, msgspec.Meta(ge=0, le=60)] = 0.0
    hang_up: bool = False
    """Whether the agent hangs up after its answer."""

    def __post_init__(self) -> None:
        if not (self.text.strip() or self.tool):
            raise ValueError('needs "text" or "tool"')
        if self.args and not self.tool:
            raise ValueError('has "args" without "tool"')
        if self.hang_up and not self.text.strip():
            raise ValueError('needs "text", the words to say before the agent hangs up')
        try:
            re.compile(self.pattern or "")
        except re.error as error:
            raise ValueError(f"has a pattern that is not a valid regular expression ({error})") from error

    def fits(self, words: str) -> bool:
        """Returns whether the user's words trigger the rule."""
        return self.pattern is None or bool(words and re.search(self.pattern, words, re.IGNORECASE))


class AnswerRules:
    """The rules and the audio of their answers. The first matching rule wins. All calls share one instance."""

    def __init__(self, rules: Sequence[AnswerRule] = (), spoken: Mapping[str, bytes] | None = None) -> None:
        self._rules = rules
        self._spoken = spoken or {}

    def find(self, words: str) -> AnswerRule | None:
        """Returns the first rule that matches the user's words (empty if unknown); None if no rule matches."""
        return next((rule for rule in self._rules if rule.fits(words)), None)

    def pcm(self, rule: AnswerRule) -> bytes:
        """Returns the spoken answer of a rule as 16-bit mono PCM at `VOICE_RATE`."""
        return self._spoken[rule.text]


def read_rules(path: Path) -> list[AnswerRule]:
    """Reads the rules from a TOML file. Raises `AgentError`, whose message names the file and the line."""
    try:
        content = path.read_bytes()
        if len(content) > _MAX_BYTES:
            raise AgentError(f"{path} is larger than {_MAX_BYTES:,} bytes.")
        text = content.decode()
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise AgentError(f"{path} is not valid TOML: {error}.") from error
    except UnicodeDecodeError as error:
        raise AgentError(f"{path} is not UTF-8 text.") from error
    except OSError as error:
        raise AgentError(f"{path} cannot be read: {error.strerror or error}.") from error
    tables = table.get(_TABLE)
    if not isinstance(tables, list) or len(table) > 1:
        raise AgentError(f"{path}: the file can contain only rules, each written as [[{_TABLE}]].")
    headings = [
        number
        for number, line in enumerate(text.splitlines(), 1)
        if re.match(rf"\s*\[\[\s*{_TABLE}\s*\]\]", line)
    ]
    rules = []
    for index, each in enumerate(tables):
        where = f"{path}, line {headings[index]}" if index < len(headings) else str(path)
        try:
            rules.append(to_struct(AnswerRule, each, "The rule"))
        except SettingsError as error:
            raise AgentError(f"{where}: {error}") from error
    return rules


def spoken_rules(rules: Sequence[AnswerRule], speak: Callable[[str], Path]) -> AnswerRules:
    """Synthesizes the answers of all rules with ``speak``, which returns the path of a WAV file. Slow.

    Raises `AudioFileError` and the errors of ``speak``.
    """
    spoken: dict[str, bytes] = {}
    for rule in rules:
        if rule.text.strip() and rule.text not in spoken:
            spoken[rule.text] = read_wav(speak(rule.text), VOICE_RATE)
    return AnswerRules(rules, spoken)
