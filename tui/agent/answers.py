"""Chooses the agent's answers: a prompt, an echo of the user, or a call to one of the caller's functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tui.agent.hearing import TurnEnded
from tui.agent.replies import Answer, backchannel_answer, prompt_answer
from tui.agent.rules import VOICE_RATE, AnswerRule, AnswerRules
from tui.agent.settings import AgentSettings, Fault, ReplyMode
from tui.agent.tools import arguments_for, fitting_tool, wrong_value
from tui.assets import caller_lines, prompts
from tui.protocols.base import AgentEnd, CallsTools
from tui.protocols.json_frames import cut
from tui.speech.word_errors import comparable_words

_FALLBACK = "fallback"
_AFTER_TOOL = "confirmed"
"""The prompt to play after a tool call if no other prompt matches the user's words."""
_UNSPOKEN_RATE = 16_000
_MAX_OUTPUT_CHARS = 500


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call to one of the caller's functions, which the agent makes before it answers."""

    name: str
    arguments: Mapping[str, Any]
    answer: Answer
    """The answer to give when the function's output arrives."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The answer chosen for a turn, before `Answers.call_instead` decides whether to call a function first."""

    answer: Answer
    words: str = ""
    """The user's words, which are compared with the caller's functions."""
    prompt_after_tool: str = _AFTER_TOOL
    rule: AnswerRule | None = None
    """The answer rule that produced the answer; None if no rule did."""


class Answers:
    """Chooses the agent's answers during one call."""

    def __init__(self, agent: AgentEnd, settings: AgentSettings, rules: AnswerRules | None = None) -> None:
        self._agent = agent
        self._rules = rules or AnswerRules()
        self._echoes = settings.reply is ReplyMode.ECHO
        self._fault = settings.fault
        self._called: ToolCall | None = None
        """The most recent function call."""
        self.kept: Plan | None = None
        """The answer to give when the caller requests one; None if no turn is pending."""
        self.turns = 0
        """Number of the user's turns so far."""

    def prompt(self, *names: str) -> Answer:
        """Returns an answer that plays the named prompts."""
        return prompt_answer(self._rate, *names)

    def greeting(self, words: str = "") -> Answer:
        """Returns the recorded greeting. ``words`` replace the text of the greeting, but not the audio."""
        answer = self.prompt("greeting")
        return replace(answer, text=words) if words else answer

    def backchannel(self) -> Answer:
        """Returns a short "Yes." that shows that the agent is listening."""
        return backchannel_answer(self._rate)

    @property
    def _rate(self) -> int:
        play_format = self._agent.play_format
        return play_format.rate if play_format else _UNSPOKEN_RATE

    def to_turn(self, turn: TurnEnded) -> Plan:
        """Counts a spoken turn and plans its answer."""
        self.turns += 1
        line = turn.match.line if turn.match else None
        answer = line.answer if line else _FALLBACK
        if self._echoes and answer != "goodbye":
            return Plan(Answer(turn.text, turn.pcm, turn.rate))
        if line is None and turn.words:
            answer = _like(turn.words)
        return self._to_words(turn.known_words, answer)

    def to_text(self, text: str) -> Plan:
        """Counts a typed turn and plans its answer."""
        self.turns += 1
        return self._to_words(text, _like(text))

    def to_keys(self, digits: str) -> Answer | None:
        """Returns the prompts for the keypad digits; None if no digit has a prompt."""
        names = [f"dtmf-{digit}" for digit in digits.upper() if f"dtmf-{digit}" in prompts()]
        if "dtmf-#" in names:
            names = [*names[: names.index("dtmf-#") + 1], "goodbye"]
        return self.prompt(*names) if names else None

    def to_tool_output(self, output: str) -> Plan:
        """Plans the answer that follows a function call; adds the function's ``output`` to its text."""
        answer = self._called.answer if self._called else self.prompt(_AFTER_TOOL)
        return Plan(replace(answer, text=f"{answer.text} {cut(output, _MAX_OUTPUT_CHARS)}"))

    def call_instead(self, plan: Plan) -> ToolCall | None:
        """Returns the function call that the user's words trigger or the caller requires; None to answer directly."""
        if not isinstance(self._agent, CallsTools):
            return None
        rule = plan.rule
        if rule is not None and not self._agent.must_call_tool:
            tool = next(
                (each for each in self._agent.tools if rule.tool and each.get("name") == rule.tool), None
            )
        else:
            tool = fitting_tool(self._agent.tools, plan.words, required=self._agent.must_call_tool)
        if tool is None:
            return None
        arguments = {**arguments_for(tool), **(rule.args if rule else {})}
        if self._fault is Fault.WRONG_ARGUMENT:
            arguments = {name: wrong_value(value) for name, value in arguments.items()}
        answer = plan.answer if rule and rule.text.strip() else self.prompt(plan.prompt_after_tool)
        self._called = ToolCall(tool["name"], arguments, answer)
        return self._called

    def _to_words(self, words: str, answer: str) -> Plan:
        if rule := self._rules.find(words):
            return self._by_rule(rule, words)
        return Plan(self.prompt(answer), words, _AFTER_TOOL if answer == _FALLBACK else answer)

    def _by_rule(self, rule: AnswerRule, words: str) -> Plan:
        if not rule.text.strip():  # the rule only calls a function, and this caller may not offer it
            return Plan(self.prompt(_AFTER_TOOL), words, rule=rule)
        answer = Answer(
            rule.text,
            self._rules.pcm(rule),
            VOICE_RATE,
            then_hang_up=rule.hang_up,
            delay_ms=rule.delay_s * 1000,
        )
        return Plan(answer, words, rule=rule)


def _like(text: str) -> str:
    """Returns the name of the prompt for a recorded line with the words of ``text``, or of the fallback prompt."""
    said = comparable_words(text)
    return next((line.answer for line in caller_lines() if comparable_words(line.text) == said), _FALLBACK)
