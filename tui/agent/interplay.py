"""Controls the agent while the user speaks: it gives way, utters a word, or talks over the user."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, auto
from random import Random

from tui.agent.settings import AgentSettings, Fault


class Act(Enum):
    """Something that the agent does during the user's speech."""

    YIELD = auto()
    """It stops speaking."""
    BACKCHANNEL = auto()
    """It says a word, such as "yes", and leaves the floor to the user."""
    TALK_OVER = auto()
    """It begins to speak and does not stop."""


class Interplay:
    """Plans acts at known delays after the user has begun to speak. Which turns have one follows from the seed."""

    def __init__(self, settings: AgentSettings) -> None:
        self._settings = settings
        self._random = Random(settings.seed)
        self._plans: list[tuple[int, Act]] = []

    @property
    def next_due_ns(self) -> int | None:
        """The time of the next act; None if none is planned."""
        return self._plans[0][0] if self._plans else None

    def user_began(self, onset_ns: int, *, agent_speaks: bool, yields: bool) -> None:
        """Plan what follows the onset: an agent that speaks gives way, another one may join in."""
        settings = self._settings
        self._plans = []
        if yields:
            self._plan(onset_ns, settings.yield_ms, Act.YIELD)
        if settings.fault is Fault.TALKS_OVER:
            self._plan(onset_ns, 0, Act.TALK_OVER)
        if agent_speaks:
            return
        for act, delay_ms in (
            (Act.BACKCHANNEL, settings.backchannel_ms),
            (Act.TALK_OVER, settings.talk_over_ms),
        ):
            # A number is drawn for each, so that one setting does not change the turns of the other.
            if self._random.random() < settings.overlap_chance and delay_ms:
                self._plan(onset_ns, delay_ms, act)

    def user_ended(self) -> None:
        """Drop what was planned for the time of the user's speech."""
        self._plans = []

    def due(self, now_ns: int) -> Iterator[Act]:
        """Yields the acts that are due by now, in order."""
        while self._plans and self._plans[0][0] <= now_ns:
            yield self._plans.pop(0)[1]

    def _plan(self, onset_ns: int, delay_ms: int, act: Act) -> None:
        self._plans.append((onset_ns + delay_ms * 1_000_000, act))
        self._plans.sort(key=lambda plan: plan[0])
