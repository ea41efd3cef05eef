"""The one registry of actions: keys, footer, help and palette are made from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import ClassVar, Protocol, runtime_checkable

import msgspec
from textual.binding import Binding, BindingType


class Action(msgspec.Struct, frozen=True):
    """Something the user can do."""

    id: str
    """Stable: what a keymap in the settings names."""
    keys: str
    name: str
    """In the footer and the palette: one or two words."""
    tooltip: str
    """In the help, the palette and beside the mouse: a sentence."""
    call: str = ""
    """Textual's action; the id unless said otherwise."""
    show: bool = False
    """In the footer."""
    key_display: str | None = None
    palette: bool = True
    priority: bool = False

    @property
    def action(self) -> str:
        """What Textual is to run."""
        return self.call or self.id


@runtime_checkable
class HasActions(Protocol):
    """A screen whose actions the command palette lists."""

    ACTIONS: ClassVar[Sequence[Action]]


LINE_KEYS = "1-9"
"""How the footer shows the keys of the caller lines, all as one."""


@cache
def spoken() -> Mapping[str, str]:
    """What each key of `LINE_KEYS` says, by the action's id: "Say: Hello, …"; nothing without the recordings.

    Read when it is first wanted: the first picture does without.
    """
    from tui.assets import AssetsMissing, caller_lines

    try:
        return {f"say_{line.key}": f"Say: {line.text}" for line in caller_lines()}
    except AssetsMissing:
        return {}


SEARCHING: Sequence[Action] = (
    Action("next_match", "n", "Next", "While searching: go to the next match.", "find_next('n')", show=True),
    Action(
        "previous_match",
        "N",
        "Previous",
        "While searching: go to the match before.",
        "find_next('N')",
        show=True,
        key_display="N",
    ),
)
"""Before the session's own: while something is searched for, ``n`` is not the connect screen."""

LOG: Sequence[Action] = (
    Action("filter", "f", "Filter", "Show only some events; F1 there explains how.", "filter_log", show=True),
    Action("show_all", "backspace", "All events", "End the filter: show every event again.", key_display="⌫"),
    Action("filter_help", "f2", "Filter help", "How filters are written.", "filter_help", key_display="f2"),
    Action(
        "search",
        "slash",
        "Search",
        "Search in the lines of the log, then in its messages.",
        "search_log",
        show=True,
        key_display="/",
    ),
    Action("export", "x", "Export", "Write events to a file: shown, marked or all.", show=True),
    Action("mark", "b", "Mark", "Mark the event, or no longer."),
    Action(
        "next_mark", "right_square_bracket", "Next mark", "Go to the next mark.", "jump_mark", key_display="]"
    ),
    Action(
        "previous_mark",
        "left_square_bracket",
        "Previous mark",
        "Go to the mark before.",
        "jump_mark(False)",
        key_display="[",
    ),
    Action("note", "a", "Note", "Write a note on the event."),
    Action("next_error", "E", "Next error", "Go to the next error.", "jump('error')"),
    Action(
        "next_turn",
        "right_curly_bracket",
        "Next turn",
        "Go to the next turn.",
        "jump('turn')",
        key_display="}",
    ),
    Action(
        "previous_turn",
        "left_curly_bracket",
        "Previous turn",
        "Go to the turn before.",
        "jump('turn', False)",
        key_display="{",
    ),
    Action("go_to", "g", "Go to", "Go to a time or an event's number."),
    Action(
        "pair", "o", "Other end", "Go to what belongs to the event: a call's result, a start's stop.", "pair"
    ),
    Action("open_run", "right", "Open run", "Show every message of a run.", "run(True)", key_display="→"),
    Action("close_run", "left", "Close run", "Make one line of a run again.", "run(False)", key_display="←"),
    Action("times", "z", "Times", "Times of day, or since the session's start."),
)

PANES: Sequence[Action] = (
    Action("pane_log", "l", "Log", "Go to the event log.", "pane('log')"),
    Action(
        "pane_transcript",
        "t",
        "Transcript",
        "Go to the transcript; from there, back to the log.",
        "pane('transcript')",
    ),
    Action(
        "pane_turns",
        "u",
        "Turns",
        "Go to the turns with the parts of their latency; from there, back to the log.",
        "pane('turns')",
    ),
    Action(
        "pane_tools",
        "j",
        "Tools",
        "Go to the tool calls; from there, back to the log.",
        "pane('tools')",
    ),
    Action(
        "pane_health",
        "h",
        "Health",
        "Go to audio and time in figures; from there, back to the log.",
        "pane('health')",
    ),
)

