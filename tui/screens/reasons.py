"""Why a key does nothing just now, in a few words: for whoever presses it, and for the help."""

from __future__ import annotations

from tui.models.events import Status
from tui.models.session_state import SessionState

NEED_A_CALL = frozenset(
    {
        "record",
        "toggle_record",
        "keypad",
        "say",
        "interrupt",
        "write",
        "instructions",
        "mute",
        "volume",
        "hang_up",
    }
)
_NEED_EVENTS = frozenset(
    {
        "open_event",
        "filter_log",
        "search_log",
        "go_to",
        "export",
        "jump",
        "pair",
        "mark",
        "note",
        "run",
        "copy_value",
        "copy_message",
        "play_event",
        "compare_events",
    }
)
_OTHERS = {
    "stop": "nothing is being recorded",
    "new_target": "hang up first",
    "toggle_raw": "no event is open",
    "copy_path": "no event is open",
    "resize_height": "no panes are stacked here",
    "jump_to_error": "there was no error",
    "turn_of_event": "there are no turns yet",
    "show_all": "nothing is filtered out",
    "jump_mark": "nothing is marked",
    "find_next": "nothing is searched for",
}


def why_not(action: str, state: SessionState) -> str:
    """Why this action, which does not apply, does not. ``action``: Textual's, perhaps with parameters."""
    name = action.partition("(")[0]
    if name == "call_again":
        return "hang up first" if state.status.live else "no target was chosen"
    if name in NEED_A_CALL:
        return _why_not_in_call(name, state)
    if name in _NEED_EVENTS:
        return "there are no events yet"
    return _OTHERS.get(name, "not now")


def _why_not_in_call(name: str, state: SessionState) -> str:
    match state.status:
        case Status.CONNECTING | Status.INITIATING:
            return "the call is not up yet"
        case Status.ENDING:
            return "the call is ending"
        case Status.RESUMING:
            return "the connection is being resumed"
        case Status.ACTIVE if name == "record" and state.recording:
            return "recording already"
        case _:
            return "there is no call"
