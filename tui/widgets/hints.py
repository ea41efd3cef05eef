"""Texts for empty panes, which say what will appear and which key to press."""

from __future__ import annotations

from tui.models.events import Status
from tui.models.session_state import SessionState
from tui.targets import DEMO_TITLE

KEYS_TO_CALL = "Press c to call, n to choose an agent."
_KEYS_TO_TALK = "In a call, press r to talk or 1 to play a recorded line."


def nothing_shown(state: SessionState, nothing: str, until: str = "") -> str:
    """Returns the text for an empty pane, which begins with ``nothing``.

    Until the call ends, the text also says what will appear in the pane, and which key to press.
    """
    if state.status in (Status.ENDED, Status.ERROR):
        return f"{nothing} in this call."
    return " ".join(filter(None, (f"{nothing} yet.", until, _KEYS_TO_TALK)))


def what_to_press(state: SessionState) -> str:
    """Returns a hint that names the keys for starting to talk.

    Empty once the user has spoken, and for a saved session.
    """
    if state.status is not Status.ACTIVE or state.controls.recording or state.controls.line:
        return ""
    if any(turn.number for turn in state.metrics.turns):
        return ""
    if state.title == DEMO_TITLE:
        return "press 1 to ask a recorded question"
    return "press r to talk, 1 to play a recorded line"
