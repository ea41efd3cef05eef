"""Tracks the agent's function calls: detects complete calls, and decides when to request the agent's answer.

This module reads OpenAI Realtime events and performs no I/O. Servers may announce a call more than once and
send null for missing values. After a barge-in, servers may announce a call as done even though its arguments
were cut off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from tui.handlers.tools.running import ARGUMENTS_LIMIT, CallRefused, parse_arguments

V = TypeVar("V")

FUNCTION_CALL = "function_call"
COMPLETED = "completed"
INCOMPLETE = "incomplete"
REMEMBERED_CALLS = 1000
"""Number of announced calls that are remembered, so that no call runs twice."""
OPEN_LIMIT = 100
"""Maximum number of calls with incomplete arguments and, separately, of unfinished responses; the oldest are
forgotten."""


class AnnouncedItem(msgspec.Struct, frozen=True):
    """The fields of a response's item that describe a function call."""

    type: str | None = None
    status: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None


class AnnouncedResponse(msgspec.Struct, frozen=True):
    """The fields of a response that describe its function calls."""

    id: str | None = None
    status: str | None = None
    output: list[AnnouncedItem] | None = None


class Announcement(msgspec.Struct, frozen=True):
    """The fields of an event that announces a function call, for all types of such events."""

    response_id: str | None = None
    call_id: str | None = None
    name: str | None = None
    delta: str | None = None
    arguments: str | None = None
    item: AnnouncedItem = AnnouncedItem()
    response: AnnouncedResponse = AnnouncedResponse()

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Announcement:
        """Returns the fields of a decoded message. Raises `msgspec.ValidationError`."""
        return msgspec.convert(data, cls)


@dataclass(frozen=True, slots=True)
class Call:
    """A complete function call."""

    call_id: str
    response_id: str
    name: str
    arguments: str


@dataclass(slots=True)
class _Gathered:
    response_id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)
    size: int = 0


class Announcements:
    """Collects the parts of calls; returns each call once, as soon as it is complete."""

    def __init__(self) -> None:
        self._gathered: dict[str, _Gathered] = {}
        self._handed_out: dict[str, None] = {}

    def item_added(self, message: Announcement) -> None:
        """Records the start of a call, with the function's name."""
        item = message.item
        if item.type == FUNCTION_CALL:
            self._gather(item.call_id, message.response_id, item.name)

    def delta(self, message: Announcement) -> None:
        """Adds a part of a call's arguments."""
        gathered = self._gather(message.call_id, message.response_id)
        delta = message.delta or ""
        if gathered.size <= ARGUMENTS_LIMIT:  # longer arguments are refused anyway
            gathered.arguments.append(delta)
            gathered.size += len(delta)

    def arguments_done(self, message: Announcement) -> Call | None:
        """Returns the call if its arguments are valid; None if they may have been cut off (see `item_done`)."""
        gathered = self._gather(message.call_id, message.response_id, message.name, message.arguments)
        if not gathered.name or not _is_object("".join(gathered.arguments)):
            return None
        return self._hand_out(message.call_id)

    def item_done(self, message: Announcement) -> Call | None:
        """Returns the call that a finished item completes; None if the item completes no call."""
        return self._whole(message.item, message.response_id)

    def response_done(self, message: Announcement) -> list[Call]:
        """Returns the calls that only the end of the response announced."""
        response = message.response
        items = response.output or [] if response.status in (COMPLETED, None) else []
        calls = [call for item in items if (call := self._whole(item, response.id))]
        self._gathered = {
            call_id: gathered
            for call_id, gathered in self._gathered.items()
            if gathered.response_id != (response.id or "")
        }
        return calls

    def _whole(self, item: AnnouncedItem, response_id: str | None) -> Call | None:
        if item.type != FUNCTION_CALL or item.status == INCOMPLETE:
            return None
        self._gather(item.call_id, response_id, item.name, item.arguments)
        return self._hand_out(item.call_id)

    def _gather(
        self,
        call_id: str | None,
        response_id: str | None,
        name: str | None = None,
        arguments: str | None = None,
    ) -> _Gathered:
        gathered = _remember(self._gathered, _required(call_id), _Gathered(response_id or ""), OPEN_LIMIT)
        gathered.name = name or gathered.name
        if arguments:
            gathered.arguments = [arguments]
        return gathered

    def _hand_out(self, call_id: str | None) -> Call | None:
        call_id = _required(call_id)
        gathered = self._gathered.pop(call_id)
        if call_id in self._handed_out:
            return None
        _remember(self._handed_out, call_id, None, REMEMBERED_CALLS)
        return Call(call_id, gathered.response_id, gathered.name, "".join(gathered.arguments))


@dataclass(slots=True)
class _Round:
    """The state of the function calls in one response."""

    running: int = 0
    status: str = ""
    """The final status of the response; empty while the response is in progress."""


class Rounds:
    """Decides when to request the agent's answer to function calls.

    The agent is asked once for all calls in a response: when the response has ended and all outputs have been
    sent. After a response that the user cancelled by speaking, no request is needed, because the agent will
    answer the user.
    """

    def __init__(self) -> None:
        self._rounds: dict[str, _Round] = {}
        self._stopped = False

    def stop(self) -> None:
        """Prevents further requests, because the call is about to end."""
        self._stopped = True

    def call_begun(self, response_id: str) -> None:
        """Records that a function call of a response is running."""
        _remember(self._rounds, response_id, _Round(), OPEN_LIMIT).running += 1

    def call_answered(self, response_id: str) -> bool:
        """Records that a call's output was sent; returns whether to request the agent's answer now."""
        if response_id not in self._rounds:
            return False
        self._rounds[response_id].running -= 1
        return self._is_due(response_id)

    def response_ended(self, message: Announcement) -> bool:
        """Records the end of a response; returns whether to request the agent's answer now."""
        response_id = message.response.id or ""
        if response_id not in self._rounds:
            return False
        self._rounds[response_id].status = message.response.status or COMPLETED
        return self._is_due(response_id)

    def _is_due(self, response_id: str) -> bool:
        calls = self._rounds[response_id]
        if calls.running or not calls.status:
            return False
        del self._rounds[response_id]
        return calls.status in (COMPLETED, INCOMPLETE) and not self._stopped


def _required(call_id: str | None) -> str:
    if not call_id:
        raise ValueError("a function call without a call_id cannot be answered")
    return call_id


def _is_object(arguments: str) -> bool:
    try:
        return bool(arguments) and isinstance(parse_arguments(arguments), dict)
    except CallRefused:
        return False


def _remember(memory: dict[str, V], key: str, value: V, limit: int) -> V:
    """Returns the value for ``key``, after adding ``value`` if missing. Removes the oldest key beyond ``limit``."""
    found = memory.setdefault(key, value)
    if len(memory) > limit:
        del memory[next(iter(memory))]
    return found
