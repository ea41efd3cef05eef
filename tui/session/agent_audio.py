"""AgentAudio: agent audio on its way to the ear, and what the agent is told of what was heard."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tui.handlers.event_router import EventRouter
from tui.models import events as e
from tui.models.audio_manager import AudioManager
from tui.models.journal import Journal
from tui.models.session_state import Completed
from tui.models.sound.playback import Cut
from tui.protocols.base import CallerEnd, Outgoing, TelephonyEvent
from tui.protocols.base import TelephonyEventType as T


class AgentAudio:
    """Makes true what became of replies at the speaker, and tells the agent. On the session's loop.

    Where the agent need not say that a reply is complete, it is once it has run dry for ``ends_after_ms``; 0: the
    agent says it.
    """

    def __init__(
        self,
        journal: Journal,
        audio: AudioManager,
        caller: CallerEnd,
        send: Callable[[Iterable[Outgoing]], None],
        router: EventRouter,
        *,
        ends_after_ms: float,
    ) -> None:
        self._journal = journal
        self._audio = audio
        self._caller = caller
        self._send = send
        self._router = router
        self._ends_after_ms = ends_after_ms
        journal.state.add_completion_callback(self._tell_finished)

    def tell(self, *, at_the_end: bool = False) -> None:
        """Make true what happened to audio since the last call, and tell the agent which marks were reached."""
        for event in self._audio.poll(self._journal.clock_ns(), at_the_end=at_the_end):
            self._journal.emit(event)
        for name in self._audio.playback.reached_marks():
            self._send(self._caller.mark_reached(name))

    async def end_dry_reply(self) -> None:
        """End a reply that the agent does not end, when nothing of it has been left to play for long enough."""
        if self._ends_after_ms and (reply := self._audio.playback.ran_dry(self._ends_after_ms)):
            await self._router.handle_platform_event(TelephonyEvent(type=T.PLAY_STREAM_STOP, stream_id=reply))

    @property
    def in_reply(self) -> bool:
        """Whether the agent has begun a reply that it would still have to end, and was not interrupted in."""
        return not self._ends_after_ms and self._audio.playback.receiving

    async def interrupt(self, reason: str, by_agent: bool = False) -> None:
        """Flush what is queued for playback."""
        asked_ns = self._journal.clock_ns()
        cuts = await self._audio.flush()
        if unheard_ms := sum(cut.unheard_ms for cut in cuts):
            self._journal.emit(
                e.Flushed(
                    at_ns=self._journal.clock_ns(),
                    reason=reason,
                    unheard_ms=unheard_ms,
                    by_agent=by_agent,
                    asked_ns=asked_ns,
                    silent_ns=self._audio.playback.silent_ns,
                )
            )
        for cut in cuts:
            self._tell_cut(cut)

    def _tell_cut(self, cut: Cut) -> None:
        self._send(self._caller.interrupted(cut.reply, heard_ms=cut.heard_ms, received_ms=cut.received_ms))
        self._journal.emit(
            e.PlaybackEnded(
                at_ns=self._journal.clock_ns(),
                reply=cut.reply,
                heard_ms=cut.heard_ms,
                unheard_ms=cut.unheard_ms,
            )
        )

    def _tell_finished(self, event: Completed) -> None:
        """Completion callback of the state: the agent is told how much of a reply was heard."""
        if isinstance(event, e.PlaybackEnded):
            received_ms = event.heard_ms + event.unheard_ms
            self._send(
                self._caller.playback_finished(event.reply, heard_ms=event.heard_ms, received_ms=received_ms)
            )
