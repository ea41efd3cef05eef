"""Carries out the user's actions in a call, such as recording, playing a line, typing and muting."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import KW_ONLY, dataclass

from tui.callbacks import spawn
from tui.models import events as e
from tui.models.audio_manager import AudioManager
from tui.models.journal import Journal
from tui.models.session_state import Completed
from tui.models.sound.lines import CallerLine
from tui.protocols.abilities import NO_INSTRUCTIONS, NO_KEYS, NO_TYPED_TURNS
from tui.protocols.base import HasInstructions, agent_detects_turns
from tui.session.link import AgentLink


@dataclass(eq=False, repr=False)
class UserCommands:
    """Carries out the user's commands. If a command is not possible, emits the reason. Runs on the session's loop.

    ``interrupt`` flushes playback; the argument is the reason.
    """

    journal: Journal
    audio: AudioManager
    link: AgentLink
    _: KW_ONLY
    interrupt_agent: Callable[[str], Awaitable[None]]

    def __post_init__(self) -> None:
        self._state = self.journal.state
        self._only_for_a_line = False
        """Whether recording stops at the end of the recorded line."""
        self._state.add_completion_callback(self._stop_after_line)

    async def record(self, on: bool) -> None:
        """Starts or stops sending captured audio to the agent."""
        if on == self._state.controls.recording:
            return
        if on and self._in_call("record"):
            await self._start_recording(silent=self._only_for_a_line)
        elif not on:
            self.end_recording()
            self.audio.capture.lines.stop()
            await self._stop_user_stream()

    async def open_line(self) -> None:
        """Starts sending silence if the agent detects turns, so that recorded lines can be played."""
        if agent_detects_turns(self.link.caller) and not self._state.controls.recording:
            await self._start_recording(silent=True)

    async def speak(self, line: CallerLine, begins_ns: int | None = None) -> None:
        """Plays a recorded line in place of the microphone. Turns on recording for the line if necessary.

        With ``begins_ns``, the line's first sample is captured at that time.
        """
        if not self._in_call("speak"):
            return
        if not self._state.controls.recording:
            self._only_for_a_line = True
            await self.record(True)
        await self.audio.capture.lines.speak(line, begins_ns)

    def end_recording(self) -> None:
        """Emits an event that states that user audio is no longer sent."""
        self._only_for_a_line = False
        self._emit_recording(False)

    def set_muted(self, muted: bool) -> None:
        """Mutes or unmutes the user. While the user is muted, silence is sent."""
        if muted != self._state.controls.muted:
            self.audio.capture.level.muted = muted
            self.journal.emit(e.MutedChanged(at_ns=self.journal.clock_ns(), muted=muted))

    def change_volume(self, by: float) -> None:
        """Changes the playback volume by ``by``, within 0..2. Changes in quick succession add up."""
        self.audio.volume = round(self.audio.volume + by, 2)
        self.journal.emit(e.VolumeChanged(at_ns=self.journal.clock_ns(), volume=self.audio.volume))

    def send_dtmf(self, digits: str) -> None:
        """Sends telephone key presses."""
        if not self._in_call("press keys"):
            return
        if messages := self.link.caller.dtmf(digits):
            self.link.send(messages)
            self.journal.emit(e.KeysPressed(at_ns=self.journal.clock_ns(), digits=digits))
        else:
            self.journal.notice(f"{NO_KEYS.format(self.link.protocol.title)}.")

    async def send_text(self, text: str) -> None:
        """Sends a typed turn."""
        if not self._in_call("type"):
            return
        await self._take_turn()
        if messages := self.link.caller.user_text(text):
            self.link.send(messages)
            self.journal.emit(
                e.Transcribed(
                    at_ns=self.journal.clock_ns(), speaker=e.Party.USER, text=text, final=True, typed=True
                )
            )
        else:
            self.journal.notice(f"{NO_TYPED_TURNS.format(self.link.protocol.title)}.")

    def send_instructions(self, text: str) -> None:
        """Sends the agent new instructions."""
        if isinstance(self.link.caller, HasInstructions) and self._state.status is e.Status.ACTIVE:
            self.link.send(self.link.caller.update_instructions(text))
        else:
            self.journal.notice(f"{NO_INSTRUCTIONS.format(self.link.protocol.title)}.")

    async def interrupt(self) -> None:
        """Discards the agent's audio that has not been played yet."""
        await self.interrupt_agent("interrupted by the user")

    async def _start_recording(self, *, silent: bool) -> None:
        await self._take_turn()
        self._emit_recording(True)
        self.link.send(self.link.caller.start_user_stream())
        await self.audio.capture.start(silent=silent)

    def _in_call(self, purpose: str) -> bool:
        """Returns whether a call is active, and emits a notice if it is not.

        The notice names the ``purpose`` for which a call is needed.
        """
        active = self._state.status is e.Status.ACTIVE
        if not active:
            self.journal.notice(f"Cannot {purpose}: no call is active.", "Start a call first.")
        return active

    async def _take_turn(self) -> None:
        """Interrupts an agent that does not detect turns.

        An agent that does not detect turns is not interrupted by speech alone.
        """
        if not agent_detects_turns(self.link.caller) and self.audio.playback.playing:
            await self.interrupt_agent("the user takes a turn")

    async def _stop_user_stream(self) -> None:
        closes = self.link.target.on_stop == "close" or not agent_detects_turns(self.link.caller)
        if closes:
            self.link.send(self.link.caller.stop_user_stream())
        if closes and not self.link.protocol.continuous:
            await self.audio.capture.stop()
        else:
            # An agent that detects turns needs the silence after the last word.
            await self.audio.capture.start(silent=True)

    def _stop_after_line(self, event: Completed) -> None:
        """Stops a recording that was started only for a line. Registered as the state's completion callback."""
        if (
            isinstance(event, e.LineChanged)
            and self._only_for_a_line
            and not self.audio.capture.lines.speaking
        ):
            spawn(self.record(False), "stop after a recorded line")

    def _emit_recording(self, recording: bool) -> None:
        if recording != self._state.controls.recording:
            self.journal.emit(e.RecordingChanged(at_ns=self.journal.clock_ns(), recording=recording))
