"""LiveSession: one call, from connecting to hanging up. The session does not depend on a screen or a process.

`LiveSession` checks that each change of status is legal, and emits it. The session's `SessionState`, which
contains the state of the call, is the first to receive each event. Everything runs on one event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from tui.callbacks import default_reporter, spawn
from tui.handlers.event_router import EventRouter
from tui.handlers.function_handler import FunctionHandler
from tui.handlers.tools.file import Tool
from tui.models import events as e
from tui.models.audio_manager import AudioManager
from tui.models.journal import Journal
from tui.models.session_state import SessionState
from tui.models.target import Target
from tui.models.telemetry import Telemetry
from tui.protocols.base import (
    Incoming,
    MaySilenceResults,
    RelaysToolMessages,
    TelephonyEvent,
    foreseen_play_format,
)
from tui.protocols.base import TelephonyEventType as T
from tui.protocols.json_frames import outgoing
from tui.protocols.registry import protocol_named
from tui.session.acceptance import Acceptance
from tui.session.agent_audio import AgentAudio
from tui.session.agent_events import AgentEvents
from tui.session.ending import Ending
from tui.session.link import AgentLink
from tui.session.pending import Pending
from tui.session.reply_checks import ReplyChecks
from tui.session.user_audio import UserAudio
from tui.session.user_commands import UserCommands
from tui.session.watch import SessionWatch
from tui.text.redaction import Redactor
from tui.units import NS_PER_S
from tui.websocket.failure import ConnectionFailed
from tui.websocket.link_faults import LinkFaults
from tui.websocket.message_handler import MessageHandler


class LiveSession:
    """One call to one target. `run` runs the call, and `user` carries out the user's actions.

    ``audio`` must be configured. ``redactor`` removes the secrets of the call (by default, those of the
    target). ``tools`` are the functions that the agent may call. ``sink`` receives every event in order, and
    ``telemetry`` the latest levels. ``keep_raw`` stores a raw message and returns its offset, or -1 if it did
    not keep the message. ``on_begun`` is called right after the first event of the session. ``sums_audio``
    has the same meaning as in `MessageLog`; calls of a load test always sum audio.

    Raises `ValueError` for an unknown protocol, or for settings that the protocol does not support.
    """

    def __init__(
        self,
        target: Target,
        audio: AudioManager,
        *,
        redactor: Redactor | None = None,
        tools: Sequence[Tool] = (),
        sink: Callable[[e.SessionEvent], object],
        telemetry: Callable[[Telemetry], object] | None = None,
        keep_raw: Callable[[bytes], int] = lambda _: -1,
        on_begun: Callable[[Journal], object] = lambda _: None,
        sums_audio: bool = False,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.audio = audio
        self.router = EventRouter()
        pending = Pending(replies_are_ended=not protocol_named(target.protocol).reply_ends_after_ms)
        emit = _in_turn(pending.apply, sink)
        self.journal = journal = Journal(
            SessionState(),
            sink=emit,
            keep_raw=keep_raw,
            clock_ns=clock_ns,
            redactor=redactor or target.redactor(),
        )
        self._on_begun = on_begun
        self._ending = Ending(journal, pending)
        self._link = link = AgentLink(
            target,
            tools,
            journal,
            route=self._route,
            on_fatal=self._ending.fail_with,
            on_sent=lambda message: self._user_audio.sent(message),
            sums_audio=sums_audio or audio.crowd is not None,
        )
        if isinstance(link.caller, MaySilenceResults):
            pending.results_are_answered = link.caller.results_are_answered
        self._acceptance = Acceptance(self._ending, link)
        self._agent_audio = self._agent_audio_of(link)
        self._user_audio = UserAudio(
            journal, audio, link.caller, link.send, lambda block: self._watch.take_block(block)
        )
        self.user = UserCommands(journal, audio, link, interrupt_agent=self._agent_audio.interrupt)
        self.functions = self._function_handler(tools)
        self._watch = self._session_watch(telemetry)
        self._register_handlers()

    def _agent_audio_of(self, link: AgentLink) -> AgentAudio:
        return AgentAudio(
            self.journal,
            self.audio,
            link.caller,
            link.send,
            ReplyChecks(lambda found: link.log.find(found, about=self.journal.number)),
            ends_after_ms=link.protocol.reply_ends_after_ms,
            wake=lambda: self._watch.wake(),
        )

    def _session_watch(self, telemetry: Callable[[Telemetry], object] | None) -> SessionWatch:
        return SessionWatch(
            self.journal,
            self.audio,
            user_audio=self._user_audio,
            agent_audio=self._agent_audio,
            functions=self.functions,
            caller=self._link.caller,
            pending=self.pending,
            log=self._link.log,
            telemetry=telemetry,
        )

    def _function_handler(self, tools: Sequence[Tool]) -> FunctionHandler:
        functions = FunctionHandler(
            self,
            lambda _: self._ending.agent_left("a tool asked to hang up"),
            time_limit_s=self._link.target.tool_timeout_s,
            on_change=self.journal.emit,
            on_unknown=self._report_unknown_tool,
            clock_ns=self.journal.clock_ns,
        )
        for tool in tools:
            functions.register_function(tool.name, tool)
        return functions

    @property
    def state(self) -> SessionState:
        """The state of the call."""
        return self.journal.state

    @property
    def target(self) -> Target:
        """The target of the call."""
        return self._link.target

    @property
    def pending(self) -> Pending:
        """Tracks the operations that are still due in the call."""
        return self._ending.pending

    @property
    def faults(self) -> LinkFaults:
        """Injects connection faults, for testing the agent."""
        return self._link.connection.faults

    @property
    def dropped(self) -> bool:
        """Whether the call ended because an injected fault closed its socket and no new socket could be used."""
        return self._ending.dropped

    @property
    def messages(self) -> MessageHandler:
        """The handler that decodes the agent's messages."""
        return self._link.messages

    # -- the call --

    async def run(self) -> None:
        """Runs the call. Returns when the call has ended, for whatever reason.

        Errors of the agent never raise an exception.
        """
        loop = asyncio.get_running_loop()
        default_reporter.clear()  # a callback that failed in an earlier call must be reported in this one too
        # A callback may fail on any thread; the journal belongs to this loop.
        unsubscribe = default_reporter.subscribe(
            lambda failure: loop.call_soon_threadsafe(
                self.journal.error, f"callback {failure.callback}", "callback-failed", failure.reason
            )
        )
        self.journal.begin(
            self._link.target,
            str(uuid.uuid4()),
            volume=self.audio.volume,
            log_rules=self._link.own_log_rules,
        )
        self._on_begun(self.journal)
        tasks: list[asyncio.Task[Any]] = []
        try:
            self._agent_audio.poll()
            await self._connect()
            if not self._ending.due:
                tasks = self._start_tasks()
                await self._initiate()
                await self._ending.wait()
                await self._say_goodbye()
        except ConnectionFailed as failure:
            self._ending.fail("socket", failure.code, str(failure), failure.hint)
        finally:
            try:
                await self._close(tasks)
            finally:
                unsubscribe()
                self._ending.emit()
        # After the end, because it takes a moment that must not count towards the call's duration or silences.
        await self._watch.compare_edges()

    def hang_up(self) -> None:
        """Ends the call for the user.

        If the call is already ending, stops waiting for the agent's last audio.
        """
        self._ending.finish()
        self.audio.playback.stop_draining()

    async def _connect(self) -> None:
        """Opens the socket, unless the user hangs up first. Raises `ConnectionFailed`."""
        self.journal.become(e.Status.CONNECTING)
        opening = asyncio.ensure_future(self._link.connection.open())
        giving_up = asyncio.ensure_future(self._ending.wait())
        await asyncio.wait({opening, giving_up}, return_when=asyncio.FIRST_COMPLETED)
        giving_up.cancel()
        if opening.done():
            opening.result()
            self.journal.become(e.Status.INITIATING)
        else:
            opening.cancel()

    async def _initiate(self) -> None:
        protocol, target = self._link.protocol, self._link.target
        if notice := protocol.url_notice(target.url):
            self.journal.notice(notice)
        self._link.send(self._link.caller.opened())
        if protocol.accepted_on_open:
            await self.router.handle_platform_event(TelephonyEvent(type=T.SESSION_ACCEPTED))

    def _start_tasks(self) -> list[asyncio.Task[Any]]:
        return [
            spawn(self._read(), "session reader"),
            spawn(self._link.connection.write(), "session writer"),
            spawn(self._acceptance.wait(), "session acceptance"),
            spawn(self._user_audio.pump(), "session capture"),
            spawn(self._watch.run(), "session watch"),
        ]

    async def _read(self) -> None:
        await self._link.read()
        while await self._resume():
            await self._link.read()
        client = self._link.connection.client
        self._ending.socket_closed(
            client.close_reason,
            lost=client.lost,
            failed=client.failed,
            violation=client.violation,
            dropped=self._link.connection.faults.breaks,
        )

    async def _resume(self) -> bool:
        """Tries to continue the session on a new socket; returns whether that succeeded.

        Returns False if the agent ended the call, or if the protocol cannot resume a session.
        """
        connection, limit_s = self._link.connection, self._link.target.resume_timeout_s
        closed = connection.client.lost or connection.client.restarts
        if self._ending.due or not closed or self.state.status is not e.Status.ACTIVE:
            return False
        messages = self._link.caller.resumed()
        if messages is None:
            return False
        self.journal.become(e.Status.RESUMING, f"the socket was {connection.client.close_reason}")
        self.audio.playback.socket_lost()
        lost_ns = self.journal.clock_ns()
        if not await connection.reopen(limit_s, self._notify_reopen_failed):
            return False
        self._acceptance.given.clear()
        left_s = limit_s - (self.journal.clock_ns() - lost_ns) / NS_PER_S
        spawn(self._acceptance.wait_for_resuming(left_s), "session acceptance")
        self._link.send(messages)
        return True

    def _notify_reopen_failed(self, failure: ConnectionFailed) -> None:
        text = f"Reconnecting failed: {failure}"
        if self.state.notice is None or self.state.notice.text != text:
            self.journal.notice(text)

    async def _say_goodbye(self) -> None:
        """Sends the protocol's last messages, before the socket is closed."""
        self.journal.become(e.Status.ENDING, self._ending.reason)
        self.user.end_recording()
        await self.functions.close()
        await self._link.hang_up(self._ending.hang_up_reason)

    async def _close(self, tasks: list[asyncio.Task[Any]]) -> None:
        """Runs all closing steps in order, even if one of them fails.

        Raises the first exception at the end.
        """
        steps = (
            self.audio.capture.stop,
            partial(self._leave, tasks[:-1]),
            # The watch is the last task to be stopped, because it emits what is heard while playback drains.
            partial(_stop, tasks),
            partial(self._agent_audio.interrupt, "hang-up"),
            self._watch.finish,
            self.audio.close,
        )
        async with contextlib.AsyncExitStack() as stack:
            for step in reversed(steps):
                stack.push_async_callback(step)

    async def _leave(self, tasks: list[asyncio.Task[Any]]) -> None:
        """Closes the socket, and plays the agent's remaining audio to the end.

        If the user hung up, the remaining audio is not played.
        """
        for task in tasks:
            task.cancel()
        with contextlib.suppress(OSError):
            await self._link.connection.close()
        if not self._ending.ours:
            await self.audio.playback.drained()

    # -- handlers --

    def _register_handlers(self) -> None:
        self.messages.add_session_handler(self.router.handle_platform_event)
        self.messages.add_audio_handler(self.router.handle_platform_event)
        AgentEvents(self.journal, accepted=self._on_accepted, left=self._ending.agent_left).register_with(
            self.router
        )
        self._agent_audio.register_with(self.router)
        self.router.register_telephony_handler(T.USER_STREAM_STARTED, self._user_audio.send_early)
        if self._link.protocol.calls_tools:
            self.functions.answer_calls(self.router)
        if self._link.protocol.realtime_functions:
            self.functions.register_with(self.router)

    async def _on_accepted(self, event: TelephonyEvent) -> None:
        self._acceptance.given.set()
        resumed = self.state.status is e.Status.RESUMING
        if self.state.status is e.Status.ACTIVE or not self.journal.become(e.Status.ACTIVE) or resumed:
            return
        user_format = event.format or self._link.caller.user_format
        if user_format is not None:
            self.audio.prepare_capture(user_format)
            self._user_audio.begin()
        if play_format := foreseen_play_format(self._link.caller, user_format):
            self.audio.playback.prepare(play_format)
        if self._link.protocol.continuous:
            await self.audio.capture.start(silent=True)

    async def _route(self, incoming: Incoming) -> None:
        """Passes the raw message to the router, if a handler is registered for the message's wire name."""
        if incoming.kind in self.router.realtime_handlers:
            await self.router.handle_realtime_event(incoming.body)

    def send(self, message: Mapping[str, Any]) -> None:
        """Sends a message from the `FunctionHandler`. A protocol may delay or translate the message."""
        if isinstance(self._link.caller, RelaysToolMessages):
            self._link.send(self._link.caller.relay(message))
        else:
            self._link.send([outgoing(message, message["type"])])

    def _report_unknown_tool(self, name: str) -> None:
        self.journal.error(
            "agent",
            "unknown-tool",
            f"The agent called the tool {name}, which was not offered. The agent received an error in reply.",
            "Offer tools with --tools FILE.py.",
        )


def _in_turn(*sinks: Callable[[e.SessionEvent], object]) -> Callable[[e.SessionEvent], None]:
    def pass_on(event: e.SessionEvent) -> None:
        for sink in sinks:
            sink(event)

    return pass_on


async def _stop(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
