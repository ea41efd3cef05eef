"""ScenarioProgress: the steps and verdicts of the scenario that runs in a call, folded from events."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from tui.callbacks import CallbackManager, Registration
from tui.models.events import ScenarioChanged, ScenarioPhase, SessionEvent, SessionStarted, StepChanged

CHANGED = "changed"
MOST_STEPS = 10_000
"""Limit on the number of steps kept, because saved events may be forged."""


class Rung(msgspec.Struct):
    """A step or limit of the scenario. Updated in place."""

    text: str
    place: str = ""
    verdict: str = ""
    """Empty until the step is evaluated."""
    reason: str = ""
    number: int = 0
    """Number of the event with which the step began; 0 if it has not begun."""
    began_ns: int | None = None
    took_ms: float | None = None


class ScenarioProgress:
    """The progress of the scenario in the current session."""

    def __init__(self) -> None:
        self.callbacks = CallbackManager()
        self._begin()

    def _begin(self) -> None:
        self.scenario: ScenarioChanged | None = None
        """The latest event about the whole scenario; None if there is no scenario."""
        self.rungs: list[Rung] = []
        self.current: int | None = None
        """Index of the current step; None between steps, and once all steps are over."""

    def add_change_callback(self, callback: Callable[[], object]) -> Registration:
        """Calls ``callback()`` after every change."""
        return self.callbacks.register_callback(CHANGED, callback)

    @property
    def phase(self) -> ScenarioPhase | None:
        """The phase of the scenario; None if there is none."""
        return self.scenario.phase if self.scenario else None

    @property
    def name(self) -> str:
        """The scenario's name; empty if there is none."""
        return self.scenario.name if self.scenario else ""

    @property
    def focus(self) -> int | None:
        """Index of the step to show: the current step.

        Once all steps are over, the first step that failed.
        """
        if self.phase is not ScenarioPhase.OVER:
            return self.current
        failed = (index for index, rung in enumerate(self.rungs) if rung.verdict == "failed")
        return next(failed, len(self.rungs) - 1)

    def apply(self, event: SessionEvent) -> None:
        """Applies one event."""
        match event:
            case ScenarioChanged():
                if event.steps:
                    # Another scenario may run in the same call.
                    self._begin()
                    self.rungs = [Rung(text) for text in event.steps[:MOST_STEPS]]
                self.scenario = event
                if event.phase is ScenarioPhase.OVER:
                    self.current = None
            case StepChanged() if 0 < event.step <= MOST_STEPS:
                self._step(event)
            case SessionStarted() if self.rungs or self.scenario:
                self._begin()
            case _:
                return
        self.callbacks.trigger(CHANGED)

    def _step(self, event: StepChanged) -> None:
        index = event.step - 1
        while index >= len(self.rungs):
            self.rungs.append(Rung(""))
        rung = self.rungs[index]
        rung.text, rung.place = event.text, event.place
        if rung.began_ns is None or not event.verdict:
            rung.number, rung.began_ns = event.number, event.at_ns
        elif event.verdict:
            rung.took_ms = (event.at_ns - rung.began_ns) / 1e6
        rung.verdict, rung.reason = event.verdict, event.reason
        if not event.verdict:
            self.current = index
        elif self.current == index:  # transcripts are judged while later steps run
            self.current = None
