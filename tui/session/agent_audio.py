"""Passes the agent's replies to the speaker, and reports to the agent how much of each reply was heard."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import KW_ONLY, dataclass

from tui.handlers.event_router import EventRouter
from tui.models import events as e
from tui.models.audio_manager import AudioManager
from tui.models.journal import Journal
from tui.models.session_state import Completed
from tui.protocols.base import CallerEnd, Outgoing, TelephonyEvent
from tui.protocols.base import TelephonyEventType as T
from tui.session.agent_events import transcribed
from tui.session.reply_checks import ReplyChecks


@dataclass(eq=False, repr=False)
class AgentAudio:
    """Plays the agent's replies, and reports the outcome to the agent and as events. Runs on the session's loop.

    If the protocol has no message for the end of a reply, a reply ends when it has had no audio to play for
    ``ends_after_ms``. ``ends_after_ms`` is 0 if the agent marks the end of replies. ``wake`` is called when
    the audio should be polled soon, because the first audio of a reply or a mark has arrived.
    """

    journal: Journal
    audio: AudioManager
    caller: CallerEnd
    send: Callable[[Iterable[Outgoing]], None]
    checks: ReplyChecks
    _: KW_ONLY
    ends_after_ms: float
    wake: Callable[[], None]

    def __post_init__(self) -> None:
        self._latest = ""
        """The reply to which the latest chunk of audio belongs."""
        self.journal.state.add_completion_callback(self._report_finished)

    def register_with(self, router: EventRouter) -> None:
        """Registers handlers for the telephony events about agent audio."""
        handlers: dict[T, Callable[[TelephonyEvent], object]] = {
            T.PLAY_STREAM_START: self._begin,
            T.PLAY_STREAM_CHUNK: self._play,
            T.PLAY_STREAM_STOP: lambda event: self._end(event.stream_id),
            T.PLAY_STREAM_DISCARDED: self._discarded,
            T.CLEAR: lambda event: self.interrupt(event.reason, by_agent=True),
            T.PLAY_HELD: lambda event: self.audio.playback.hold(True),
            T.PLAY_CONTINUED: lambda event: self.audio.playback.hold(False),
            T.MARK: lambda event: self._mark(event.text),
        }
        for event_type, handler in handlers.items():
            router.register_telephony_handler(event_type, handler)

    def poll(self, *, at_the_end: bool = False) -> None:
        """Emits the audio events since the previous poll.

        Also reports to the agent which marks were reached.
        """
        self._pass_on(self.audio.poll(self.journal.clock_ns(), at_the_end=at_the_end))

    def poll_sound(self) -> None:
        """Works like `poll`, but emits only events of lines and replies.

        Takes little time, so it can be called with every block.
        """
        self._pass_on(self.audio.poll_sound(self.journal.clock_ns()))

    def _pass_on(self, happened: Iterable[e.SessionEvent]) -> None:
        for event in happened:
            self.journal.emit(event)
        for name in self.audio.playback.reached_marks():
            self.send(self.caller.mark_reached(name))

    def end_dry_reply(self) -> None:
        """Ends a reply that has had no audio to play for ``ends_after_ms``.

        Does nothing if the agent marks the end of replies.
        """
        if self.ends_after_ms and (reply := self.audio.playback.ran_dry(self.ends_after_ms)):
            self._end(reply)

    async def interrupt(self, reason: str, by_agent: bool = False) -> None:
        """Silences the agent, and reports to the agent how much of each reply was heard.

        Discards the agent's audio in the queue and in the device.
        """
        asked_ns = self.journal.clock_ns()
        # Polled first, because the flush stops the device, whose clock is needed to date earlier events.
        self.poll()
        speaker = self.audio.playback.speaker
        cuts, silent_ns = await speaker.flush() if speaker else ([], asked_ns)
        # Emitted before the ends of the replies, because folds attribute each end to the most recent flush.
        if unheard_ms := sum(cut.unheard_ms for cut in cuts):
            self.journal.emit(
                e.Flushed(
                    at_ns=self.journal.clock_ns(),
                    reason=reason,
                    unheard_ms=unheard_ms,
                    by_agent=by_agent,
                    asked_ns=asked_ns,
                    silent_ns=silent_ns,
                )
            )
        for cut in cuts:
            interrupted = self.caller.interrupted(
                cut.reply_id, heard_ms=cut.heard_ms, received_ms=cut.received_ms
            )
            self.send(interrupted)
            self.journal.emit(
                e.PlaybackEnded(
                    at_ns=self.journal.clock_ns(),
                    reply=cut.reply_id,
                    heard_ms=cut.heard_ms,
                    unheard_ms=cut.unheard_ms,
                )
            )

    def _report_finished(self, event: Completed) -> None:
        """Reports to the agent how much of a reply was heard.

        Registered as the state's completion callback.
        """
        if isinstance(event, e.PlaybackEnded):
            received_ms = event.heard_ms + event.unheard_ms
            self.send(
                self.caller.playback_finished(event.reply, heard_ms=event.heard_ms, received_ms=received_ms)
            )

    def _begin(self, event: TelephonyEvent) -> None:
        if event.format is None:
            return
        at_ns, reply = self.journal.clock_ns(), event.stream_id
        self.journal.emit(e.ReplyStarted(at_ns=at_ns, reply=reply, format=str(event.format)))
        if event.text:
            self.journal.emit(transcribed(at_ns, e.Party.AGENT, event, final=True))
        self.audio.playback.begin(reply, event.format)

    def _mark(self, name: str) -> None:
        self.audio.playback.mark(name)
        self.wake()

    def _play(self, event: TelephonyEvent) -> None:
        if event.format is not None:
            self.checks.received(event.format, event.audio)
        self.audio.playback.play(event.stream_id, event.audio, event.format)
        if event.stream_id != self._latest:
            self._latest = event.stream_id
            self.wake()

    def _end(self, reply: str) -> None:
        received_ms = self.audio.playback.end(reply)
        if received_ms is not None:
            self.journal.emit(
                e.ReplyEnded(at_ns=self.journal.clock_ns(), reply=reply, received_ms=received_ms)
            )
            self.checks.ended(received_ms, self.audio.playback.delivery_ratio)

    def _discarded(self, event: TelephonyEvent) -> None:
        if event.format is not None:
            late_ms, reply = event.format.duration_ms(len(event.audio)), event.stream_id
            self.journal.lost(e.Loss.UNHEARD, late_ms, f"late audio for reply {reply}", reply=reply)