READING: Sequence[Action] = (
    Action(
        "copy_value",
        "y",
        "Copy value",
        "Copy the value under the detail's cursor, as it is; without a detail, the message.",
    ),
    Action("copy_path", "Y", "Copy path", "Copy where that value is in the message, as in $.session.voice."),
    Action("copy_message", "C", "Copy message", "Copy the whole message, as it came."),
    Action(
        "play_audio",
        "p",
        "Play",
        "Play the audio of the message, or of the whole run; stop it.",
        "play_event",
    ),
    Action(
        "compare",
        "D",
        "Compare",
        "Compare two marked events, or the marked one and this.",
        "compare_events",
    ),
)

COMPARE: Sequence[Action] = (
    Action("next_difference", "n", "Next", "Go to the next difference.", "difference", show=True),
    Action(
        "previous_difference",
        "N",
        "Previous",
        "Go to the difference before.",
        "difference(False)",
        show=True,
        key_display="N",
    ),
    Action("differences", "a", "All or differences", "Show everything, or only what differs.", show=True),
    Action(
        "compare_copy_value",
        "y",
        "Copy value",
        "Copy the value under the cursor, as it is: the right one where there are two.",
        "copy_value",
        show=True,
    ),
    Action("compare_copy_path", "Y", "Copy path", "Copy where that value is.", "copy_path", show=True),
    Action("compare_close", "escape,D", "Back", "Back to the log.", "close", show=True, key_display="esc"),
)

REPLAY: Sequence[Action] = (
    Action("play", "space", "Play", "Play or pause; log and transcript go along.", show=True),
    Action("seek_back", "left", "Back", "Back by a second.", "seek(-1)", show=True, key_display="←"),
    Action("seek_on", "right", "On", "On by a second.", "seek(1)", show=True, key_display="→"),
    Action("seek_far_back", "shift+left", "Back 10 s", "Back by ten seconds.", "seek(-10)"),
    Action("seek_far_on", "shift+right", "On 10 s", "On by ten seconds.", "seek(10)"),
    Action(
        "event_before",
        "comma",
        "Event before",
        "To the event before; wherever the log's cursor goes, the playhead is.",
        "step_event(-1)",
        key_display=",",
    ),
    Action(
        "event_after",
        "full_stop",
        "Next event",
        "To the next event; { and } go by turn, E by error.",
        "step_event(1)",
        key_display=".",
    ),
    Action(
        "toggle_run", "R", "Run", "Show every message of a run, or one line of it again.", key_display="R"
    ),
    *(
        Action(
            f"speed_{speed}",
            str(speed),
            "Speed" if speed == 1 else f"Speed {speed}x",
            "Once, twice, four or eight times as fast; twice is an octave higher, what is faster is silent.",
            f"speed({speed})",
            show=speed == 1,
            key_display="1248",
        )
        for speed in (1, 2, 4, 8)
    ),
    Action("sound", "s", "Sound", "Hear both, the user, the agent or none.", "change_sound", show=True),
    Action(
        "zoom_in",
        "plus,equals_sign",
        "Closer",
        "See less of the session in the waveform.",
        "zoom(2)",
        show=True,
        key_display="+",
    ),
    Action("zoom_out", "minus", "Further", "See more of it.", "zoom(0.5)", key_display="-"),
)
"""Before the session's own: in a saved session they have the keys of what needs a call."""

