"""The actions of the session screen: their keys, help texts, conditions and functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from tui.engine import wire
from tui.screens import needs
from tui.screens.actions import LINE_KEYS, Action, ActionArea
from tui.screens.needs import Origin

if TYPE_CHECKING:
    from tui.screens.replay import Replay
    from tui.screens.session import SessionScreen

_call = partial(Action, area=ActionArea.CALL, origin=Origin.CALL)
_new_call = partial(Action, area=ActionArea.CALL)
_saved = partial(Action, area=ActionArea.REPLAY, origin=Origin.SAVED)
_find = partial(Action, area=ActionArea.FIND)
_read = partial(Action, area=ActionArea.READ)
_keep = partial(Action, area=ActionArea.KEEP)
_pane = partial(Action, area=ActionArea.PANES)


def _replay(do: Callable[[Replay], object]) -> Callable[[SessionScreen], object]:
    """Returns an action that calls ``do`` with the replay of a saved session. The action does nothing in a call."""
    return lambda s: None if s.replay is None else do(s.replay)


# fmt: off
def _say(key: str) -> Action:
    return _call(f"say_{key}", key, "Say", "Play a recorded line as if spoken into the microphone.",
                 lambda s: s.bridge.send(wire.SpeakLine(key=key)), needs.talking,
                 key_display=LINE_KEYS, show=key == "1")


def _speed(speed: int) -> Action:
    return _saved(f"speed_{speed}", str(speed), "Speed" if speed == 1 else f"Speed {speed}x",
                  "Playback speed 1×, 2×, 4× or 8×. 2× raises the pitch an octave; above that, audio is muted.",
                  _replay(lambda r: r.playhead.set_speed(speed)), key_display="1248", show=speed == 1)


SEARCHING: Sequence[Action] = (
    _find("next_match", "n", "Next", "Go to the next match.",
          lambda s: s.search.find(), needs.search, show=True, yields_key=True),
    _find("previous_match", "N", "Previous", "Go to the previous match.",
          lambda s: s.search.find(forward=False), needs.search, show=True),
)
"""Actions during a search, listed before the session's own actions so that ``n`` goes to the next match."""

LOG: Sequence[Action] = (
    _find("filter", "f", "Filter", "Show only matching events; press F1 in the filter for help.",
          lambda s: s.questions.ask_filter(), needs.events, show=True),
    _find("show_all", "backspace", "All events", "Clear the filter.",
          lambda s: s.questions.clear_filter(), needs.filter_),
    _find("filter_help", "f2", "Filter help", "Show how to write filters.",
          lambda s: s.questions.explain_filters()),
    _find("search", "slash", "Search", "Search the lines of the log, then the raw messages.",
          lambda s: s.questions.ask_search(), needs.events, show=True),
    _keep("export", "x", "Export", "Export events (shown, marked or all) to a file.",
          lambda s: s.export(), needs.events, show=True),
    _keep("mark", "b", "Mark", "Mark or unmark the event (in a pane, the event of the selected row).",
          lambda s: s.mark(), needs.events),
    _keep("next_mark", "right_square_bracket", "Next mark", "Go to the next mark.",
          lambda s: s.jumps.to_mark(), needs.marks),
    _keep("previous_mark", "left_square_bracket", "Previous mark", "Go to the previous mark.",
          lambda s: s.jumps.to_mark(forward=False), needs.marks),
    _keep("note", "a", "Note", "Add a note to the event.", lambda s: s.note(), needs.events, show=True),
    _find("next_error", "E", "Next error", "Go to the next error.", lambda s: s.jumps.to_error(), needs.events),
    _find("next_turn", "right_curly_bracket", "Next turn", "Go to the next turn.",
          lambda s: s.jumps.to_turn(), needs.events),
    _find("previous_turn", "left_curly_bracket", "Previous turn", "Go to the previous turn.",
          lambda s: s.jumps.to_turn(forward=False), needs.events),
    _find("go_to", "g", "Go to", "Go to a time or an event's number.",
          lambda s: s.questions.ask_place(), needs.events),
    _find("pair", "o", "Other end", "Jump to the matching event (call ↔ result, start ↔ stop).",
          lambda s: s.jumps.to_pair(), needs.events),
    _find("open_run", "right", "Open run", "Expand the run: show every message.",
          lambda s: s.log_pane.open_run(open_=True), needs.events),
    _find("close_run", "left", "Close run", "Collapse the run.",
          lambda s: s.log_pane.open_run(open_=False), needs.events),
    _find("times", "z", "Times", "Switch between time of day and time since the start.",
          lambda s: s.log_pane.toggle_times()),
)

