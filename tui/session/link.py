"""AgentLink: the line to the agent. The protocol's caller end, the socket, and the log of every message."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Iterable, Sequence

import msgspec

from tui.handlers.tools.file import Tool
from tui.models import events as e
from tui.models.journal import Journal, utc_now
from tui.models.target import Target
from tui.protocols.base import CallerSettings, Incoming, Outgoing
from tui.protocols.log_rules import LogRules
from tui.protocols.registry import BUILT_IN, protocol_named
from tui.session.message_log import MessageLog
from tui.websocket.client import WebSocketClient, client_of
from tui.websocket.connection import Connection
from tui.websocket.message_handler import MessageHandler

_GOODBYE_LIMIT_S = 2.0


class AgentLink:
    """Everything between a session and its agent, for one target. On the session's loop.

    ``route`` receives each message that was understood, ``on_fatal`` an error that ends the session, ``on_sent`` each
    message once it is written. Raises `ValueError` for a protocol that does not exist or settings it does not have.
    """

    def __init__(
        self,
        target: Target,
        tools: Sequence[Tool],
        journal: Journal,
        *,
        route: Callable[[Incoming], Awaitable[None]],
        on_fatal: Callable[[e.ErrorRaised], object],
        on_sent: Callable[[Outgoing], None],
    ) -> None:
        self.target = target
        self._journal = journal
        self.protocol = protocol_named(target.protocol)
        self.caller = self.protocol.caller(_settings(target, tools), lambda: str(uuid.uuid4()), utc_now)
        self.messages = MessageHandler(self.caller.receive)
        self.log = MessageLog(
            journal, protocol=target.protocol, reply=self.send, route=route, on_fatal=on_fatal
        )
        self.log.register_with(self.messages)
        self.connection = Connection(
            self._new_client,
            timeout_s=target.connect_timeout_s,
            on_sending=self.log.sent,
            on_dropped=self.log.dropped,
            on_sent=on_sent,
        )

    @property
    def own_log_rules(self) -> LogRules | None:
        """The log rules of a protocol that is not built in, for the session to carry; None for a built-in one."""
        return None if self.target.protocol in BUILT_IN else self.protocol.log

    def send(self, messages: Iterable[Outgoing]) -> None:
        """Queue messages; never waits."""
        self.connection.send(messages)

    async def read(self) -> None:
        """Handle every frame until the socket closes."""
        await self.connection.read(self.messages.handle_message)

    async def hang_up(self) -> None:
        """Send the protocol's last messages, and wait a moment until they are out."""
        if self.connection.is_open:
            self.send(self.caller.hang_up())
            await self.connection.drained(_GOODBYE_LIMIT_S)

    def _new_client(self) -> WebSocketClient:
        return client_of(
            self.target,
            self.protocol,
            redactor=self._journal.redactor,
            clock_ns=self._journal.clock_ns,
            on_round_trip=self._emit_round_trip,
        )

    def _emit_round_trip(self, round_trip_ms: float) -> None:
        at_ns = self._journal.clock_ns()
        self._journal.emit(e.RoundTripMeasured(at_ns=at_ns, round_trip_ms=round_trip_ms))


def _settings(target: Target, tools: Sequence[Tool]) -> CallerSettings:
    offered = {"tools": msgspec.json.encode([tool.definition() for tool in tools]).decode()} if tools else {}
    return CallerSettings(
        formats=target.formats,
        barge_in=target.barge_in,
        agent_name=target.agent_name,
        caller=target.caller,
        params=target.params,
        options={**target.options, **offered},
    )
