"""UserAudio: captured blocks on their way to the wire, and what is known of the speech in them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

from tui.audio.blocks import Block
from tui.audio.speech import SpeechDetector, make_detector
from tui.callbacks import spawn
from tui.models import events as e
from tui.models.audio_manager import AudioManager
from tui.models.journal import Journal
from tui.protocols.base import CallerEnd, Outgoing

EARLY_BLOCKS = 100
"""Blocks kept while the user stream is being opened, so that the first word is not lost."""


class UserAudio:
    """Takes blocks from the microphone through the capture chain to the protocol. On the session's loop."""

    def __init__(
        self,
        journal: Journal,
        audio: AudioManager,
        caller: CallerEnd,
        send: Callable[[Iterable[Outgoing]], None],
    ) -> None:
        self._journal = journal
        self._audio = audio
        self._caller = caller
        self._send = send
        self._early: deque[Block] = deque()
        self._detector: SpeechDetector | None = None

    def begin(self, rate: int) -> None:
        """The agent has accepted user audio at that rate: get ready to detect speech in it."""
        spawn(self._load_detector(rate), "load speech detector")

    async def pump(self) -> None:
        """Send what is captured, until cancelled."""
        async for instant_ns, block in self._audio.captured():
            pcm = await self._audio.chain.execute_chain(block)
            self._detect_speech(pcm, instant_ns)
            self._send_block(instant_ns, pcm)

    def send_early(self, _: object = None) -> None:
        """The user stream is open: send what has waited for it."""
        while self._early and self._caller.user_stream_open:
            self._send_now(*self._early.popleft())

    def _send_block(self, instant_ns: int, pcm: bytes) -> None:
        if self._caller.user_stream_open:
            self.send_early()
            self._send_now(instant_ns, pcm)
        elif not self._journal.state.recording:
            self._early.clear()
            self._audio.tell_sent(instant_ns, pcm, sent=False)
        elif self._audio.playback.playing:
            self._journal.lost(e.Loss.WITHHELD, 1)
            self._audio.tell_sent(instant_ns, pcm, sent=False)
        else:
            self._keep_early(instant_ns, pcm)

    def _send_now(self, instant_ns: int, pcm: bytes) -> None:
        self._send(self._caller.user_audio(self._audio.encode(pcm)))
        self._audio.tell_sent(instant_ns, pcm)

    def _keep_early(self, instant_ns: int, pcm: bytes) -> None:
        if len(self._early) >= EARLY_BLOCKS:
            self._early.popleft()
            self._journal.lost(e.Loss.UNSENT, 1, "the user stream is not open")
        self._early.append((instant_ns, pcm))

    async def _load_detector(self, rate: int) -> None:
        """Loading the model takes 100 ms, which nothing should wait for."""
        self._detector = await asyncio.to_thread(make_detector, rate)
        if self._detector.fallback_reason:
            self._journal.notice(f"Speech is detected by loudness alone: {self._detector.fallback_reason}")

    def _detect_speech(self, pcm: bytes, end_ns: int) -> None:
        for edge in self._detector.feed(pcm, end_ns) if self._detector else []:
            self._journal.emit(
                e.SpeechEdge(
                    at_ns=edge.at_ns, speaker=e.Speaker.USER, started=edge.started, method=edge.method
                )
            )
