"""CallControls: the user's actions in a call, such as recording, muting, playing lines and hanging up."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from tui.bridge import Bridge
from tui.engine.wire import (
    ChangeVolume,
    HangUp,
    Interrupt,
    Record,
    SendDtmf,
    SendInstructions,
    SendText,
    SetMuted,
    SpeakLine,
    SpeakSentence,
)
from tui.widgets.question import Question

if TYPE_CHECKING:
    from tui.screens.session import SessionScreen
    from tui.widgets.writing import WriteLine


class CallControls:
    """Sends the user's commands to the engine. The engine reports the results as events."""

    def __init__(self, bridge: Bridge, screen: SessionScreen) -> None:
        self._bridge = bridge
        self._screen = screen
        self.can_call = False
        """Whether there is a target to call; set by the app."""
        self.instructions = ""
        """The agent's instructions in this call, as last sent. The app sets the initial instructions."""
        self.synthesizer = ""
        """Name of the synthesizer for sentences, from the settings; set by the app."""
        self.speech_model = ""
        """The model that recognizes the agent's words, from the settings; set by the app."""

    def record(self, *, on: bool) -> None:
        """Turns the microphone on or off."""
        self._bridge.send(Record(on=on))

    def toggle_record(self) -> None:
        """Turns the microphone on if it is off, and off if it is on."""
        self.record(on=not self._bridge.state.controls.recording)

    def toggle_mute(self) -> None:
        """Mutes or unmutes the user."""
        self._bridge.send(SetMuted(muted=not self._bridge.state.controls.muted))

    def change_volume(self, by: float) -> None:
        """Changes the playback volume by ``by``; a negative value makes the agent quieter."""
        self._bridge.send(ChangeVolume(by=by))

    def say(self, key: str) -> None:
        """Plays the recorded line with this key to the agent."""
        self._bridge.send(SpeakLine(key=key))

    async def ask_sentence(self) -> None:
        """Asks the user for a sentence; synthesizes it and plays it to the agent."""
        hint = "Type a sentence · enter speaks it (needs the speech extra, espeak-ng or macOS say)"
        await self._screen.questions.ask(Question("Speak", hint, self._speak))

    def _speak(self, text: str) -> str:
        if text:
            self._bridge.send(SpeakSentence(text=text, synthesizer=self.synthesizer))
        return ""

    def interrupt(self) -> None:
        """Discards the agent's audio that has not been played yet."""
        self._bridge.send(Interrupt())

    def hang_up(self) -> None:
        """Ends the call."""
        self._bridge.send(HangUp())

    def open_keypad(self) -> None:
        """Shows the keypad."""
        from tui.screens.keypad import KeypadScreen

        self._screen.app.push_screen(KeypadScreen(lambda digit: self._bridge.send(SendDtmf(digits=digit))))

    @cached_property
    def write_line(self) -> WriteLine:
        """The input line for typed turns.

        The line is created on first use, so that it does not delay the first paint.
        """
        from tui.widgets.writing import WriteLine

        return WriteLine(id="write")

    async def write(self) -> None:
        """Opens the input line for a typed turn."""
        if not self.write_line.is_attached:
            await self._screen.mount(self.write_line)
        self.write_line.open()

    def send_turn(self, text: str) -> None:
        """Sends a typed turn."""
        self._bridge.send(SendText(text=text))

    def edit_instructions(self) -> None:
        """Opens the editor for the agent's instructions."""
        # Imported late, because the editor takes 12 ms to load.
        from tui.screens.instructions import InstructionsScreen

        self._screen.app.push_screen(InstructionsScreen(self.instructions), self._send_instructions)

    def call_again(self) -> None:
        """Asks the app to call the target again."""
        self._screen.post_message(self._screen.CallWanted())

    def choose_target(self) -> None:
        """Asks the app to show the connect screen."""
        self._screen.post_message(self._screen.TargetWanted())

    def show_sessions(self) -> None:
        """Asks the app to show the saved sessions."""
        self._screen.post_message(self._screen.SessionsWanted())

    def save_report(self) -> None:
        """Asks the app to open the dialog that saves a report of the session."""
        self._screen.post_message(self._screen.ReportWanted())

    def _send_instructions(self, text: str | None) -> None:
        if text is not None:
            self.instructions = text
            self._bridge.send(SendInstructions(text=text))
