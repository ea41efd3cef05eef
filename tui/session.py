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
from datetime import UTC, datetime
from itertools import count
from typing import Any

import msgspec

from tui.callbacks import FailureReport, default_reporter, spawn
from tui.handlers.agent_events import AgentEvents
from tui.handlers.event_router import EventRouter
from tui.handlers.function_handler import FunctionHandler
from tui.handlers.self_check import SEND_LIMIT_MS, SelfCheck
from tui.handlers.tools_file import Tool
from tui.handlers.user_audio import UserAudio
from tui.models import events as e
from tui.models.audio_manager import AudioManager
from tui.models.capture import CallerLine
from tui.models.journal import Journal
from tui.models.playback import Cut
from tui.models.session_state import Completed, SessionState
from tui.models.target import Target
from tui.protocols.base import (
    CallerSettings,
    HasInstructions,
    Incoming,
    Outgoing,
    TelephonyEvent,
    agent_detects_turns,
    foreseen_play_format,
)
from tui.protocols.base import TelephonyEventType as T
from tui.protocols.json_frames import outgoing
from tui.protocols.registry import protocol_named
from tui.websocket.client import ConnectionFailed, WebSocketClient, client_of
from tui.websocket.connection import Connection
from tui.websocket.message_handler import MessageHandler
from tui.websocket.message_log import MessageLog

WATCH_INTERVAL_S = 0.02
TELEMETRY_EVERY_WATCHES = 2
"""Levels are drawn 20 times a second; nobody sees more."""
OURS = "hung up"
"""The reason of an ending that the user asked for."""


