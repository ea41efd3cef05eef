"""The connection to the agent: the caller's side of the protocol, the socket, and the message log."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from tui.handlers.tools.file import Tool
from tui.models import events as e
from tui.models.journal import Journal, utc_now
from tui.models.target import Target
from tui.protocols.base import (
    AcknowledgesUserStream,
    AwaitsGoodbye,
    CallerSettings,
    HangUpReason,
    Incoming,
    Outgoing,
)
from tui.protocols.log_rules import LogRules
from tui.protocols.registry import BUILT_IN, protocol_named
from tui.session.message_log import MessageLog
from tui.websocket.client import Liveness, WebSocketClient, client_of
from tui.websocket.connection import Connection
from tui.websocket.message_handler import MessageHandler

_GOODBYE_LIMIT_S = 2.0
_ACKNOWLEDGE_LIMIT_S = 0.5
"""Longest wait for the acknowledgment of the stop message; some agents send it while they are still
answering the user."""
_CLOSE_LIMIT_S = 0.3
"""Longest wait for the agent to close the socket, which some agents do once the session has ended."""


class AgentLink:
    """The protocol, the socket and the message log of one session. Runs on the session's loop.

    ``route`` receives each message that was understood. ``on_fatal`` receives an error that ends the session.
    ``on_sent`` receives each message after it was written. ``sums_audio`` has the same meaning as in
    `MessageLog`. Raises `ValueError` for an unknown protocol, or for settings that the protocol does not
    support.
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
        sums_audio: bool = False,
    ) -> None:
        self.target = target
        self._journal = journal
        self.protocol = protocol_named(target.protocol)
        # Some agents define their tools in their own settings, so no tools are offered to them.
        offered = () if self.protocol.calls_tools and not self.protocol.offers_tools else tools
        self.caller = self.protocol.caller(_settings(target, offered), lambda: str(uuid.uuid4()), utc_now)
        self.messages = MessageHandler(self.caller.receive)
        self._all_read = asyncio.Event()
        """Set once the socket is closed and its last frame has been handled."""
        self.log = MessageLog(
            journal,
            protocol=target.protocol,
            reply=lambda messages: self.send(messages),
            route=route,
            on_fatal=on_fatal,
            sums_audio=sums_audio,
        )
        self.log.register_with(self.messages)
        self.connection = Connection(
            self._new_client,
            timeout_s=target.connect_timeout_s,
            on_sending=self.log.sent,
            on_dropped=self.log.dropped,
            on_sent=on_sent,
            clock_ns=journal.clock_ns,
        )
        self.send = self.connection.send
        """Queues messages; never waits."""

    @property
    def own_log_rules(self) -> LogRules | None:
        """The rules for the log, if the protocol is custom or options change its rules.

        None if the reader of the log already knows the rules.
        """
        protocol, target = self.protocol, self.target
        rules = protocol.log_of(target.options) if protocol.log_of else protocol.log
        return None if target.protocol in BUILT_IN and rules == protocol.log else rules

    async def read(self) -> None:
        """Handles every frame until the socket closes."""
        self._all_read.clear()
        await self.connection.read(self.messages.handle_message)
        self._all_read.set()

    async def hang_up(self, reason: HangUpReason) -> None:
        """Sends the protocol's last messages, and waits briefly until the agent has received and answered them."""
        self.connection.faults.lift()  # without the goodbye, the agent would appear to be at fault
        if not self.connection.client.is_open:
            return
        acknowledging = self.caller if isinstance(self.caller, AcknowledgesUserStream) else None
        if acknowledging:
            self.send(self.caller.stop_user_stream())
            await self._messages_until(lambda: not acknowledging.user_stream_closing, _ACKNOWLEDGE_LIMIT_S)
        self.send(self.caller.hang_up(reason))
        await self.connection.drained(_GOODBYE_LIMIT_S)
        if isinstance(self.caller, AwaitsGoodbye):
            await self._goodbye_answered(self.caller)
        if acknowledging:
            await self.connection.closed(_CLOSE_LIMIT_S)

    async def _goodbye_answered(self, caller: AwaitsGoodbye) -> None:
        """Waits for the answer to the protocol's last message; emits a finding if the agent sends none."""
        # Does not stop when the socket closes: the answer may be the last frame, which may not be handled yet.
        await self._messages_until(lambda: caller.goodbye_answered, _GOODBYE_LIMIT_S)
        if not caller.goodbye_answered:
            self.log.find(caller.missing_goodbye)

    async def _messages_until(self, happened: Callable[[], bool], limit_s: float) -> None:
        """Waits until a message makes the condition true, no more messages can arrive, or the limit expires."""
        arrived = asyncio.Event()
        watching = self.messages.add_message_handler(lambda _: arrived.set())
        reading = asyncio.ensure_future(self._all_read.wait())
        reading.add_done_callback(lambda _: arrived.set())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                while not (happened() or self._all_read.is_set()):
                    await arrived.wait()
                    arrived.clear()
        reading.cancel()
        watching.unregister()

    def _new_client(self) -> WebSocketClient:
        self._emit_pongs(True)  # no pong is missing on a new socket
        liveness = Liveness(
            ping_s=self.target.ping_s,
            silence_s=self.target.silence_timeout_s,
            on_round_trip=self._emit_round_trip,
            on_pongs=self._emit_pongs,
        )
        return client_of(
            self.target,
            self.protocol,
            redactor=self._journal.redactor,
            caller=self.caller,
            clock_ns=self._journal.clock_ns,
            liveness=liveness,
        )

    def _emit_round_trip(self, round_trip_ms: float) -> None:
        at_ns = self._journal.clock_ns()
        self._journal.emit(e.RoundTripMeasured(at_ns=at_ns, round_trip_ms=round_trip_ms))

    def _emit_pongs(self, arrive: bool) -> None:
        """Emits an event when the agent stops answering pings (``arrive`` is False) or answers them again."""
        if arrive and ("connection", e.Condition.NO_PONGS) not in self._journal.state.conditions:
            return
        silence_s = self.target.silence_timeout_s
        text = "The agent is answering pings again." if arrive else "The agent is not answering pings."
        hint = "" if arrive else f"The call continues. It will end if no message arrives for {silence_s:g} s."
        self._journal.condition(e.Condition.NO_PONGS, "connection", active=not arrive, text=text, hint=hint)


def _settings(target: Target, tools: Sequence[Tool]) -> CallerSettings:
    offered = {"tools": msgspec.json.encode([tool.definition() for tool in tools]).decode()} if tools else {}
    return CallerSettings(
        formats=target.formats,
        barge_in=target.barge_in,
        agent_name=target.agent_name,
        caller=target.caller,
        params=target.params,
        options={**target.options, **offered},
        url=target.url,
    )