PANES: Sequence[Action] = (
    _pane("pane_log", "l", "Log", "Go to the event log.", lambda s: s.panes.visit("log")),
    _pane("pane_transcript", "t", "Transcript", "Go to the transcript; press again to return to the log.",
          lambda s: s.panes.visit("transcript")),
    _pane("pane_turns", "u", "Turns",
          "Go to the turns and their latency breakdown; press again to return to the log.",
          lambda s: s.panes.visit("turns")),
    _pane("pane_tools", "J", "Tools", "Go to the tool calls; press again to return to the log.",
          lambda s: s.panes.visit("tools")),
    _pane("pane_floor", "O", "Floor",
          "Go to the floor pane: both lanes of speech, talk-over and gaps; press again to return to the log.",
          lambda s: s.panes.visit("floor")),
    _pane("pane_health", "h", "Health", "Go to the audio and timing figures; press again to return to the log.",
          lambda s: s.panes.visit("health")),
)

SCENARIO_PANE = _pane(
    "pane_scenario", "S", "Scenario", "Go to the scenario's steps; press again to return to the log.",
    lambda s: s.panes.visit("scenario"), needs.scenario)

SCENARIO: Sequence[Action] = (
    SCENARIO_PANE,
    _call("play_scenario", "L", "Play scenario", "Play a scenario file in this call.",
          lambda s: s.scenario.ask_file(), needs.room_for_scenario),
    _keep("make_scenario", "X", "Make scenario", "Turn this call into a scenario: a test that repeats the call.",
          lambda s: s.scenario.ask_new_file(), needs.turns),
    _call("speak", "W", "Speak", "Type a sentence to be spoken to the agent.",
          lambda s: s.controls.ask_sentence(), needs.talking),
)

READING: Sequence[Action] = (
    _read("copy_value", "y", "Copy",
          "Copy the value under the cursor in the detail pane, or the message if the pane is closed.",
          lambda s: s.reading.copy_value(), needs.events),
    _read("copy_path", "Y", "Copy path", "Copy the path of the value under the cursor, such as $.session.voice.",
          lambda s: s.reading.copy_path(), needs.detail),
    _read("copy_message", "C", "Copy all", "Copy the whole raw message.",
          lambda s: s.reading.copy_message(), needs.events),
    _keep("copy_transcript", "ctrl+t", "Copy transcript", "Copy the transcript as text.",
          lambda s: s.reading.copy_transcript(), needs.words),
    _read("play_audio", "p", "Play", "Play or stop the audio of the message, or of the whole run.",
          lambda s: s.reading.play(), needs.events),
    _read("compare", "D", "Compare", "Compare the two marked events, or the marked event and this one.",
          lambda s: s.reading.compare(), needs.events),
)

REPLAY: Sequence[Action] = (
    _saved("play", "space", "Play", "Play or pause; the log and transcript follow.",
           _replay(lambda r: r.playhead.toggle()), show=True),
    _saved("seek_back", "left", "Back", "Back 1 second.", _replay(lambda r: r.playhead.seek_by(-1)), show=True),
    _saved("seek_on", "right", "Forward", "Forward 1 second.", _replay(lambda r: r.playhead.seek_by(1)), show=True),
    _saved("seek_far_back", "shift+left", "Back 10 s", "Back 10 seconds.",
           _replay(lambda r: r.playhead.seek_by(-10))),
    _saved("seek_far_on", "shift+right", "Forward 10 s", "Forward 10 seconds.",
           _replay(lambda r: r.playhead.seek_by(10))),
    _saved("event_before", "comma", "Previous event",
           "Go to the previous event; the playhead follows the cursor in the log.",
           _replay(lambda r: r.step(-1))),
    _saved("event_after", "full_stop", "Next event", "Go to the next event; { and } move by turn, E by error.",
           _replay(lambda r: r.step(1))),
    _saved("toggle_run", "R", "Run", "Expand or collapse the run.", _replay(lambda r: r.toggle_run())),
    *map(_speed, (1, 2, 4, 8)),
    _saved("sound", "s", "Sound", "Cycle what you hear: both, user, agent, none.",
           _replay(lambda r: r.playhead.change_sound()), show=True),
    _saved("zoom_in", "plus,equals_sign", "Zoom in", "Zoom in on the waveform.",
           _replay(lambda r: r.waveform.zoom_by(2)), key_display="+", show=True),
    _saved("zoom_out", "minus", "Zoom out", "Zoom out on the waveform.",
           _replay(lambda r: r.waveform.zoom_by(0.5))),
)
"""Actions of a saved session.

They are listed before the session's own actions because they take over keys of actions that need a call.
"""

REPORT = _keep("report", "ctrl+s", "Save report as…", "Save a report of the session as a single HTML page.",
               lambda s: s.post_message(s.ReportWanted()), needs.saved, show=True)

