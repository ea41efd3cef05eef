"""Prepares a call and creates its `LiveSession`, for the engine process and for headless runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from tui.audio.speech import load_detector
from tui.handlers.tools.file import Tool
from tui.models.audio_manager import AudioManager
from tui.models.events import SessionEvent
from tui.models.journal import Journal
from tui.models.sound.lines import CallerLine
from tui.models.target import Target
from tui.models.telemetry import Telemetry
from tui.saving.start import SavingProblems, start_saving
from tui.saving.writer import SessionWriter
from tui.session.dialling import Dialled
from tui.session.live import LiveSession


class CallSetUp:
    """Starts saving, configures audio, and creates the session. Runs on the session's loop.

    ``sink`` receives every event in order, after it has been saved.
    """

    def __init__(self, audio: AudioManager, sink: Callable[[SessionEvent], object]) -> None:
        self._audio = audio
        self._sink = sink
        self.problems = SavingProblems()
        self.writer: SessionWriter | None = None
        """Saves the session; None if the session is not saved."""

    async def prepare(self, target: Target, *, lines: Sequence[CallerLine] = ()) -> None:
        """Starts saving, and finds the devices. Raises an error if the call cannot be made."""
        await self.start_saving(target)
        await self.find_devices(target, lines=lines)

    async def start_saving(self, target: Target) -> None:
        """Starts saving the call, which is the first part of `prepare`.

        If the call fails later, the saved session contains the reason.
        """
        self.writer = await start_saving(target, self.problems)
        tracks = self.writer.tracks if self.writer else None
        self._audio.tracks = [tracks] if tracks else []

    async def find_devices(self, target: Target, *, lines: Sequence[CallerLine] = ()) -> None:
        """Finds the devices and loads the speech detector, which is the second part of `prepare`.

        Cancelling it has an effect immediately.
        """
        # Loaded now and on a thread, because loading the detector with the first sound would delay the call's audio.
        await asyncio.to_thread(load_detector)
        await self._audio.configure(
            input=target.input,
            output=target.output,
            block_ms=target.block_ms,
            latency=target.latency,
            echo=target.echo,
            fade_ms=target.fade_ms,
            lines=list(lines),
        )

    def session(
        self,
        dialled: Dialled,
        *,
        tools: Sequence[Tool] = (),
        telemetry: Callable[[Telemetry], object] | None = None,
        keep_raw: Callable[[bytes], int] = lambda _: -1,
        on_begun: Callable[[], object] = lambda: None,
        sums_audio: bool = False,
    ) -> LiveSession:
        """Returns the session, ready to run. Raises `ValueError` for settings that the protocol does not support.

        ``keep_raw`` stores the raw messages of a session that is not saved; ``sums_audio`` has the same
        meaning as in `MessageLog`.
        """

        def begun(journal: Journal) -> None:
            self.problems.begun(journal)
            on_begun()
            for guess in dialled.advice:
                journal.find(guess)
            for note in dialled.notes:
                journal.notice(note)

        return LiveSession(
            dialled.target,
            self._audio,
            redactor=dialled.redactor,
            tools=tools,
            sink=self.take,
            telemetry=telemetry,
            keep_raw=self.writer.append if self.writer else keep_raw,
            on_begun=begun,
            sums_audio=sums_audio,
        )

    def take(self, event: SessionEvent) -> None:
        """Saves an event if the session is saved, and passes it to ``sink``."""
        self._sink(self.writer.take(event) if self.writer else event)

    async def close(self) -> None:
        """Finishes saving."""
        if self.writer is not None:
            await self.writer.close()
