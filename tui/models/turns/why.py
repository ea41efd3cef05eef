"""Breaks down response times, and states the verdict on a session.

The agent's own reports divide its part of the time into stages; time after the last report is unexplained.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Self

import msgspec

from tui.models.turns.figures import Thresholds, response_of, shown_ms, slow_turns
from tui.models.turns.metrics import SessionMetrics
from tui.models.turns.turns import Turn
from tui.text import numbers

_NOTABLE = 0.1
"""Smallest share of the response time worth mentioning."""
_MOST_NAMED = 3
_LEAST_MS = 1.0


class Stage(StrEnum):
    """The stages between the user's last sound and the agent's first, in order.

    Each enum value is the name of the stage.
    """

    in_words: str
    """A description that follows a duration: "0.6 s until the agent noticed the end of speech"."""
    meaning: str
    """A phrase that defines the start and end of the stage."""

    def __new__(cls, name: str, in_words: str, meaning: str) -> Self:
        """Creates a member whose value is ``name``."""
        stage = str.__new__(cls, name)
        stage._value_ = name
        stage.in_words, stage.meaning = in_words, meaning
        return stage

    # fmt: off
    CAPTURE = ("capture", "in the user's microphone",
               "From the user's last sound until the device delivered the block that contains it.")
    FRAMING = ("framing", "until a message was full",
               ("From the device's block until the message that contains it was full, if messages are longer than "
                "blocks."))
    SENDING = ("sending", "until the audio was sent",
               "From the device's block, or the full message, until it was passed to the socket.")
    TRANSPORT = "network", "on the network", "The round trip of the latest websocket ping."
    NOTICING = ("end of speech", "until the agent noticed the end of speech",
                "From the last sound sent until the agent reported the end of speech.")
    STEPS = ("reported steps", "until the agent's last report",
             "From the end of the previous stage until the last step that the agent reported before its answer.")
    TOOLS = "tools", "while tools ran", "The agent's tool calls that ran before its answer."
    UNEXPLAINED = ("unexplained", "from the agent's last report to its answer",
                   "From the agent's last report until its first audio arrived.")
    AGENT = ("agent", "until the agent answered, without reporting why",
             "From the last sound sent until the agent's first audio arrived; it reported no steps in between.")
    BUFFER = ("buffer", "in the user's playback buffer",
              "From the first audio of the answer until its playback began.")
    DEVICE = ("speaker", "in the user's speaker",
              "From the start of playback until the first sample left the speaker.")
    UNSTATED = ("calibration", "in the user's devices (from calibration)",
                ("Delay of the microphone and speaker that their drivers do not report (see `opusagent-tui "
                 "calibrate`)."))
    SILENCE = ("leading silence", "of silence before the agent's first word",
               "The answer's audio began with silence.")
    REST = "not measured", "not measured", "Time that no measured stage accounts for."
    # fmt: on


class Share(msgspec.Struct, frozen=True):
    """The time that one stage took."""

    stage: Stage
    ms: float

    def __str__(self) -> str:
        return f"{numbers.seconds(self.ms)} {self.stage.in_words}"


def shares_of(turn: Turn) -> list[Share]:
    """Returns the stages of a response in order; empty if the turn has no response time.

    The times of the stages add up to the response time.
    """
    if turn.response_ms is None:
        return []
    parts = turn.parts
    shares = [
        (Stage.CAPTURE, parts.capture_ms),
        (Stage.FRAMING, parts.framing_ms),
        (Stage.SENDING, parts.sending_ms),
        (Stage.TRANSPORT, parts.transport_ms),
        *_of_agent(turn),
        (Stage.BUFFER, parts.prebuffer_ms),
        (Stage.DEVICE, parts.device_ms),
        (Stage.UNSTATED, -turn.bias_ms or None),
        (Stage.SILENCE, parts.leading_silence_ms),
    ]
    known = [Share(stage, ms) for stage, ms in shares if ms is not None]
    rest_ms = turn.response_ms - sum(share.ms for share in known)
    return [*known, *([Share(Stage.REST, rest_ms)] if abs(rest_ms) >= _LEAST_MS else [])]


def notable(shares: Sequence[Share]) -> list[Share]:
    """Returns the shares that take up most of the time: at most three, in their order."""
    whole_ms = sum(share.ms for share in shares)
    large = [share for share in shares if shown_ms(share.ms) > 0 and share.ms >= whole_ms * _NOTABLE]
    longest = sorted(large, key=lambda share: -share.ms)[:_MOST_NAMED]
    return [share for share in shares if share in longest]


def why_of(turn: Turn) -> str:
    """Returns a short breakdown of a turn's response time, in words; empty if no breakdown is known."""
    return ", ".join(map(str, notable(shares_of(turn))))


