"""Sends captured blocks to the agent, and detects the speech in them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tui.audio.blocks import Captured
from tui.audio.formats import encode
from tui.audio.gapless import GaplessSpeech
from tui.audio.speech import TrackEdge
from tui.models import events as e
from tui.models.audio_manager import AudioManager
from tui.models.journal import Journal
from tui.models.sound.known_speech import KnownSpeech
from tui.protocols.base import AcknowledgesUserStream, CallerEnd, Outgoing, PassesTime
from tui.session.send_pace import SendPace

EARLY_BLOCKS = 100
"""Maximum number of blocks kept while the user stream is being opened, so that the first word is not lost."""
OPENING_LIMIT_NS = 1_000_000_000
_NOT_OPEN = "the user stream is not open"
_NO_SOCKET = "the connection was lost"


@dataclass(eq=False, repr=False)
class UserAudio:
    """Passes captured blocks through the capture chain to the protocol. Runs on the session's loop.

    ``on_block`` receives each block after it was sent. Speech in the block is detected when the audio is next
    polled.
    """

    journal: Journal
    audio: AudioManager
    caller: CallerEnd
    send: Callable[[Iterable[Outgoing]], None]
    on_block: Callable[[Captured], None]

    def __post_init__(self) -> None:
        self._acknowledging = self.caller if isinstance(self.caller, AcknowledgesUserStream) else None
        self.pace = SendPace()
        self._early: deque[Captured] = deque()
        self._waits = False
        """Whether an event has reported that the agent did not open the user stream."""
        self._speech: GaplessSpeech | KnownSpeech | None = None
        self._heard_until_ns = 0

    def begin(self) -> None:
        """Creates the speech detector. Call it once the call is accepted, when the capture format is known."""
        self._speech = self.audio.user_speech(self._emit_edges)

    async def pump(self) -> None:
        """Sends captured blocks until it is cancelled."""
        async for block in self.audio.capture.blocks():
            pcm = await self.audio.capture.chain.execute_chain(block.pcm)
            if pcm is not block.pcm:
                block = block._replace(pcm=pcm)
            for_agent = self._send_block(block)
            # Speech that the agent never receives is treated as silence, so it neither begins nor prolongs a turn.
            self._detect_speech(block if for_agent else block._replace(pcm=bytes(len(block.pcm))))
            self.on_block(block)

    def send_early(self, _: object = None) -> None:
        """Sends the blocks that were captured while the user stream was being opened."""
        while self._early and self.caller.user_stream_open:
            self._send_now(self._early.popleft())
        self._report_waiting(False, "The user stream is open.")

    def sent(self, message: Outgoing) -> None:
        """Records that a message was written to the socket."""
        if message.audio_ms:
            self.pace.sent(message, self.journal.clock_ns())

    def _send_block(self, block: Captured) -> bool:
        """Sends a block or keeps it until the stream is open; returns False if it drops the block."""
        if self.caller.user_stream_open:
            self.send_early()
            self._send_now(block)
            return True
        controls, status = self.journal.state.controls, self.journal.state.status
        if controls.recording and self._acknowledging and self._acknowledging.user_stream_opening:
            self._keep_early(block)
            return True
        # The stream is closed on purpose. Audio from this time is never sent later, because the agent would mistake
        # old words for an answer to its reply.
        self._drop_early()
        if controls.recording and status is e.Status.RESUMING:
            self.journal.losing(e.Loss.UNSENT, _NO_SOCKET)
        elif controls.recording:
            self.journal.losing(e.Loss.WITHHELD)
        if isinstance(self.caller, PassesTime):
            self.send(self.caller.withheld(encode(block.pcm, self.audio.capture.format)))
        self.audio.keep_user_block(block.end_ns, block.pcm, sent=False)
        return False

    def _send_now(self, block: Captured) -> None:
        messages = list(self.caller.user_audio(encode(block.pcm, self.audio.capture.format)))
        self.pace.gave(block, messages, held=self.caller.user_stream_open)
        self.send(messages)
        self.audio.keep_user_block(block.end_ns, block.pcm)

    def _keep_early(self, block: Captured) -> None:
        if len(self._early) >= EARLY_BLOCKS:
            self._early.popleft()
            self.journal.losing(e.Loss.UNSENT, _NOT_OPEN)
        self._early.append(block)
        if block.end_ns - self._early[0].end_ns >= OPENING_LIMIT_NS:
            self._report_waiting(True, "The agent has not opened the user stream: no user audio is sent.")

    def _drop_early(self) -> None:
        """Drops the blocks that were captured while the user stream was being opened; counts them as lost."""
        while self._early:
            self._early.popleft()
            self.journal.losing(e.Loss.UNSENT, _NOT_OPEN)
        self._report_waiting(False, "User audio is no longer waiting for the user stream.")

    def _report_waiting(self, waits: bool, text: str) -> None:
        if waits == self._waits:
            return
        self._waits = waits
        hint = "The agent was asked to open the stream but has not responded." if waits else ""
        condition = e.Condition.STREAM_NOT_OPENED
        self.journal.condition(condition, "capture", active=waits, text=text, hint=hint)

    def finish(self) -> None:
        """Emits the end of ongoing speech, and the delays of sending.

        Call it after capture has ended.
        """
        self._drop_early()
        if self._speech:
            self._speech.finish(self._heard_until_ns)
        if measured := self.pace.measured(self.journal.clock_ns()):
            self.journal.emit(measured)

    def _detect_speech(self, block: Captured) -> None:
        if self._speech:
            self._heard_until_ns = block.end_ns
            self._speech.feed(block.pcm, block.end_ns)

    def _emit_edges(self, edges: Iterable[TrackEdge]) -> None:
        for edge in edges:
            way = self.pace.of(edge.at_ns)
            self.journal.emit(
                e.SpeechEdge(
                    at_ns=edge.at_ns,
                    speaker=e.Party.USER,
                    started=edge.started,
                    method=edge.method,
                    captured_ns=way.captured_ns,
                    framed_ns=way.framed_ns,
                    sent_ns=way.sent_ns,
                )
            )
