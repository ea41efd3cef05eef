"""Conditions for the actions of the session screen.

Each condition returns the reason why an action is not available at the moment, or "" if it is.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from tui.models.events import ScenarioPhase, Status

if TYPE_CHECKING:
    from tui.protocols.abilities import Lacking


class Origin(Enum):
    """Origin of the events on the screen; the value is part of a heading."""

    CALL = "in a call"
    SAVED = "saved"


class Situation(NamedTuple):
    """The state of session and screen that determines which actions apply."""

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


def nothing(now: Situation) -> str:
    """Has no conditions; the action always applies."""
    return ""


# a call


def talking(now: Situation) -> str:
    """Needs an agent that is listening."""
    return "" if now.talking else _no_call(now.status)


def microphone_off(now: Situation) -> str:
    """Needs an agent that is listening and a microphone that is off."""
    return "already recording" if now.recording else talking(now)


def microphone_on(now: Situation) -> str:
    """Needs a microphone that is on."""
    return "" if now.recording else "not recording"


def keypad(now: Situation) -> str:
    """Needs a protocol with DTMF."""
    return (now.talking and now.lacking.keypad) or talking(now)


def typed_turns(now: Situation) -> str:
    """Needs a protocol with typed turns."""
    return (now.talking and now.lacking.write) or _active(now)


def instructions(now: Situation) -> str:
    """Needs a protocol that can change the instructions during the call."""
    return (now.talking and now.lacking.instructions) or _active(now)


def live_call(now: Situation) -> str:
    """Needs a call, even one that is not yet connected."""
    return "" if now.status.live else _no_call(now.status)


def call_to_end(now: Situation) -> str:
    """Needs a call that is not ending."""
    return "" if now.status.live and now.status is not Status.ENDING else _no_call(now.status)


def no_call(now: Situation) -> str:
    """Needs a session without a call in progress."""
    return "hang up first" if now.status.live and now.origin is Origin.CALL else ""


def target(now: Situation) -> str:
    """Needs a target and no call in progress."""
    unknown = "no agent has been chosen"
    if now.origin is Origin.SAVED:
        unknown = "the session does not name an agent that can be called"
    return no_call(now) or ("" if now.can_call else unknown)


# a scenario


def scenario(now: Situation) -> str:
    """Needs a scenario that is running or has run."""
    return "" if now.scenario else "no scenario was played"


def scenario_in_play(now: Situation) -> str:
    """Needs a scenario that is not over."""
    in_play = now.scenario in (ScenarioPhase.PLAYING, ScenarioPhase.BY_HAND)
    return _active(now) or ("" if in_play else "no scenario is being played")


def room_for_scenario(now: Situation) -> str:
    """Needs a call in which no scenario is running."""
    return _active(now) or ("a scenario is being played" if not scenario_in_play(now) else "")


# the session


def events(now: Situation) -> str:
    """Needs an event in the log."""
    return "" if now.has_events else "there are no events yet"


def saved(now: Situation) -> str:
    """Needs a session that was saved and has ended."""
    return no_call(now) or ("" if now.saved else "the session is not saved")


def words(now: Situation) -> str:
    """Needs an entry in the transcript."""
    return "" if now.has_words else "there is no transcript yet"


def turns(now: Situation) -> str:
    """Needs a turn."""
    return "" if now.has_turns else "there are no turns yet"


def error(now: Situation) -> str:
    """Needs an error in the session."""
    return "" if now.has_error else "there was no error"


# view of the session


def marks(now: Situation) -> str:
    """Needs a marked event."""
    return "" if now.has_marks else "no event is marked"


def filter_(now: Situation) -> str:
    """Needs a filter that hides events."""
    return "" if now.filtered else "no filter is set"


def search(now: Situation) -> str:
    """Needs an active search."""
    return "" if now.searching else "no search is active"


def detail(now: Situation) -> str:
    """Needs an event that is shown in detail."""
    return "" if now.detail_open else "no event is open"


def stacked_panes(now: Situation) -> str:
    """Needs panes stacked on top of each other."""
    return "" if now.panes_stacked else "no panes are stacked"


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