SESSION: Sequence[Action] = (
    *SEARCHING,
    *REPLAY,
    Action(
        "record", "r", "Record", "Record: what the microphone hears goes to the agent from now on.", show=True
    ),
    Action("stop", "s", "Stop", "Stop recording; the call goes on.", show=True),
    Action("toggle", "space", "Record or stop", "Start or stop recording.", "toggle_record"),
    Action("mute", "m", "Mute", "Mute or unmute: silence is sent instead of the microphone.", show=True),
    Action("hang_up", "d", "Hang up", "End the call.", show=True),
    Action(
        "interrupt", "i", "Flush", "Interrupt: drop the agent's audio that is still to be played.", show=True
    ),
    Action("keypad", "k", "DTMF", "Open the keypad and press DTMF keys.", show=True),
    *(
        Action(
            f"say_{key}",
            key,
            "Say",
            "Speak a recorded caller line as if into the microphone.",
            f"say('{key}')",
            show=key == "1",
            key_display=LINE_KEYS,
        )
        for key in "123456789"
    ),
    Action("write", "w", "Write", "Write what you would say, and send it as your turn.", show=True),
    Action(
        "instructions",
        "I",
        "Instructions",
        "Write anew how the agent is to behave, and send it in mid-call.",
        show=True,
    ),
    Action(
        "call", "c", "Call", "Call again; starts the engine again if it was lost.", "call_again", show=True
    ),
    Action("new", "n", "New", "Choose another target.", "new_target", show=True),
    Action(
        "louder", "plus,equals_sign", "Louder", "Playback volume up by 10 %.", "volume(0.1)", key_display="+"
    ),
    Action("quieter", "minus", "Quieter", "Playback volume down by 10 %.", "volume(-0.1)", key_display="-"),
    Action(
        "open",
        "enter",
        "Open",
        "Show the selected event in detail (a double click does too).",
        "open_event",
        show=True,
        key_display="⏎",
    ),
    Action("raw", "v", "Raw", "In the detail: the message as it came, or pretty.", "toggle_raw"),
    Action(
        "close",
        "escape",
        "Close",
        "Close the detail; then end the search, dismiss the error, then the notice.",
        "close",
        key_display="esc",
    ),
    Action("follow", "F", "Follow", "Go to the end of log and transcript and follow."),
    Action("error", "e", "Show error", "Jump to the last error's event in the log.", "jump_to_error"),
    *LOG,
    *READING,
    *PANES,
    Action("turn_of_event", "U", "Turn of event", "Go from the event to its turn."),
    Action(
        "wider",
        "greater_than_sign",
        "Larger",
        "Give the log, or the side, more of the screen (dragging the edge between them does too).",
        "resize(0.05)",
        key_display=">",
    ),
    Action(
        "narrower",
        "less_than_sign",
        "Smaller",
        "Give the log, or the side, less of the screen.",
        "resize(-0.05)",
        key_display="<",
    ),
    Action(
        "higher",
        "right_parenthesis",
        "Higher",
        "Make a pane higher than those it is stacked with (dragging its title does too).",
        "resize_height(1.25)",
        key_display=")",
    ),
    Action(
        "lower",
        "left_parenthesis",
        "Lower",
        "Make a pane lower than those it is stacked with.",
        "resize_height(0.8)",
        key_display="(",
    ),
)

CALLBACKS: Sequence[Action] = (
    Action(
        "trace",
        "space",
        "Trace",
        "Start or stop measuring every callback, here and in the engine.",
        show=True,
    ),
    Action(
        "sort_next",
        "right",
        "Sort",
        "Sort by the next column (a click on its title does too).",
        "sort_by(1)",
        show=True,
        key_display="→",
    ),
    Action("sort_previous", "left", "Sort", "Sort by the column before.", "sort_by(-1)", key_display="←"),
    Action(
        "callbacks_close",
        "escape,T",
        "Back",
        "Back to where you were; measuring goes on.",
        "close",
        show=True,
        key_display="esc",
    ),
    Action("reverse", "r", "Reverse", "Sort the other way round.", show=True),
)

APP: Sequence[Action] = (
    Action("help", "question_mark,f1", "Help", "Every key that works here.", show=True, key_display="?"),
    Action(
        "palette",
        "ctrl+p",
        "All",
        "Search everything that can be done now.",
        "command_palette",
        show=True,
        key_display="^p",
        palette=False,
        priority=True,
    ),
    Action("theme", "f3", "Theme", "Choose colours: dark, light, the terminal's own.", "change_theme"),
    Action(
        "callbacks",
        "T",
        "Callbacks",
        "Every callback: calls, errors, and how long it takes; the switch for it.",
    ),
    Action(
        "devices",
        "A",
        "Devices",
        "Microphones and speakers: what is in use, and another one, also in mid-call.",
    ),
    Action(
        "suspend",
        "ctrl+z",
        "Suspend",
        "Back to the shell; fg returns. The call goes on.",
        "suspend_process",
        key_display="^z",
        priority=True,
    ),
    Action("quit", "q", "Quit", "End the call and leave.", "quit", show=True),
    Action(
        "quit_now",
        "ctrl+c,ctrl+q",
        "Quit",
        "End the call and leave, from anywhere.",
        "quit",
        key_display="^c",
        palette=False,
        priority=True,
    ),
    Action("next_pane", "tab", "Next pane", "Go to the next pane.", "focus_next", palette=False),
    Action("previous_pane", "shift+tab", "Previous pane", "Go back a pane.", "focus_previous", palette=False),
)

TABS: Sequence[Action] = (*PANES, *(action for action in APP if action.id == "callbacks"))
"""The line of tabs is made from them. The callbacks have a screen of their own: nine columns, and keys (space,
r) that in a pane would take those of the call."""


def bindings(actions: Iterable[Action]) -> list[BindingType]:
    """The actions as Textual's bindings."""
    return [
        Binding(
            action.keys,
            action.action,
            action.name,
            show=action.show,
            key_display=action.key_display,
            priority=action.priority,
            tooltip=action.tooltip,
            id=action.id,
        )
        for action in actions
    ]