def verdict(metrics: SessionMetrics, judge: Thresholds) -> str:
    """Returns sentences that judge the response times and break down the slow ones."""
    turns = [turn for turn in metrics.turns if turn.number and turn.response_ms is not None]
    sentences = [_of_responses(turns, judge)] if turns else []
    if metrics.turns_not_answered:
        sentences.append(f"{_were(metrics.turns_not_answered, 'turn')} not answered.")
    doubted = sum(bool(turn.doubt) for turn in turns)
    if doubted:
        sentences.append(f"{doubted} response time{' is' if doubted == 1 else 's are'} uncertain.")
    if not sentences:
        return "No response time was measured." if any(turn.number for turn in metrics.turns) else ""
    return " ".join(sentences)


def _of_responses(turns: Sequence[Turn], judge: Thresholds) -> str:
    slow = slow_turns(turns, judge)
    if not slow:
        return f"{_of(len(turns), len(turns))} good ({_range(turns, judge)})."
    which = f"{_numbers(slow)}: " if len(slow) < len(turns) else ""
    head = f"{_of(len(slow), len(turns))} slow ({which}{_range(slow, judge)})"
    causes = notable(_mean(slow))
    if not causes:
        return f"{head}."
    seconds = {numbers.seconds(turn.response_ms) for turn in slow}
    return f"{head}: {'on average ' if len(seconds) > 1 else ''}{', '.join(map(str, causes))}."


def _mean(turns: Sequence[Turn]) -> list[Share]:
    """Returns the mean time of each stage over the turns."""
    total_ms = dict.fromkeys(Stage, 0.0)
    for turn in turns:
        for share in shares_of(turn):
            total_ms[share.stage] += share.ms
    return [Share(stage, ms / len(turns)) for stage, ms in total_ms.items() if ms]


def _of_agent(turn: Turn) -> Iterable[tuple[Stage, float | None]]:
    """Yields the stages of the agent's part, which end at the agent's reports."""
    agent_ms, unexplained_ms = turn.parts.agent_ms, turn.unexplained_ms
    if agent_ms is None or unexplained_ms is None:
        yield Stage.AGENT, agent_ms
        return
    # A report that was sent before the last sound arrived explains no later delay.
    unexplained_ms = min(unexplained_ms, agent_ms)
    # Reports are timed from the user's last sound, and the transport to the agent is a separate share.
    way_ms = turn.parts.to_agent_ms
    noticed = [turn.reported_ms.get(name) for name in ("speech stopped", "speech committed")]
    noticed_ms = min((ms for ms in noticed if ms is not None), default=None)
    explained_ms = max(agent_ms - unexplained_ms, 0.0)
    if noticed_ms is not None:
        noticing_ms = min(max(noticed_ms - way_ms, 0.0), explained_ms)
        explained_ms -= noticing_ms
        yield Stage.NOTICING, noticing_ms
    tools_ms = None if turn.tools_ms is None else min(turn.tools_ms, explained_ms)
    yield Stage.STEPS, explained_ms - (tools_ms or 0.0)
    yield Stage.TOOLS, tools_ms
    yield Stage.UNEXPLAINED, unexplained_ms


def _range(turns: Sequence[Turn], judge: Thresholds) -> str:
    times_ms = [response_of(turn, judge).ms or 0.0 for turn in turns]
    least, most = numbers.seconds(min(times_ms)), numbers.seconds(max(times_ms))
    return most if least == most else f"{least.removesuffix(' s')}–{most}"


def _numbers(turns: Sequence[Turn]) -> str:
    named = ", ".join(str(turn.number) for turn in turns[:_MOST_NAMED])
    more = ", …" if len(turns) > _MOST_NAMED else ""
    return f"{'turn' if len(turns) == 1 else 'turns'} {named}{more}"


def _of(some: int, count: int) -> str:
    return f"{some} of {count} turn{'' if count == 1 else 's'} {'was' if some == 1 else 'were'}"


def _were(count: int, noun: str) -> str:
    return f"{count} {noun} was" if count == 1 else f"{count} {noun}s were"
