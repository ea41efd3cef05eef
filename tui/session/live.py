"""LiveSession: one call, from connect to hang-up. Knows neither screen nor process.

It checks that a step is legal, emits it, and is the first reader of its own stream: what is true of the call is
what `SessionState` has folded. Everything here runs on one event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import count
from typing import Any

import msgspec

from tui.callbacks import FailureReport, default_reporter, spawn
from tui.handlers.event_router import EventRouter
from tui.handlers.function_handler import FunctionHandler
from tui.handlers.tools.file import Tool
from tui.models import events as e
from tui.models.audio_manager import AudioManager
from tui.models.journal import Journal, utc_now
from tui.models.session_state import SessionState
from tui.models.target import Target
from tui.models.telemetry import Telemetry
from tui.protocols.base import (
    CallerSettings,
    Incoming,
    Outgoing,
    RelaysToolMessages,
    TelephonyEvent,
    foreseen_play_format,
)
from tui.protocols.base import TelephonyEventType as T
from tui.protocols.json_frames import outgoing
from tui.protocols.registry import BUILT_IN, protocol_named
from tui.session.agent_audio import AgentAudio
from tui.session.agent_events import AgentEvents
from tui.session.answer_watch import AnswerWatch
from tui.session.ending import Ending
from tui.session.message_log import MessageLog
from tui.session.self_check import SelfCheck
from tui.session.user_audio import UserAudio
from tui.session.user_commands import UserCommands
from tui.websocket.client import ConnectionFailed, WebSocketClient, client_of
from tui.websocket.connection import Connection
from tui.websocket.message_handler import MessageHandler

_WATCH_INTERVAL_NS = 20_000_000
_REST_WATCHES = 3
"""So seldom levels are told, which are not drawn more often, and audio is looked after while none of it moves."""


class LiveSession:
    """One call to one target.

    ``audio`` is configured; ``tools`` are what the agent may call, ``notes`` what there is to tell of the
    target. ``sink`` gets every event in order, ``telemetry`` the latest levels; ``keep_raw`` stores a raw message
    and returns its offset (-1: not kept); ``on_begun`` is called when the session has begun, before anything else
    happens in it.
    `run` holds the call; `user` carries out what the user does in it. Raises `ValueError` for a protocol that does
    not exist or settings it does not have.
    """

    def __init__(
        self,
        target: Target,
        audio: AudioManager,
        *,
        tools: Sequence[Tool] = (),
        notes: Sequence[str] = (),
        sink: Callable[[e.SessionEvent], object],
        telemetry: Callable[[Telemetry], object] = lambda _: None,
        keep_raw: Callable[[bytes], int] = lambda _: -1,
        on_begun: Callable[[Journal], object] = lambda _: None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.target = target
        self.audio = audio
        self.state = SessionState()
        self.session_id = str(uuid.uuid4())
        self.router = EventRouter()
        self.journal = Journal(self.state, sink=sink, keep_raw=keep_raw, clock_ns=clock_ns)
        self._ending = Ending(self.journal)
        self._notes = notes
        self._on_begun = on_begun
        self._telemetry = telemetry
        self._clock_ns = clock_ns
        self._protocol = protocol_named(target.protocol)
        self._caller = self._protocol.caller(_settings(target, tools), lambda: str(uuid.uuid4()), utc_now)
        self.messages = MessageHandler(self._caller.receive)
        self._connection = Connection(
            self._new_client,
            timeout_s=target.connect_timeout_s,
            on_sending=lambda message: self._log.sent(message),
            on_dropped=lambda message: self._log.dropped(message),
            on_sent=lambda message: self._user_audio.sent(message),
        )
        self._log = MessageLog(
            self.journal,
            protocol=target.protocol,
            reply=self._send,
            route=self._route,
            on_fatal=self._ending.fail_with,
        )
        self._user_audio = UserAudio(self.journal, audio, self._caller, self._send)
        self._agent_audio = AgentAudio(
            self.journal,
            audio,
            self._caller,
            self._send,
            ends_after_ms=self._protocol.reply_ends_after_ms,
        )
        self.user = UserCommands(
            self.journal,
            audio,
            self._protocol,
            self._caller,
            self._send,
            interrupt=self._agent_audio.interrupt,
            stop=target.on_stop,
        )
        self.functions = FunctionHandler(
            self,
            lambda _: self._ending.finish("a tool asked to hang up"),
            on_change=self.journal.emit,
            on_unknown=self._report_unknown_tool,
            clock_ns=clock_ns,
        )
        for tool in tools:
            self.functions.register_function(tool.name, tool)
        self._answers = AnswerWatch(self.journal)
        self._self_check = SelfCheck(self.journal.emit, clock_ns)
        self._accepted = asyncio.Event()
        self._failed_callbacks = 0
        self._register_handlers()

    # -- the call --

    async def run(self) -> None:
        """Hold the call. Returns when it has ended, whichever way; never raises for what the far side does."""
        loop = asyncio.get_running_loop()
        default_reporter.clear()  # what has failed in an earlier call is told of this one too
        unsubscribe = default_reporter.subscribe(
            lambda failure: loop.call_soon_threadsafe(self._report_callback, failure)
        )
        self.journal.begin(
            self.target,
            self.session_id,
            volume=self.audio.volume,
            log_rules=None if self.target.protocol in BUILT_IN else self._protocol.log,
        )
        self._on_begun(self.journal)
        for note in self._notes:
            self.journal.notice(note)
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
                self._ending.tell()

    def hang_up(self) -> None:
        """End the call from our side; when it is ending already, wait for its last words no longer."""
        self._ending.finish()
        self.audio.playback.stop_draining()

    async def _connect(self) -> None:
        """Open the socket, unless the user hangs up first. Raises `ConnectionFailed`."""
        self.journal.become(e.Status.CONNECTING)
        opening = asyncio.ensure_future(self._connection.open())
        giving_up = asyncio.ensure_future(self._ending.wait())
        await asyncio.wait({opening, giving_up}, return_when=asyncio.FIRST_COMPLETED)
        giving_up.cancel()
        if opening.done():
            opening.result()
            self.journal.become(e.Status.INITIATING)
        else:
            opening.cancel()

    def _new_client(self) -> WebSocketClient:
        return client_of(
            self.target, self._protocol, clock_ns=self._clock_ns, on_round_trip=self._measured_round_trip
        )

    async def _initiate(self) -> None:
        if notice := self._protocol.url_notice(self.target.url):
            self.journal.notice(notice)
        self._send(self._caller.opened())
        if self._protocol.accepted_on_open:
            await self.router.handle_platform_event(TelephonyEvent(type=T.SESSION_ACCEPTED))

    def _start_tasks(self) -> list[asyncio.Task[Any]]:
        return [
            spawn(self._read(), "session reader"),
            spawn(self._connection.write(), "session writer"),
            spawn(self._await_acceptance(), "session acceptance"),
            spawn(self._user_audio.pump(), "session capture"),
            spawn(self._watch(), "session watch"),
        ]

    async def _read(self) -> None:
        await self._connection.read(self.messages.handle_message)
        while await self._resume():
            await self._connection.read(self.messages.handle_message)
        self._ending.socket_closed(
            self._connection.close_reason,
            lost=self._connection.lost,
            failed=self._connection.failed,
            in_reply=self._agent_audio.in_reply,
        )

    async def _resume(self) -> bool:
        """Go on with the session on a new socket, where the old one was lost and the protocol can."""
        if self._ending.due or not self._connection.lost or self.state.status is not e.Status.ACTIVE:
            return False
        messages = self._caller.resumed()
        if messages is None:
            return False
        self.journal.become(e.Status.RESUMING, "the socket was lost")
        self.audio.playback.socket_lost()
        if not await self._connection.reopen(self._tell_no_way_back):
            return False
        self._accepted.clear()
        spawn(self._await_acceptance(), "session acceptance")
        self._send(messages)
        return True

    def _tell_no_way_back(self, failure: ConnectionFailed) -> None:
        text = f"No way back yet: {failure}"
        if self.state.notice is None or self.state.notice.text != text:
            self.journal.notice(text)

    async def _await_acceptance(self) -> None:
        try:
            await asyncio.wait_for(self._accepted.wait(), self.target.accept_timeout_s)
        except TimeoutError:
            if self._ending.due:
                return
            limit_s = self.target.accept_timeout_s
            if self.state.status is e.Status.RESUMING:
                self._ending.not_resumed(limit_s)
            else:
                self._ending.not_accepted(limit_s, self.messages.received, self.target.protocol)

    async def _watch(self) -> None:
        for watches in count():
            # What the watch itself takes makes the loop late as well.
            due_ns = self._clock_ns() + _WATCH_INTERVAL_NS
            all_of_it = watches % _REST_WATCHES == 0
            if all_of_it or self.audio.moving:
                self._agent_audio.end_dry_reply()
                self._agent_audio.poll()
                self._answers.poll()
                self._tell_late_results()
                self._count_failed_callbacks()
                self._log.tell_counts()
                self.journal.tell_losses()
            if all_of_it:
                self._telemetry(self._self_check.telemetry(self.audio, self._user_audio.pace))
            await asyncio.sleep(max(due_ns - self._clock_ns(), 0) / 1e9)
            self._self_check.woke(due_ns)

    def _tell_late_results(self) -> None:
        late = self.functions.late_results - int(self.state.metrics.losses.get(e.Loss.LATE_TOOL_RESULT, 0))
        if late:
            self.journal.lost(e.Loss.LATE_TOOL_RESULT, late)

    def _count_failed_callbacks(self) -> None:
        # Not at every failure: a callback may fail at each of thousands of messages, or at the loss that tells of it.
        if more := default_reporter.total - self._failed_callbacks:
            self._failed_callbacks += more
            self.journal.losing(e.Loss.CALLBACK_FAILED, more=more)

    async def _say_goodbye(self) -> None:
        """Everything polite before the socket closes."""
        self.journal.become(e.Status.ENDING, self._ending.reason)
        self.user.end_recording()
        await self.functions.close()
        if self._connection.is_open:
            self._send(self._caller.hang_up())
            await self._connection.drained(timeout_s=2.0)

    async def _close(self, tasks: list[asyncio.Task[Any]]) -> None:
        """Take every step of the end, in this order, also those behind one that fails: what it raises comes last."""
        steps = (
            self.audio.stop_capture,
            partial(self._leave, tasks[:-1]),
            partial(_stop, tasks),  # the watch among them, which told what was heard meanwhile
            partial(self._agent_audio.interrupt, "hang-up"),
            self._tell_last,
            self.audio.close,
        )
        async with contextlib.AsyncExitStack() as stack:
            for step in reversed(steps):
                stack.push_async_callback(step)

    async def _leave(self, tasks: list[asyncio.Task[Any]]) -> None:
        """What the agent said before it hung up is heard to its end; after our own hang-up nothing is."""
        for task in tasks:
            task.cancel()
        with contextlib.suppress(OSError):
            await self._connection.close()
        if not self._ending.ours:
            await self.audio.playback.drained()

    async def _tell_last(self) -> None:
        self._user_audio.finish()
        self._agent_audio.poll(at_the_end=True)
        self._log.tell_counts(at_the_end=True)
        self._count_failed_callbacks()
        self.journal.tell_losses(at_the_end=True)

    # -- what handlers do --

    def _register_handlers(self) -> None:
        self._log.register_with(self.messages)
        self.messages.add_session_handler(self.router.handle_platform_event)
        self.messages.add_audio_handler(self.router.handle_platform_event)
        AgentEvents(
            self.journal,
            accepted=self._on_accepted,
            finish=self._ending.finish,
        ).register_with(self.router)
        self._agent_audio.register_with(self.router)
        self.router.register_telephony_handler(T.USER_STREAM_STARTED, self._user_audio.send_early)
        if self._protocol.realtime_functions:
            self.functions.register_with(self.router)

    async def _on_accepted(self, event: TelephonyEvent) -> None:
        self._accepted.set()
        resumed = self.state.status is e.Status.RESUMING
        if self.state.status is e.Status.ACTIVE or not self.journal.become(e.Status.ACTIVE) or resumed:
            return
        user_format = event.format or self._caller.user_format
        if user_format is not None:
            self.audio.prepare_capture(user_format)
            self._user_audio.begin(user_format.rate)
        if play_format := foreseen_play_format(self._caller, user_format):
            self.audio.prepare_playback(play_format)
        if self._protocol.continuous:
            await self.audio.start_capture(silent=True)

    # -- what is logged and reported --

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message of the `FunctionHandler`; the protocol decides when, if it has a say in that."""
        if isinstance(self._caller, RelaysToolMessages):
            self._send(self._caller.relay(message))
        else:
            self._send([outgoing(message, message["type"])])

    def _send(self, messages: Iterable[Outgoing]) -> None:
        self._connection.send(messages)

    async def _route(self, incoming: Incoming) -> None:
        """Pass a message itself to the router, where a handler is registered for its name on the wire."""
        if incoming.kind in self.router.realtime_handlers:
            await self.router.handle_realtime_event(incoming.body)

    def _report_callback(self, failure: FailureReport) -> None:
        self.journal.error(f"callback {failure.callback}", "callback-failed", failure.reason)

    def _report_unknown_tool(self, name: str) -> None:
        self.journal.error(
            "agent",
            "unknown-tool",
            f"The agent called the tool {name}, which was not offered; it was told so.",
            "Offer tools with --tools FILE.py.",
        )

    def _measured_round_trip(self, round_trip_ms: float) -> None:
        self.journal.emit(e.RoundTripMeasured(at_ns=self._clock_ns(), round_trip_ms=round_trip_ms))


async def _stop(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


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