SESSION: Sequence[Action] = (
    *SEARCHING,
    # Listed early, so that the footer always has room for it, because the report is the usual next step.
    *REPLAY[:1],
    REPORT,
    *REPLAY[1:],
    _call("hand", "G", "By hand", "Take over the call from the scenario, or hand it back.",
          lambda s: s.scenario.toggle_hand(), needs.scenario_in_play, show=True),
    _call("record", "r", "Record", "Record: send what the microphone hears to the agent.",
          lambda s: s.bridge.send(wire.Record(on=True)), needs.microphone_off, show=True),
    _call("stop", "s", "Stop", "Stop recording; the call continues.",
          lambda s: s.bridge.send(wire.Record(on=False)), needs.microphone_on, show=True),
    _call("toggle", "space", "Record or stop", "Start or stop recording.",
          lambda s: s.bridge.send(wire.Record(on=not s.bridge.state.controls.recording)), needs.talking),
    _call("mute", "m", "Mute", "Mute or unmute: while muted, silence is sent.",
          lambda s: s.bridge.send(wire.SetMuted(muted=not s.bridge.state.controls.muted)), needs.live_call,
          show=True),
    _call("hang_up", "d", "Hang up", "End the call.",
          lambda s: s.bridge.send(wire.HangUp()), needs.call_to_end, show=True),
    _call("interrupt", "i", "Flush", "Interrupt the agent: discard its audio that hasn't played yet.",
          lambda s: s.bridge.send(wire.Interrupt()), needs.talking, show=True),
    _call("keypad", "K", "DTMF", "Open the keypad and press DTMF keys.",
          lambda s: s.controls.open_keypad(), needs.keypad, show=True),
    *map(_say, "123456789"),
    _call("write", "w", "Write", "Type a message and send it as your turn.",
          lambda s: s.controls.write(), needs.typed_turns, show=True),
    _call("instructions", "I", "Instructions", "Edit the agent's instructions and send them during the call.",
          lambda s: s.controls.edit_instructions(), needs.instructions, show=True),
    _new_call("call", "c", "Call", "Call again; this also restarts the engine if it was lost.",
              lambda s: s.post_message(s.CallWanted()), needs.target, show=True),
    _new_call("new", "n", "New", "Choose another agent to call.",
              lambda s: s.post_message(s.TargetWanted()), needs.no_call, show=True),
    _keep("sessions", "ctrl+o", "Sessions",
          "List the saved sessions; there, you can open or delete them, or create a report.",
          lambda s: s.post_message(s.SessionsWanted()), needs.no_call, show=True),
    _call("louder", "plus,equals_sign", "Louder", "Raise the playback volume by 10%.",
          lambda s: s.bridge.send(wire.ChangeVolume(by=0.1)), needs.live_call, key_display="+"),
    _call("quieter", "minus", "Quieter", "Lower the playback volume by 10%.",
          lambda s: s.bridge.send(wire.ChangeVolume(by=-0.1)), needs.live_call),
    _read("open", "enter", "Open", "Show the selected event in detail (or double-click it).",
          lambda s: s.reading.open(), needs.events, show=True),
    _read("raw", "v", "Raw", "In the detail pane, switch between the raw and the formatted message.",
          lambda s: s.detail.toggle_raw(), needs.detail),
    _read("close", "escape", "Close",
          "Close the detail pane; press again to close the search, the error and the notice.",
          lambda s: s.close()),
    _find("follow", "F", "Follow", "Go to the end of the log and transcript and follow them.",
          lambda s: s.follow()),
    _find("error", "e", "Show error", "Jump to the event with the last error.",
          lambda s: s.jump_to_error(), needs.error),
    *LOG,
    *READING,
    *PANES,
    *SCENARIO,
    _find("turn_of_event", "U", "Turn of event", "Go from the event to its turn.",
          lambda s: s.go_to_turn_of_event(), needs.turns),
    _pane("wider", "greater_than_sign", "Larger",
          "Enlarge the log or the side panes (or drag the edge between them).",
          lambda s: s.panes.resize(0.05)),
    _pane("narrower", "less_than_sign", "Smaller", "Shrink the log or the side panes.",
          lambda s: s.panes.resize(-0.05)),
    _pane("maximize", "Z", "Maximize", "Maximize the pane, or restore it (escape also restores it).",
          lambda s: s.panes.maximize()),
    _pane("higher", "right_parenthesis", "Taller", "Make the pane taller (or drag its title).",
          lambda s: s.panes.resize_height(1.25), needs.stacked_panes),
    _pane("lower", "left_parenthesis", "Shorter", "Make the pane shorter.",
          lambda s: s.panes.resize_height(0.8), needs.stacked_panes),
)
# fmt: on

ACTIONS_BY_ID: Mapping[str, Action] = {action.id: action for action in SESSION}