class LiveSession:
    """One call to one target.

    ``audio`` is configured; ``tools`` are what the agent may call, ``notes`` what there is to tell of the
    target. ``sink`` gets every event in order, ``telemetry`` the latest levels; ``keep_raw`` stores a raw message
    and returns its offset (-1: not kept).
    `run` holds the call; the commands may be used meanwhile. Raises `ValueError` for a protocol that does not
    exist or settings it does not have.
    """

    def __init__(
        self,
        target: Target,
        audio: AudioManager,
        *,
        tools: Sequence[Tool] = (),
        notes: Sequence[str] = (),
        sink: Callable[[e.SessionEvent], object],
        telemetry: Callable[[e.Telemetry], object] = lambda _: None,
        keep_raw: Callable[[bytes], int] = lambda _: -1,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.target = target
        self.audio = audio
        self.state = SessionState()
        self.session_id = str(uuid.uuid4())
        self.router = EventRouter()
        self.journal = Journal(self.state, sink=sink, keep_raw=keep_raw, clock_ns=clock_ns)
        self._notes = notes
        self._telemetry = telemetry
        self._clock_ns = clock_ns
        self._protocol = protocol_named(target.protocol)
        self._caller = self._protocol.caller(_settings(target, tools), lambda: str(uuid.uuid4()), _utc_now)
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
            on_fatal=self._end_with,
        )
        self._user_audio = UserAudio(self.journal, audio, self._caller, self._send)
        self.functions = FunctionHandler(
            self,
            lambda _: self._finish("a tool asked to hang up"),
            on_change=self.journal.emit,
            on_unknown=self._report_unknown_tool,
            clock_ns=clock_ns,
        )
        for tool in tools:
            self.functions.register_function(tool.name, tool)
        self._self_check = SelfCheck(self.journal.emit, clock_ns)
        self._line_recording = False
        self._accepted = asyncio.Event()
        self._over = asyncio.Event()
        self._ending = ""
        self._failure: e.ErrorRaised | None = None
        self._register_handlers()

    # -- the call --

    async def run(self) -> None:
        """Hold the call. Returns when it has ended, whichever way; never raises for what the far side does."""
        loop = asyncio.get_running_loop()
        unsubscribe = default_reporter.subscribe(
            lambda failure: loop.call_soon_threadsafe(self._report_callback, failure)
        )
        self.journal.emit(started(self.target, session_id=self.session_id, clock_ns=self._clock_ns))
        for note in self._notes:
            self.journal.notice(note)
        tasks: list[asyncio.Task[Any]] = []
        try:
            self._tell_audio()
            await self._connect()
            if not self._over.is_set():
                tasks = self._start_tasks()
                await self._initiate()
                await self._over.wait()
                await self._say_goodbye()
        except ConnectionFailed as failure:
            self._fail("socket", failure.code, str(failure), failure.hint)
        finally:
            await self._close(tasks)
            unsubscribe()
            reason = self._failure.message if self._failure else self._ending
            self._end(reason)

    async def _connect(self) -> None:
        """Open the socket, unless the user hangs up first. Raises `ConnectionFailed`."""
        self.journal.become(e.Status.CONNECTING)
        opening = asyncio.ensure_future(self._connection.open())
        giving_up = asyncio.ensure_future(self._over.wait())
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
        self._on_socket_closed()

    async def _resume(self) -> bool:
        """Go on with the session on a new socket, where the old one was lost and the protocol can."""
        if self._over.is_set() or not self._connection.lost or self.state.status is not e.Status.ACTIVE:
            return False
        messages = self._caller.resumed()
        if messages is None:
            return False
        self.journal.become(e.Status.RESUMING, "the socket was lost")
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
            if self._over.is_set():
                return
            if self.state.status is e.Status.RESUMING:
                limit = f"within {self.target.accept_timeout_s:g} s"
                message = f"The socket was lost, and the agent did not take the session up again {limit}."
                self._fail("agent", "not-resumed", message, "Call again.")
                return
            heard = self.messages.received
            sent = "one message, and it was no" if heard == 1 else f"{heard} messages, none of them an"
            said = f"it sent {sent} acceptance" if heard else "it said nothing"
            self._fail(
                "agent",
                "not-accepted",
                f"The agent did not accept the session within {self.target.accept_timeout_s:g} s: {said}.",
                f"Does it speak {self.target.protocol}? Choose another with --protocol.",
            )

    async def _watch(self) -> None:
        for watches in count():
            await self._end_dry_reply()
            self._tell_audio()
            self._tell_late_results()
            self._log.tell_counts()
            self.journal.tell_losses()
            if watches % TELEMETRY_EVERY_WATCHES == 0:
                self._telemetry(self._health(self._clock_ns()))
            due_ns = self._clock_ns() + int(WATCH_INTERVAL_S * 1e9)
            await asyncio.sleep(WATCH_INTERVAL_S)
            self._self_check.woke(due_ns)

    def _health(self, now_ns: int) -> e.Telemetry:
        """The levels of audio, and how late the program itself is."""
        pace = self._user_audio.pace
        send_late_ms = pace.worst_ms(now_ns)
        self._self_check.judge("sending", send_late_ms or 0.0, SEND_LIMIT_MS, now_ns)
        return msgspec.structs.replace(
            self.audio.telemetry(now_ns),
            loop_lag_ms=self._self_check.loop_lag_ms(now_ns),
            send_late_ms=send_late_ms,
            send_p50_ms=pace.percentile_ms(0.5),
            send_p99_ms=pace.percentile_ms(0.99),
        )

    def _tell_late_results(self) -> None:
        late = self.functions.late_results - int(self.state.metrics.losses.get(e.Loss.LATE_TOOL_RESULT, 0))
        if late:
            self.journal.lost(e.Loss.LATE_TOOL_RESULT, late)

    async def _end_dry_reply(self) -> None:
        """Where the agent need not say that a reply is complete, it is when nothing of it was left for a while."""
        after_ms = self._protocol.reply_ends_after_ms
        if after_ms and (reply := self.audio.playback.ran_dry(after_ms)):
            await self.router.handle_platform_event(TelephonyEvent(type=T.PLAY_STREAM_STOP, stream_id=reply))

    async def _say_goodbye(self) -> None:
        """Everything polite before the socket closes."""
        self.journal.become(e.Status.ENDING, self._failure.message if self._failure else self._ending)
        self._set_recording(False)
        await self.functions.close()
        if self._connection.is_open:
            self._send(self._caller.hang_up())
            await self._connection.drained(timeout_s=2.0)

    async def _close(self, tasks: list[asyncio.Task[Any]]) -> None:
        """What the agent said before it hung up is heard to its end; after our own hang-up nothing is."""
        await self.audio.stop_capture()
        for task in tasks[:-1]:
            task.cancel()
        with contextlib.suppress(OSError):
            await self._connection.close()
        if self._ending != OURS:
            await self.audio.playback.drained()
        for task in tasks:  # the watch among them, which told what was heard meanwhile
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tell_cuts("hang-up", await self.audio.flush(), self._clock_ns())
        self._user_audio.finish()
        self._tell_audio(at_the_end=True)
        self._log.tell_counts(at_the_end=True)
        self.journal.tell_losses(at_the_end=True)
        await self.audio.close()

    def _end(self, reason: str) -> None:
        if self._failure:
            self.journal.become(e.Status.ERROR, reason)
            return
        if self.state.status is not e.Status.ENDING:
            self.journal.become(e.Status.ENDING, reason)
        self.journal.become(e.Status.ENDED, reason)

    # -- commands --

    async def record(self, on: bool) -> None:
        """Let capture flow to the agent, or stop it."""
        if on == self.state.recording:
            return
        if on and self.state.status is not e.Status.ACTIVE:
            self.journal.notice("There is no call to record into.", "Call first.")
        elif on:
            await self._take_the_word()
            self._set_recording(True)
            self._send(self._caller.start_user_stream())
            await self.audio.start_capture(silent=self._line_recording)
        else:
            self._line_recording = False
            self._set_recording(False)
            self.audio.capture.stop_speaking()
            await self._stop_user_stream()

    async def _take_the_word(self) -> None:
        """An agent that does not detect turns is not interrupted by speech: taking a turn does it."""
        if not agent_detects_turns(self._caller) and self.audio.playback.playing:
            await self.interrupt("the user takes a turn")

    async def _stop_user_stream(self) -> None:
        closes = self.target.stop == "close" or not agent_detects_turns(self._caller)
        if closes:
            self._send(self._caller.stop_user_stream())
        if closes and not self._protocol.continuous:
            await self.audio.stop_capture()
        else:
            # While the agent does the turn detection it has to hear the silence after the last word.
            await self.audio.start_capture(silent=True)

    def set_muted(self, muted: bool) -> None:
        """Send silence in place of the user, or no longer."""
        if muted != self.state.muted:
            self.audio.muted = muted
            self.journal.emit(e.MutedChanged(at_ns=self._clock_ns(), muted=muted))

    def change_volume(self, by: float) -> None:
        """Playback louder or quieter, within 0..2; each press of a key counts, however fast they come."""
        self.audio.volume = round(self.audio.volume + by, 2)
        self.journal.emit(e.VolumeChanged(at_ns=self._clock_ns(), volume=self.audio.volume))

    async def speak(self, line: CallerLine) -> None:
        """Speak a recorded line on the microphone's path; records for as long as it takes if need be."""
        if self.state.status is not e.Status.ACTIVE:
            self.journal.notice("There is no call to speak into.", "Call first.")
            return
        if not self.state.recording:
            self._line_recording = True
            await self.record(True)
        await self.audio.capture.speak(line)

    def send_dtmf(self, digits: str) -> None:
        """Press keys."""
        if self.state.status is not e.Status.ACTIVE:
            self.journal.notice("There is no call to press keys in.", "Call first.")
        elif messages := self._caller.dtmf(digits):
            self._send(messages)
        else:
            self.journal.notice(f"{self._protocol.title} has no way to press keys.")

    async def send_text(self, text: str) -> None:
        """Take a turn in writing."""
        if self.state.status is not e.Status.ACTIVE:
            self.journal.notice("There is no call to type into.", "Call first.")
            return
        await self._take_the_word()
        if messages := self._caller.user_text(text):
            self._send(messages)
            self.journal.emit(
                e.Transcribed(
                    at_ns=self._clock_ns(), speaker=e.Speaker.USER, text=text, final=True, typed=True
                )
            )
        else:
            self.journal.notice(f"{self._protocol.title} has no typed turns.")

    def send_instructions(self, text: str) -> None:
        """Tell the agent how to behave from now on."""
        if isinstance(self._caller, HasInstructions) and self.state.status is e.Status.ACTIVE:
            self._send(self._caller.update_instructions(text))
        else:
            self.journal.notice(f"{self._protocol.title} has no instructions to change in a call.")

    async def interrupt(self, reason: str = "interrupted by the user", by_agent: bool = False) -> None:
        """Flush what is queued for playback."""
        asked_ns = self._clock_ns()
        self._tell_cuts(reason, await self.audio.flush(), asked_ns, by_agent=by_agent)

    def hang_up(self) -> None:
        """End the call from our side; when it is ending already, wait for its last words no longer."""
        self._ending = self._ending or OURS
        self.audio.playback.stop_draining()
        self._over.set()

    # -- what handlers do --

    def _register_handlers(self) -> None:
        self.state.add_completion_callback(self._on_completed)
        self._log.register_with(self.messages)
        self.messages.add_session_handler(self.router.handle_platform_event)
        self.messages.add_audio_handler(self.router.handle_platform_event)
        AgentEvents(
            self.journal,
            self.audio,
            accepted=self._on_accepted,
            finish=self._finish,
            interrupt=self.interrupt,
        ).register_with(self.router)
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

    def _finish(self, reason: str) -> None:
        self._ending = self._ending or reason
        self._over.set()

    # -- audio --

    def _tell_audio(self, *, at_the_end: bool = False) -> None:
        """Make true what happened to audio, and tell the agent what it wants to know of it."""
        for event in self.audio.poll(self._clock_ns(), at_the_end=at_the_end):
            self.journal.emit(event)
        for name in self.audio.playback.reached_marks():
            self._send(self._caller.mark_reached(name))

    def _on_completed(self, event: Completed) -> None:
        """Completion callback of the state: the agent is told what was heard, a spoken line ends recording."""
        match event:
            case e.PlaybackEnded(reply=reply, heard_ms=heard_ms):
                received_ms = heard_ms + event.unheard_ms
                self._send(self._caller.playback_finished(reply, heard_ms=heard_ms, received_ms=received_ms))
            case e.LineChanged() if self._line_recording and not self.audio.capture.speaking:
                spawn(self.record(False), "stop after a caller line")
            case _:
                pass

    def _tell_cuts(self, reason: str, cuts: list[Cut], asked_ns: int, *, by_agent: bool = False) -> None:
        """Make true what a flush did."""
        if not cuts:
            return
        unheard_ms = sum(cut.unheard_ms for cut in cuts)
        if unheard_ms:
            self.journal.emit(
                e.Flushed(
                    at_ns=self._clock_ns(),
                    reason=reason,
                    unheard_ms=unheard_ms,
                    by_agent=by_agent,
                    asked_ns=asked_ns,
                    silent_ns=self.audio.playback.silent_ns,
                )
            )
        for cut in cuts:
            self._send(
                self._caller.interrupted(cut.reply, heard_ms=cut.heard_ms, received_ms=cut.received_ms)
            )
            ended = e.PlaybackEnded(
                at_ns=self._clock_ns(), reply=cut.reply, heard_ms=cut.heard_ms, unheard_ms=cut.unheard_ms
            )
            self.journal.emit(ended)

    # -- what is logged and reported --

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message of the protocol's own, as the `FunctionHandler` makes them."""
        item = message.get("item")
        about = f": {item['type']}" if isinstance(item, Mapping) and "type" in item else ""
        self._send([outgoing(message, f"{message['type']}{about}")])

    def _send(self, messages: Iterable[Outgoing]) -> None:
        self._connection.send(messages)

    async def _route(self, incoming: Incoming) -> None:
        """What the router wants of a message beside its telephony events."""
        if not incoming.known:
            await self.router.handle_platform_event({"type": incoming.kind})
        if incoming.kind in self.router.realtime_handlers:
            await self.router.handle_realtime_event(incoming.body)

    def _report_callback(self, failure: FailureReport) -> None:
        self.journal.lost(e.Loss.CALLBACK_FAILED, 1)
        self.journal.error(f"callback {failure.callback}", "callback-failed", str(failure))

    def _report_unknown_tool(self, name: str) -> None:
        self.journal.error(
            "agent",
            "unknown-tool",
            f"The agent called the tool {name}, which was not offered; it was told so.",
            "Offer tools with --tools FILE.py.",
        )

    def _fail(self, source: str, code: str, message: str, hint: str = "") -> None:
        self._end_with(self.journal.error(source, code, message, hint, fatal=True))

    def _end_with(self, failure: e.ErrorRaised) -> None:
        self._failure = self._failure or failure
        self._over.set()

    def _on_socket_closed(self) -> None:
        if self._over.is_set():
            return
        how = self._connection.close_reason
        if self.state.metrics.started_ns is None:
            message = f"The agent did not accept the session: the socket was {how}."
            self._fail("socket", "not-accepted", message, "Is this its address, and is the token right?")
        elif self._connection.lost:
            self._fail("socket", "lost", f"The agent is gone: the socket was {how}.", "Call again.")
        elif self._connection.failed:
            message = f"The call was broken off: the socket was {how}."
            self._fail("socket", "closed", message, "The agent's own log may say why.")
        else:
            self._finish(f"the agent left: {how}")

    def _set_recording(self, recording: bool) -> None:
        if recording != self.state.recording:
            self.journal.emit(e.RecordingChanged(at_ns=self._clock_ns(), recording=recording))

    def _measured_round_trip(self, round_trip_ms: float) -> None:
        self.journal.emit(e.RoundTripMeasured(at_ns=self._clock_ns(), round_trip_ms=round_trip_ms))


def started(target: Target, *, session_id: str, clock_ns: Callable[[], int]) -> e.SessionStarted:
    """The first event of a call to that target."""
    return e.SessionStarted(
        at_ns=clock_ns(),
        session_id=session_id,
        started_utc=_utc_now(),
        target=target.safe_url,
        protocol=target.protocol,
        title=target.name,
    )


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


def _utc_now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
