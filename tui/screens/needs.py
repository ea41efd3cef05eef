"""Conditions for the actions of the session screen.

A condition returns "" if it is met; otherwise, it returns the reason why the action is not available.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from tui.models.events import ScenarioPhase, Status

if TYPE_CHECKING:
    from tui.protocols.abilities import Lacking


class Origin(Enum):
    """The origin of the events on the screen: a call or a saved session. The value is part of a heading."""

    CALL = "in a call"
    SAVED = "saved"


class Situation(NamedTuple):
    """The state of the session and the screen that determines which actions apply."""

    origin: Origin
    status: Status
    lacking: Lacking
    """Abilities that the protocol lacks, with reasons."""
    recording: bool
    can_call: bool
    """Whether there is a target to call."""
    saved: bool
    """Whether the session has a folder."""
    has_events: bool
    has_words: bool
    """Whether there is a transcript."""
    has_turns: bool
    has_error: bool
    has_marks: bool
    detail_open: bool
    panes_stacked: bool
    searching: bool
    filtered: bool
    scenario: ScenarioPhase | None = None
    """The phase of the session's scenario; None if there is none."""

    @property
    def talking(self) -> bool:
        """Whether the user can talk to the agent."""
        return self.status in (Status.ACTIVE, Status.RESUMING)


Need = Callable[[Situation], str]
"""A condition for an action."""


def _when(holds: Callable[[Situation], object], otherwise: str) -> Need:
    """Returns a condition that is met while ``holds`` is true.

    ``otherwise`` is the reason if the condition is not met.
    """
    return lambda now: "" if holds(now) else otherwise


def nothing(now: Situation) -> str:
    """Requires nothing, so that the action always applies."""
    return ""


# a call


def talking(now: Situation) -> str:
    """Requires that the agent is listening."""
    return "" if now.talking else _no_call(now.status)


def microphone_off(now: Situation) -> str:
    """Requires that the agent is listening and the microphone is off."""
    return "already recording" if now.recording else talking(now)


def keypad(now: Situation) -> str:
    """Requires a protocol with DTMF."""
    return (now.talking and now.lacking.keypad) or talking(now)


def typed_turns(now: Situation) -> str:
    """Requires a protocol with typed turns."""
    return (now.talking and now.lacking.write) or _active(now)


def instructions(now: Situation) -> str:
    """Requires a protocol in which the instructions can change during a call."""
    return (now.talking and now.lacking.instructions) or _active(now)


def live_call(now: Situation) -> str:
    """Requires a call, even one that is not yet connected."""
    return "" if now.status.live else _no_call(now.status)


def call_to_end(now: Situation) -> str:
    """Requires a call that is not already ending."""
    return "" if now.status.live and now.status is not Status.ENDING else _no_call(now.status)


def no_call(now: Situation) -> str:
    """Requires that no call is in progress."""
    return "hang up first" if now.status.live and now.origin is Origin.CALL else ""


def target(now: Situation) -> str:
    """Requires a target to call, and no call in progress."""
    unknown = "no agent has been chosen"
    if now.origin is Origin.SAVED:
        unknown = "the session does not name an agent that can be called"
    return no_call(now) or ("" if now.can_call else unknown)


# a scenario


def scenario_in_play(now: Situation) -> str:
    """Requires a scenario that is not over."""
    in_play = now.scenario in (ScenarioPhase.PLAYING, ScenarioPhase.BY_HAND)
    return _active(now) or ("" if in_play else "no scenario is being played")


def room_for_scenario(now: Situation) -> str:
    """Requires a call in which no scenario is running."""
    return _active(now) or ("a scenario is being played" if not scenario_in_play(now) else "")


def saved(now: Situation) -> str:
    """Requires a session that has ended and was saved."""
    return no_call(now) or ("" if now.saved else "the session is not saved")


microphone_on = _when(lambda now: now.recording, "not recording")
scenario = _when(lambda now: now.scenario, "no scenario was played")
events = _when(lambda now: now.has_events, "there are no events yet")
words = _when(lambda now: now.has_words, "there is no transcript yet")
turns = _when(lambda now: now.has_turns, "there are no turns yet")
error = _when(lambda now: now.has_error, "there was no error")
marks = _when(lambda now: now.has_marks, "no event is marked")
filter_ = _when(lambda now: now.filtered, "no filter is set")
search = _when(lambda now: now.searching, "no search is active")
detail = _when(lambda now: now.detail_open, "no event is open")
stacked_panes = _when(lambda now: now.panes_stacked, "no panes are stacked")


def _active(now: Situation) -> str:
    return "" if now.status is Status.ACTIVE else _no_call(now.status)


def _no_call(status: Status) -> str:
    match status:
        case Status.CONNECTING | Status.INITIATING:
            return "the call is not connected yet"
        case Status.ENDING:
            return "the call is ending"
        case Status.RESUMING:
            return "the connection is being resumed"
        case _:
            return "there is no call"
