"""When an action of the session screen applies, and why it does not: for keys, footer, help and palette."""

from __future__ import annotations

from typing import NamedTuple

from tui.models.events import Status
from tui.protocols.abilities import Lacking

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


class Situation(NamedTuple):
    """What of the session and its screen decides which actions apply."""

    status: Status
    lacking: Lacking
    """What the protocol cannot do."""
    recording: bool
    can_call: bool
    """Whether there is a target to call."""
    has_events: bool
    has_turns: bool
    has_error: bool
    has_marks: bool
    detail_open: bool
    panes_stacked: bool
    searching: bool
    filtered: bool

    @property
    def talking(self) -> bool:
        """Whether there is somebody to talk to."""
        return self.status in (Status.ACTIVE, Status.RESUMING)


def why_not(action: str, now: Situation) -> str:
    """Why this action (its name alone) does nothing just now, in a few words; nothing where it applies."""
    applies, otherwise = _rule(action, now)
    return "" if applies else otherwise


def _rule(action: str, now: Situation) -> tuple[bool, str]:
    """Whether it applies, and the reason if it does not."""
    match action:
        case "record" if now.recording:
            return False, "recording already"
        case "keypad" if now.talking and now.lacking.keypad:
            return False, now.lacking.keypad
        case "write" if now.talking and now.lacking.write:
            return False, now.lacking.write
        case "instructions" if now.talking and now.lacking.instructions:
            return False, now.lacking.instructions
        case "record" | "toggle_record" | "keypad" | "say" | "interrupt":
            return now.talking, _no_call(now.status)
        case "write" | "instructions":
            return now.status is Status.ACTIVE, _no_call(now.status)
        case "mute" | "volume":
            return now.status.live, _no_call(now.status)
        case "hang_up":
            return now.status.live and now.status is not Status.ENDING, _no_call(now.status)
        case "stop":
            return now.recording, "nothing is being recorded"
        case "call_again" if not now.status.live:
            return now.can_call, "no target was chosen"
        case "call_again" | "new_target":
            return not now.status.live, "hang up first"
        case "toggle_raw" | "copy_path":
            return now.detail_open, "no event is open"
        case "resize_height":
            return now.panes_stacked, "no panes are stacked here"
        case "jump_to_error":
            return now.has_error, "there was no error"
        case "jump_mark":
            return now.has_marks, "nothing is marked"
        case "show_all":
            return now.filtered, "nothing is filtered out"
        case "find_next":
            return now.searching, "nothing is searched for"
        case "turn_of_event":
            return now.has_turns, "there are no turns yet"
        case _:
            return now.has_events or action not in _NEED_EVENTS, "there are no events yet"


def _no_call(status: Status) -> str:
    match status:
        case Status.CONNECTING | Status.INITIATING:
            return "the call is not up yet"
        case Status.ENDING:
            return "the call is ending"
        case Status.RESUMING:
            return "the connection is being resumed"
        case _:
            return "there is no call"
