"""CallControls: the user's actions in a call that need a dialog or an input line, such as keys and typed turns."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from tui.bridge import Bridge
from tui.engine.wire import SendDtmf, SendInstructions, SpeakSentence
from tui.widgets.question import Question

if TYPE_CHECKING:
    from tui.screens.session import SessionScreen
    from tui.widgets.writing import WriteLine


class CallControls:
    """Asks the user what to send, and sends it to the engine, which reports the results as events."""

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

    async def ask_sentence(self) -> None:
        """Asks the user for a sentence; synthesizes it and plays it to the agent."""
        hint = "Type a sentence · enter speaks it (needs the speech extra, espeak-ng or macOS say)"
        await self._screen.questions.ask(Question("Speak", hint, self._speak))

    def _speak(self, text: str) -> str:
        if text:
            self._bridge.send(SpeakSentence(text=text, synthesizer=self.synthesizer))
        return ""

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

    def edit_instructions(self) -> None:
        """Opens the editor for the agent's instructions."""
        # Imported late, because the editor takes 12 ms to load.
        from tui.screens.instructions import InstructionsScreen

        self._screen.app.push_screen(InstructionsScreen(self.instructions), self._send_instructions)

    def _send_instructions(self, text: str | None) -> None:
        if text is not None:
            self.instructions = text
            self._bridge.send(SendInstructions(text=text))
