"""Schedules how the agent reacts while the user speaks: it stops, says one word, or talks over the user."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, auto
from random import Random

from tui.agent.settings import AgentSettings, Fault


class Act(Enum):
    """A reaction of the agent while the user speaks."""

    YIELD = auto()
    """The agent stops speaking."""
    BACKCHANNEL = auto()
    """The agent says a word such as "yes" but lets the user continue."""
    TALK_OVER = auto()
    """The agent begins to speak and continues even while the user speaks."""


class Interplay:
    """Schedules acts at fixed delays after the user begins to speak.

    The seed selects the turns in which acts happen.
    """

    def __init__(self, settings: AgentSettings) -> None:
        self._settings = settings
        self._random = Random(settings.seed)
        self._plans: list[tuple[int, Act]] = []

    @property
    def next_due_ns(self) -> int | None:
        """Time of the next scheduled act; None if no act is scheduled."""
        return self._plans[0][0] if self._plans else None

    def user_began(self, onset_ns: int, *, agent_speaks: bool, yields: bool) -> None:
        """Schedules acts after the start of speech: an agent that yields stops, and a silent agent may join in."""
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
            # Each act has its own random number, so that the setting for one does not change which turns have the
            # other.
            if self._random.random() < settings.overlap_chance and delay_ms:
                self._plan(onset_ns, delay_ms, act)

    def user_ended(self) -> None:
        """Cancels all scheduled acts, because the user has stopped speaking."""
        self._plans = []

    def due(self, now_ns: int) -> Iterator[Act]:
        """Yields the acts that are due by ``now_ns``, in order."""
        while self._plans and self._plans[0][0] <= now_ns:
            yield self._plans.pop(0)[1]

    def _plan(self, onset_ns: int, delay_ms: int, act: Act) -> None:
        self._plans.append((onset_ns + delay_ms * 1_000_000, act))
        self._plans.sort(key=lambda plan: plan[0])
