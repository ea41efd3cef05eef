"""Transcribes the turns of one call, one after another, with a recognizer in another process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tui.callbacks import spawn
from tui.speech.errors import SpeechError

if TYPE_CHECKING:
    from tui.agent.hearing import TurnEnded

Recognize = Callable[[bytes, int], str]
"""Returns the words in 16-bit mono PCM with the given rate in Hz; blocks the calling thread. Raises `SpeechError`."""


@dataclass(slots=True)
class AskedTurn:
    """A turn that is being transcribed."""

    turn: TurnEnded
    committed: bool
    """Whether the caller ended the turn and will request the answer."""
    wanted: bool = False
    """Whether the caller has requested the answer in the meantime."""


class Transcripts:
    """Transcribes turns and keeps them until the call takes them. Runs on the call's loop.

    ``on_problem`` is called with a short name and a sentence when a turn cannot be transcribed.
    """

    def __init__(self, recognize: Recognize, on_problem: Callable[[str, str], None]) -> None:
        self._recognize = recognize
        self._on_problem = on_problem
        self.newest: AskedTurn | None = None
        """The newest turn until it is taken; only this turn still needs an answer."""
        self._done: list[AskedTurn] = []
        self._one_at_a_time = asyncio.Lock()
        self._waiting: asyncio.Timeout | None = None

    @property
    def due(self) -> bool:
        """Whether a transcribed turn is waiting to be taken."""
        return bool(self._done)

    def ask(self, turn: TurnEnded, *, committed: bool = False) -> None:
        """Starts transcribing a turn without waiting for the result."""
        self.newest = AskedTurn(turn, committed)
        spawn(self._transcribe(self.newest), "transcription of a turn")

    def take(self) -> list[tuple[AskedTurn, bool]]:
        """Removes and returns the transcribed turns, each with a flag that is true for the call's newest turn."""
        done, self._done = self._done, []
        found = [(asked, asked is self.newest) for asked in done]
        if any(newest for _, newest in found):
            self.newest = None
        return found

    def wake(self, waiting: asyncio.Timeout) -> None:
        """Stores the timeout of the call's current wait, which is cut short once a turn has been transcribed."""
        self._waiting = waiting

    async def _transcribe(self, asked: AskedTurn) -> None:
        async with self._one_at_a_time:  # in the order in which they were spoken
            try:
                words = await asyncio.to_thread(self._recognize, asked.turn.pcm, asked.turn.rate)
            except SpeechError as error:
                self._on_problem("not transcribed", str(error))
                words = ""
        asked.turn = replace(asked.turn, words=words)
        self._done.append(asked)
        if self._waiting is not None:
            with contextlib.suppress(RuntimeError):  # the call is not waiting at the moment
                self._waiting.reschedule(0)
