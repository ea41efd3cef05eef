"""Keeps the marks that the agent has set, and builds the answers to send when they are reached."""

from __future__ import annotations

from collections import deque

from tui.protocols.audiocodes import wire
from tui.protocols.base import Outgoing
from tui.protocols.json_frames import Message, outgoing

_MAX_MARKS = 1_000
_MAX_MARK_CHARS = 4_096


class WaitingMarks:
    """Keeps the newest marks, up to a limit. The answer to a mark repeats all members of the agent's message."""

    def __init__(self, conversation_id: str) -> None:
        self._conversation_id = conversation_id
        self._waiting: deque[tuple[str, Outgoing]] = deque(maxlen=_MAX_MARKS)
        self._seen = 0

    def set(self, message: Message) -> tuple[str, bool]:
        """Adds a mark; returns its name, and whether an answer will be sent."""
        self._seen += 1
        name = wire.mark_name(message) or f"mark {self._seen}"
        body = {**message.body, "type": "playStream.mark.reached", "conversationId": self._conversation_id}
        answer = outgoing(body, f"mark reached: {name}")
        if len(answer.frame) > _MAX_MARK_CHARS:
            message.advise(
                "mark-too-long", f"Marks longer than {_MAX_MARK_CHARS} characters are not answered."
            )
            return name, False
        self._waiting.append((name, answer))
        return name, True

    def take_answer(self, name: str) -> Outgoing | None:
        """Removes a mark that was reached and returns its answer; None if the mark is unknown."""
        reached = next((mark for mark in self._waiting if mark[0] == name), None)
        if reached is None:
            return None
        self._waiting.remove(reached)
        return reached[1]
