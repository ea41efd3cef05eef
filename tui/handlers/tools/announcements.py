"""What the agent announces of function calls: which call is whole, and when an answer may be asked for.

Bookkeeping of OpenAI Realtime events, without input or output of its own. Servers announce a call more than once,
write null for what they leave out, and after a barge-in announce as done what was cut off in the middle.
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
ACTIVE_RESPONSE = "conversation_already_has_active_response"
REMEMBERED_CALLS = 1000
"""Calls that are known to have been announced, so that none runs twice."""
OPEN_LIMIT = 100
"""Calls whose arguments are arriving, and responses that have not ended; beyond, the oldest is forgotten."""


class Item(msgspec.Struct, frozen=True):
    """An item of a response, as far as it matters here."""

    type: str | None = None
    status: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None


class Response(msgspec.Struct, frozen=True):
    """A response, as far as it matters here."""

    id: str | None = None
    status: str | None = None
    output: list[Item] | None = None


class Error(msgspec.Struct, frozen=True):
    """Why something that was asked for was refused."""

    code: str | None = None
    event_id: str | None = None


class Message(msgspec.Struct, frozen=True):
    """Any of the events that function calls are made of."""

    response_id: str | None = None
    call_id: str | None = None
    name: str | None = None
    delta: str | None = None
    arguments: str | None = None
    item: Item = Item()
    response: Response = Response()
    error: Error = Error()

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Message:
        """Take what is needed of a decoded message. Raises `msgspec.ValidationError`."""
        return msgspec.convert(data, cls)


@dataclass(frozen=True, slots=True)
class Call:
    """A function call that is whole."""

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
    """Gathers calls, and hands out each one once, at the first announcement that shows it to be whole."""

    def __init__(self) -> None:
        self._gathered: dict[str, _Gathered] = {}
        self._handed_out: dict[str, None] = {}

    def item_added(self, message: Message) -> None:
        """A call begins; its name is known."""
        item = message.item
        if item.type == FUNCTION_CALL:
            self._gather(item.call_id, message.response_id, item.name)

    def delta(self, message: Message) -> None:
        """More of the arguments."""
        gathered = self._gather(message.call_id, message.response_id)
        delta = message.delta or ""
        if gathered.size <= ARGUMENTS_LIMIT:  # what is over the limit by one delta will be refused
            gathered.arguments.append(delta)
            gathered.size += len(delta)

    def arguments_done(self, message: Message) -> Call | None:
        """All arguments that will come. They may have been cut off: then the item tells what to do."""
        gathered = self._gather(message.call_id, message.response_id, message.name, message.arguments)
        if not gathered.name or not _is_object("".join(gathered.arguments)):
            return None
        return self._hand_out(message.call_id)

    def item_done(self, message: Message) -> Call | None:
        """An item as it will stay."""
        return self._whole(message.item, message.response_id)

    def response_done(self, message: Message) -> list[Call]:
        """The end of a response: the calls that nothing else announced."""
        response = message.response
        items = response.output or [] if response.status in (COMPLETED, None) else []
        calls = [call for item in items if (call := self._whole(item, response.id))]
        self._gathered = {
            call_id: gathered
            for call_id, gathered in self._gathered.items()
            if gathered.response_id != (response.id or "")
        }
        return calls

    def _whole(self, item: Item, response_id: str | None) -> Call | None:
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
    """The calls of one response."""

    running: int = 0
    ended: str = ""
    """The status it ended with."""


class Responses:
    """Knows when an answer has to be asked for.

    That is once for all calls of a response, when the last is answered and the response itself has ended; and
    not while another response runs, which the user's next words may have begun meanwhile. A response that the
    user cancelled by speaking wants no answer: those words will get one.
    """

    def __init__(self) -> None:
        self._rounds: dict[str, _Round] = {}
        self._running: dict[str, None] = {}
        self._due = False
        self._requested = 0
        self._unconfirmed = False

    def created(self, message: Message) -> None:
        """A response runs."""
        self._unconfirmed = False
        _remember(self._running, message.response.id or "", None, OPEN_LIMIT)

    def ended(self, message: Message) -> None:
        """A response has ended, whichever way."""
        response_id = message.response.id or ""
        self._running.pop(response_id, None)
        if response_id in self._rounds:
            self._rounds[response_id].ended = message.response.status or COMPLETED
            self._settle(response_id)

    def call_begun(self, response_id: str) -> None:
        """A call of a response is being run."""
        _remember(self._rounds, response_id, _Round(), OPEN_LIMIT).running += 1

    def call_answered(self, response_id: str) -> None:
        """Its output is sent."""
        if response_id in self._rounds:
            self._rounds[response_id].running -= 1
            self._settle(response_id)

    def refused(self, message: Message) -> None:
        """Something was refused; if it was our request because a response was running, it is due again."""
        if message.error.event_id == self._event_id:
            self._unconfirmed = False
            self._due = self._due or message.error.code == ACTIVE_RESPONSE

    def take_request(self) -> dict[str, Any] | None:
        """The message that asks for an answer, if it is time to send it."""
        if not self._due or self._running or self._unconfirmed:
            return None
        self._due = False
        self._unconfirmed = True
        self._requested += 1
        return {"type": "response.create", "event_id": self._event_id}

    @property
    def _event_id(self) -> str:
        return f"function_calls_{self._requested}"

    def _settle(self, response_id: str) -> None:
        calls = self._rounds[response_id]
        if calls.ended and not calls.running:
            del self._rounds[response_id]
            self._due = self._due or calls.ended in (COMPLETED, INCOMPLETE)


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
    """What is under ``key``, else ``value`` from now on; the oldest is forgotten beyond the limit."""
    found = memory.setdefault(key, value)
    if len(memory) > limit:
        del memory[next(iter(memory))]
    return found
