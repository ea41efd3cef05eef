"""Chooses the agent's answers: a prompt, the user's own words, or a call of one of the caller's functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tui.agent.hearing import TurnEnded
from tui.agent.replies import Answer, backchannel_answer, prompt_answer
from tui.agent.settings import AgentSettings, Fault, ReplyMode
from tui.agent.tools import arguments_for, fitting_tool, wrong_value
from tui.assets import caller_lines, prompts
from tui.protocols.base import AgentEnd, CallsTools
from tui.protocols.json_frames import cut

_FALLBACK = "fallback"
_AFTER_TOOL = "confirmed"
"""The prompt after a tool call for words that have no prompt themselves."""
_UNSPOKEN_RATE = 16_000
_MAX_OUTPUT_CHARS = 500


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A function to call instead of answering."""

    name: str
    arguments: Mapping[str, Any]
    prompt: str
    """The prompt to speak when its output arrives."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to answer, before it is decided whether a function is called instead."""

    answer: Answer
    words: str = ""
    """The user's words, which a function may fit."""
    prompt_after_tool: str = _AFTER_TOOL


class Answers:
    """Chooses the answers in one call."""

    def __init__(self, agent: AgentEnd, settings: AgentSettings) -> None:
        self._agent = agent
        self._echoes = settings.reply is ReplyMode.ECHO
        self._fault = settings.fault
        self._called: ToolCall | None = None
        """The last function that was called."""
        self.kept: Plan | None = None
        """The answer that waits until the caller asks for it."""
        self.turns = 0
        """How many turns the user has taken."""

    def prompt(self, *names: str) -> Answer:
        """Returns an answer made of the prompts with these names."""
        play_format = self._agent.play_format
        return prompt_answer(play_format.rate if play_format else _UNSPOKEN_RATE, *names)

    def greeting(self, words: str = "") -> Answer:
        """Returns the greeting; ``words`` of the caller's choice are sent as its text, but not spoken."""
        answer = self.prompt("greeting")
        return replace(answer, text=words) if words else answer

    def backchannel(self) -> Answer:
        """Returns the word with which the agent shows that it listens."""
        play_format = self._agent.play_format
        return backchannel_answer(play_format.rate if play_format else _UNSPOKEN_RATE)

    def to_turn(self, turn: TurnEnded) -> Plan:
        """Returns the answer to a spoken turn."""
        self.turns += 1
        line = turn.match.line if turn.match else None
        answer = line.answer if line else _FALLBACK
        if self._echoes and answer != "goodbye":
            return Plan(Answer(turn.text, turn.pcm, turn.rate))
        return self._to_words(line.text if line else "", answer)

    def to_text(self, text: str) -> Plan:
        """Returns the answer to a typed turn."""
        self.turns += 1
        said = text.strip().casefold()
        answers = (line.answer for line in caller_lines() if line.text.casefold() == said)
        return self._to_words(text, next(answers, _FALLBACK))

    def to_keys(self, digits: str) -> Answer | None:
        """Returns the answer to keypad digits; None if there is none for any of them."""
        names = [f"dtmf-{digit}" for digit in digits.upper() if f"dtmf-{digit}" in prompts()]
        if "dtmf-#" in names:
            names = [*names[: names.index("dtmf-#") + 1], "goodbye"]
        return self.prompt(*names) if names else None

    def to_tool_output(self, output: str) -> Plan:
        """Returns the answer to a function's output: a prompt, with the output added to its text but not spoken."""
        call = self._called
        answer = self.prompt(call.prompt if call else _AFTER_TOOL)
        return Plan(replace(answer, text=f"{answer.text} {cut(output, _MAX_OUTPUT_CHARS)}"))

    def call_instead(self, plan: Plan) -> ToolCall | None:
        """Returns the call of a function that fits the user's words, or that the caller requires."""
        if not isinstance(self._agent, CallsTools):
            return None
        tool = fitting_tool(self._agent.tools, plan.words, required=self._agent.must_call_tool)
        if tool is None:
            return None
        arguments = arguments_for(tool)
        if self._fault is Fault.WRONG_ARGUMENT:
            arguments = {name: wrong_value(value) for name, value in arguments.items()}
        self._called = ToolCall(tool["name"], arguments, plan.prompt_after_tool)
        return self._called

    def _to_words(self, words: str, answer: str) -> Plan:
        return Plan(self.prompt(answer), words, _AFTER_TOOL if answer == _FALLBACK else answer)
