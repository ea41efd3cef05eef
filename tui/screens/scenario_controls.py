"""ScenarioControls: plays a scenario in the call, and lets the user take over and hand back the call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tui.bridge import Bridge
from tui.engine.wire import PlayScenario, SteerScenario
from tui.models.events import ScenarioPhase
from tui.text.numbers import counted
from tui.text.visible import one_line

if TYPE_CHECKING:
    from tui.screens.session import SessionScreen

PANE = "scenario"


class ScenarioControls:
    """The pane of the session's scenario, and the user's actions on the scenario."""

    def __init__(self, bridge: Bridge, screen: SessionScreen) -> None:
        self._bridge = bridge
        self._screen = screen
        self._shown_for: tuple[str, ...] | None = None
        """The scenario for which the pane was last opened, so that it opens automatically only once."""

    def changed(self) -> None:
        """Shows the scenario pane when a scenario begins.

        Hides the pane when a session without a scenario begins.
        """
        self._bridge.mark_dirty(self._show)

    def _show(self) -> None:
        progress, panes = self._bridge.scenario, self._screen.panes
        self._screen.tab_line.with_scenario = bool(progress.rungs)
        key = (self._bridge.state.session_id, progress.name) if progress.rungs else None
        if key != self._shown_for:
            self._shown_for = key
            if key is not None:
                panes.bring(PANE)
            elif PANE in panes.shown:
                panes.put_away(PANE)
        self._screen.tab_line.show_tabs()
        self._screen.availability.update()

    def toggle_hand(self) -> None:
        """Lets the user take over the call, or hands it back to the scenario."""
        by_hand = self._bridge.scenario.phase is not ScenarioPhase.BY_HAND
        self._bridge.send(SteerScenario(by_hand=by_hand))

    async def ask_file(self) -> None:
        """Asks which scenario to play."""
        hint = "FILE.call.toml · tab complete · enter play in this call"
        await self._screen.questions.ask_path("Scenario", hint, self._play)

    async def ask_new_file(self) -> None:
        """Asks where to write a scenario made from the session that is shown."""
        folder = self._bridge.folder.path
        if folder is None:
            self._screen.app.notify(
                "This session is not being saved, so no scenario can be made from it.",
                severity="warning",
                markup=False,
            )
            return
        hint = "FILE.call.toml · enter writes it and WAV files of what was said"
        default = str(Path.cwd() / f"{folder.name}.call.toml")
        await self._screen.questions.ask_path("Make scenario", hint, partial(self._make, folder), default)

    def _make(self, folder: Path, text: str) -> str:
        if not text:
            return "Enter a file name."
        self._screen.run_worker(
            self._made(folder, Path(text).expanduser()), description="make a scenario", exit_on_error=False
        )
        return ""

    async def _made(self, folder: Path, path: Path) -> None:
        from tui.saving.record import SavedSessionError
        from tui.scenario.making import make_scenario
        from tui.scenario.reading import ScenarioError

        app, slow_ms = self._screen.app, self._screen.thresholds.slow_ms
        try:
            made = await asyncio.to_thread(make_scenario, folder, path, slow_ms)
        except (ScenarioError, SavedSessionError) as error:
            app.notify(one_line(str(error), 400), severity="error", markup=False)
        else:
            left_out = f", {counted(len(made.left_out), 'part')} not included" if made.left_out else ""
            words = f"Wrote {made.contents} to {made.path}{left_out}."
            app.notify(one_line(words, 400), markup=False)

    def _play(self, text: str) -> str:
        """Plays the scenario in a file. Returns a sentence if the file cannot be played; otherwise ""."""
        from tui.scenario.reading import ScenarioError, commands_of, read_scenario

        path = Path(text).expanduser()
        try:
            commands = commands_of(read_scenario(path))
        except ScenarioError as error:
            return str(error)
        wanted = PlayScenario(
            path=str(path.resolve()),
            commands=commands,
            synthesizer=self._screen.controls.synthesizer,
            speech_model=self._screen.controls.speech_model,
        )
        self.ask_commands(wanted, self._bridge.send)
        return ""

    def ask_commands(self, wanted: PlayScenario, then: Callable[[PlayScenario], object]) -> None:
        """Asks whether a scenario's shell commands may be run, then calls ``then`` with the scenario.

        If the user refuses, the scenario is passed on without its commands. If the scenario has no commands,
        the user is not asked.
        """
        if not wanted.commands:
            then(wanted)
            return
        from tui.screens.commands import CommandsScreen

        def answered(allowed: bool | None) -> None:
            then(wanted if allowed else msgspec.structs.replace(wanted, commands=()))

        self._screen.app.push_screen(CommandsScreen(wanted.commands), answered)
