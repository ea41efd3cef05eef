"""The Textual application: manages themes, the tick, calls, and the choice of screen. Contains no session logic."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar, runtime_checkable

import msgspec
from textual import events, work
from textual.binding import BindingType
from textual.command import CommandPalette, Provider
from textual.screen import Screen
from textual.widget import Widget

from tui.bridge import Bridge
from tui.config.model import Settings
from tui.engine.link import EngineLink
from tui.engine.wire import Connect, Pause, PlayScenario, SwitchDevice
from tui.exit_code import ExitCode
from tui.library import Library, Opened
from tui.models.target import Target
from tui.remembered import ScreenMemory
from tui.saving.record import SavedSessionError
from tui.screens.actions import APP, bindings
from tui.screens.endings import EndingApp
from tui.screens.palette import ActionCommands, ThemeCommands
from tui.screens.themes import ANSI, DEFAULT_THEME, THEMES
from tui.targets import START_FAILURES, Targets
from tui.text.strict import SettingsError
from tui.text.visible import one_line
from tui.view.layout import OPENED, Layout

if TYPE_CHECKING:
    from textual.notifications import Notify

    from tui.screens.connect import ConnectScreen
    from tui.screens.devices import DevicesScreen
    from tui.screens.session import SessionScreen

S = TypeVar("S", bound=Screen[Any])

TICKS_PER_S = 16
TICKS_PER_REFRESH = 2
"""Number of ticks per refresh: levels are drawn on every tick, everything else on every second tick."""
UP_AFTER_S = 1.0
"""Delay in seconds after the first paint until `Launch.once_up` is called."""


@runtime_checkable
class Polled(Protocol):
    """A screen with values that change without events: levels, the clock, progress."""

    def poll(self) -> None:
        """Updates the values. Called on every tick while the screen is visible."""


class Launch(msgspec.Struct, frozen=True):
    """Options and callbacks for starting the screen."""

    call_demo: bool = False
    """Whether to call the local agent immediately."""
    scenario: PlayScenario | None = None
    """Scenario to play in every call, after asking whether its commands may be run."""
    library: Library | None = None
    """The saved sessions, and the session that is open at first; None for the sessions in the default folder."""
    browse: bool = False
    """Whether to show the saved sessions first."""
    start_engine: Callable[[], EngineLink] | None = None
    """Starts another engine if the first is lost; raises one of `START_FAILURES`."""
    on_painted: Callable[[], object] = lambda: None
    """Called when the first screen has been painted."""
    once_up: Callable[[], object] | None = None
    """Called one second after `on_painted`."""
    change_settings: Callable[[Mapping[str, Mapping[str, object]]], None] = lambda _: None
    """Writes changed settings, given by section and key, to the settings file. Raises `SettingsError`."""
    trace_callbacks: bool = False
    """Whether to measure every callback from the start, in both processes."""
    auto_tick: bool = True
    """Whether a timer drives the ticks; tests call `tick` themselves."""


class OpusAgentApp(EndingApp):
    """The Textual application of `opusagent-tui`."""

    TITLE = "opusagent-tui"
    ENABLE_COMMAND_PALETTE = True
    ALLOW_SELECT = False
    NOTIFICATION_TIMEOUT = 10  # long enough to read the path of a saved file
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {ActionCommands}
    BINDINGS: ClassVar[list[BindingType]] = bindings(APP)
    CSS = """
    CommandPalette > Vertical { max-width: 100; }
    /* Its list never has the focus, but enter runs the highlighted command. */
    CommandPalette CommandList > .option-list--option-highlighted {
        background: $block-cursor-background; color: $block-cursor-foreground;
    }
    Toast { border: round $border; }
    """
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012 - as Textual declares it
        (0, "-tiny"),
        (60, "-narrow"),
        (120, "-wide"),
    ]
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (16, "-low"), (30, "-tall")]  # noqa: RUF012

    def __init__(
        self,
        bridge: Bridge,
        *,
        target: Target | None = None,
        targets: Targets | None = None,
        memory: ScreenMemory | None = None,
        settings: Settings | None = None,
        launch: Launch | None = None,
    ) -> None:
        # Textual chooses its filter for NO_COLOR here, before it knows the theme. The wrong filter paints
        # black on black.
        super().__init__(ansi_color=True if "NO_COLOR" in os.environ else None)
        self.bridge = bridge
        self.target = target
        self.memory = memory or ScreenMemory()
        """The theme and the pane layout, which the program saves when it ends."""
        self.settings = settings or Settings()
        self.targets = targets or Targets()
        self._launch = launch or Launch()
        self._scenario = self._launch.scenario
        self._ticks = 0
        for theme in THEMES:
            self.register_theme(theme)
        self._shown_theme = self._first_theme()
        self.theme = self._shown_theme
        self.animation_level = "none"

    @cached_property
    def library(self) -> Library:
        """The saved sessions, and the open session."""
        return self._launch.library or Library()

    @cached_property
    def session(self) -> SessionScreen:
        """The screen for calls, which is created on first use."""
        from tui.screens.session import (
            SessionScreen,
        )  # late: not needed by the connect screen

        screen = SessionScreen(self.bridge, self.memory.layout, self.settings.thresholds)
        # Set before the first paint; otherwise, the footer would not show the key until the next tick.
        screen.controls.synthesizer = self.settings.speech.synthesizer or ""
        screen.controls.speech_model = self.settings.speech.model or ""
        screen.controls.can_call = self._launch.call_demo or self.target is not None
        return screen

    def get_default_screen(self) -> Screen[Any]:
        """Returns the bottom screen: the call screen if the program starts with a call, otherwise an empty screen."""
        # A saved session is pushed onto it, because Textual cannot replace its first screen.
        calls_at_once = self._launch.call_demo or self.target is not None
        return self._laid_out(self.session) if calls_at_once else Screen()

    @property
    def _has_below(self) -> bool:
        """Whether the user could go back from a newly pushed screen to another screen."""
        return len(self.screen_stack) > 1 or type(self.screen_stack[0]) is not Screen

    def _laid_out(self, screen: S) -> S:
        """Prepares the screen for the terminal's size, so that it is styled only once; returns the screen."""
        for path in map(str, screen.css_path):
            # If Textual loaded the style sheet, it would parse all others again, twice.
            if not self.stylesheet.has_source(path):
                self.stylesheet.add_source(Path(path).read_text(encoding="utf-8"), (path, ""))
        width, height = self.size
        for cells, breakpoints in ((width, self.HORIZONTAL_BREAKPOINTS), (height, self.VERTICAL_BREAKPOINTS)):
            screen.set_class(True, [name for least, name in breakpoints if cells >= least][-1], update=False)
        return screen

    def refresh_css(self, animate: bool = True) -> None:
        """Applies the theme's colors to the style sheets."""
        if self.screen_stack:
            super().refresh_css(animate)
        else:  # nothing has been styled yet, and Textual would parse every style sheet twice
            self.stylesheet.set_variables(self.get_css_variables())

    def on_mount(self) -> None:
        """Starts the timer and signal handlers, then shows the first screen or calls the target."""
        # Called immediately, because the process is stopped before the next iteration of the loop.
        self.app_suspend_signal.subscribe(self, lambda _: self._pause(paused=True), immediate=True)
        self.app_resume_signal.subscribe(self, lambda _: self._pause(paused=False), immediate=True)
        if self.settings.keys:
            # Imported late, because it loads every screen.
            from tui.screens.keymap import keymap_of

            self.set_keymap(keymap_of(self.settings.keys))
        if not self.is_headless:
            self.listen_to_signals()
        if self._launch.trace_callbacks:
            self.bridge.trace_callbacks(True)
        if self._launch.auto_tick:
            over_ssh = "SSH_CONNECTION" in os.environ
            rate = self.settings.screen.refresh_per_s or (TICKS_PER_S // 2 if over_ssh else TICKS_PER_S)
            self.set_interval(1 / rate, self.tick)
        if self._scenario is not None and self._scenario.commands:
            self.call_after_refresh(self._ask_commands, self._scenario)
        else:
            self._begin()
        self.call_after_refresh(self._launch.on_painted)
        if self._launch.once_up is not None:
            self.set_timer(UP_AFTER_S, self._launch.once_up)

    def _ask_commands(self, scenario: PlayScenario) -> None:
        def answered(allowed: PlayScenario) -> None:
            self._scenario = allowed
            self._begin()

        self.session.scenario.ask_commands(scenario, answered)

    def _begin(self) -> None:
        """Calls the target, if there is one; otherwise shows a saved session or the connect screen."""
        if self._launch.call_demo:
            self.call_after_refresh(self.call_demo, self.target)
        elif self.target is not None:
            self.call_after_refresh(self.call, self.target)
        elif self.library.opened is not None:
            self.push_screen(self._screen_of(self.library.opened))
        else:
            # Only once Textual paints; before that, it would lay out and draw the form for nothing.
            self.call_next(self.show_sessions if self._launch.browse else self.choose_target)

    def _first_theme(self) -> str:
        """Returns the configured or last chosen theme; the terminal's own colors if NO_COLOR is set."""
        if self.no_color:
            return ANSI
        wanted = (self.settings.screen.theme, self.memory.theme, DEFAULT_THEME)
        return next(name for name in wanted if name in self.available_themes)

    # remembered state

    def on_session_screen_layout_changed(self, event: SessionScreen.LayoutChanged) -> None:
        """Remembers the pane layout, which is saved when the program ends."""
        self.memory = msgspec.structs.replace(self.memory, layout=event.layout)

    def watch_theme(self, theme: str) -> None:
        """Remembers a theme that the user has chosen, to save it when the program ends."""
        if theme != self._shown_theme:
            self._shown_theme = theme
            self.memory = msgspec.structs.replace(self.memory, theme=theme)

    def on_notify(self, event: Notify) -> None:
        """Shows at most one toast of each kind. A new toast replaces the previous one."""
        new = event.notification
        for shown in list(self._notifications):
            if (shown.severity, shown.title) == (new.severity, new.title):
                del self._notifications[shown]

    # the tick

    def tick(self) -> None:
        """Processes the items that the engine has sent, and redraws.

        Levels are redrawn on every tick, everything else on every second tick.
        """
        self._ticks += 1
        opened = self.library.opened
        # One engine serves both calls and saved sessions. What it sends belongs to the session that is shown.
        bridge = self.bridge if opened is None else opened.bridge
        # Not in a `batch_update`: nothing is painted before this returns, and its end would wake the application.
        bridge.drain()
        refreshing = (
            self._ticks % TICKS_PER_REFRESH == 0 or not self._launch.auto_tick or bridge.redraws.overdue
        )
        if refreshing:
            bridge.refresh()
        self._poll(self.screen_stack if refreshing else self.screen_stack[-1:])

    def _poll(self, screens: Sequence[Screen[object]]) -> None:
        """Polls the visible screens from top to bottom. Screens below a full screen are not visible."""
        for screen in reversed(screens):
            if isinstance(screen, Polled):
                screen.poll()
            if not screen.is_modal:
                break

    # calling

    def call(self, target: Target) -> None:
        """Calls the target. Starts a new engine if the previous one was lost."""
        self.target = target
        self.session.controls.can_call = True
        self.session.controls.instructions = target.options.get("instructions", "")
        if not self.bridge.engine.alive and not self._restart_engine():
            return
        self.session.strip.hint = "calling…"
        self.bridge.send(Connect(target=target, scenario=self._scenario))
        self.targets.remember(target)

    def on_session_screen_call_wanted(self) -> None:
        """Calls the same target again, or the target of the saved session that is open."""
        target = self._target_of(self.library.opened)
        if target is not None:
            self._show_calls()
            self.target = target
        self.call_again()

    def _target_of(self, opened: Opened | None) -> Target | None:
        return None if opened is None else self.targets.recall(opened.record.target, opened.record.protocol)

    def call_again(self) -> None:
        """Calls the same target again."""
        if self.target is None or self.targets.is_demo(self.target) or self.targets.was_demo(self.target):
            self.call_demo(self.target)
        else:
            self.call(self.target)

    @work(exclusive=True, group="demo", description="start the local agent if it is not running")
    async def call_demo(self, before: Target | None) -> None:
        """Calls the local agent at its current address, with the settings of the previous call, if any."""
        self.session.strip.hint = "starting the local agent…"
        try:
            fresh = await asyncio.to_thread(self.targets.demo)
        except START_FAILURES as error:
            self.session.strip.hint = ""
            reason = one_line(f"The local agent failed to start: {error}", 300)
            self.notify(reason, severity="error", markup=False)
        else:
            self.call(fresh if before is None else self.targets.moved(before, fresh))

    def on_sessions_screen_target_wanted(self) -> None:
        """Shows the connect screen."""
        self.choose_target()

    def on_session_screen_target_wanted(self) -> None:
        """Shows the connect screen."""
        self.choose_target()

    def choose_target(self) -> None:
        """Shows the connect screen."""
        from tui.screens.connect import (
            ConnectScreen,
        )  # late: not needed for the first paint

        current = None if self.target is None or self.targets.is_demo(self.target) else self.target
        form = ConnectScreen(self._shown_bridge, self.targets, current, has_session=self._has_below)
        self.push_screen(self._laid_out(form), self._target_chosen)

    def _target_chosen(self, target: Target | None) -> None:
        if target is not None:
            self._show_calls()
            self.target = target
            self.call_again()

    def _show_calls(self) -> None:
        """Shows the screen for calls, and closes screens above it."""
        while self.screen is not self.screen_stack[0] and self.screen is not self.session:
            self.pop_screen()
        if self.screen is not self.session:
            self.push_screen(self._laid_out(self.session))
        self.library.close()

    # saved sessions

    @property
    def _shown_bridge(self) -> Bridge:
        """The bridge of the open saved session or, if no session is open, of the calls."""
        return self.bridge if self.library.opened is None else self.library.opened.bridge

    def on_session_screen_sessions_wanted(self) -> None:
        """Shows the saved sessions."""
        self.show_sessions()

    def on_connect_screen_sessions_wanted(self) -> None:
        """Shows the saved sessions."""
        self.show_sessions()

    def on_connect_screen_session_chosen(self, event: ConnectScreen.SessionChosen) -> None:
        """Opens a saved session in place of the open session."""
        self._close_opened()
        self._session_chosen(event.folder)

    def show_sessions(self) -> None:
        """Shows the list of saved sessions and closes the open session."""
        from tui.screens.sessions import SessionsScreen

        opened = self.library.opened
        current = None if opened is None else opened.folder
        self._close_opened()
        screen = SessionsScreen(
            self.bridge, self.library, self.settings.thresholds, current, has_below=self._has_below
        )
        self.push_screen(self._laid_out(screen), self._session_chosen)

    def _close_opened(self) -> None:
        """Closes the open saved session, its screen, and the screens above it."""
        opened = self.library.opened
        if opened is None:
            return
        of_session = [getattr(screen, "bridge", None) is opened.bridge for screen in self.screen_stack]
        while any(of_session):
            self.pop_screen()
            of_session.pop()
        self.library.close()

    def on_session_screen_report_wanted(self) -> None:
        """Asks where to save the report on the session that is shown."""
        from tui.screens.report import ReportScreen

        folder = self._shown_bridge.folder.path
        if folder is not None:
            self.push_screen(ReportScreen(self.library, folder))

    def _session_chosen(self, folder: Path | None) -> None:
        if folder is None:
            return
        try:
            opened = self.library.open(folder, self.bridge.engine)
        except SavedSessionError as error:
            self.notify(one_line(str(error), 300), severity="error", markup=False)
            self.show_sessions()
        else:
            self.push_screen(self._screen_of(opened))

    def _screen_of(self, opened: Opened) -> SessionScreen:
        from tui.screens.session import SessionScreen

        layout = self.memory.layout if self.memory.layout != Layout() else OPENED
        screen = SessionScreen(opened.bridge, layout, self.settings.thresholds, opened.playhead)
        screen.controls.can_call = self._target_of(opened) is not None
        return self._laid_out(screen)

    def _restart_engine(self) -> bool:
        if self._launch.start_engine is None:
            self.notify("The engine has stopped. Restart the program.", severity="error", markup=False)
            return False
        try:
            self.bridge.replace_engine(self._launch.start_engine())
        except START_FAILURES as error:
            reason = one_line(f"The engine failed to start: {error}", 300)
            self.notify(reason, severity="error", markup=False)
            return False
        return True

    def _pause(self, *, paused: bool) -> None:
        self.suspended = paused
        self.bridge.send(Pause(paused=paused))
        if not paused:
            self.repaint()

    def repaint(self) -> None:
        """Redraws all widgets after another program has used the terminal. Textual alone redraws only changes."""
        for screen in self.screen_stack:
            for widget in screen.walk_children(Widget, with_self=True):
                widget.refresh()

    # keys

    def on_key(self, event: events.Key) -> None:
        """Passes a letter that no widget used to the field that has the focus.

        Keys that are pressed right after the key that opened a field are sent to the widget that had the
        focus before. Fields consume their letters, so a letter that bubbles up to the app was meant for the
        field and is not a command.
        """
        field = self.focused
        if field is not None and field.check_consume_key(event.key, event.character):
            event.prevent_default()
            field.post_message(events.Key(event.key, event.character))

    # shared screens

    def action_leave(self) -> None:
        """Quits. During a call, asks for confirmation, unless the settings turn this off."""
        if not (self.bridge.state.status.live and self.settings.screen.confirm_quit):
            self.leave()
            return
        from tui.screens.quit import QuitScreen

        self.push_screen(QuitScreen(self.bridge.state), lambda leave: self.leave() if leave else None)

    def search_themes(self) -> None:
        """Shows a list of themes. Text is readable in all of them."""
        self.push_screen(CommandPalette(providers=[ThemeCommands], placeholder="Search for themes…"))

    def action_help(self) -> None:
        """Shows the keys of the current screen."""
        from tui.screens.help import HelpScreen
        from tui.screens.session import SessionScreen

        if not isinstance(self.screen, HelpScreen):
            active = self.screen.active_bindings
            shown = {key: self.get_key_display(entry.binding) for key, entry in active.items()}
            below = self.screen
            why_not = below.why_not if isinstance(below, SessionScreen) else lambda _: ""
            self.push_screen(HelpScreen(active, shown, why_not))

    def action_settings(self) -> None:
        """Shows the settings that can be changed on the screen."""
        from tui.screens.settings_form import SettingsScreen

        self.push_screen(SettingsScreen(self.settings, self.theme), self._change_settings)

    def _change_settings(self, new: Settings | None) -> None:
        """Applies changed settings and writes them to the settings file."""
        from tui.config.writing import changes_between
        from tui.screens.keymap import keymap_of
        from tui.screens.session import SessionScreen

        if new is None:
            return
        old, self.settings = self.settings, new
        self.set_keymap(keymap_of(new.keys))
        for screen in self.screen_stack:
            if isinstance(screen, SessionScreen):
                screen.use_thresholds(new.thresholds)
        changes = changes_between(old, new)
        if not changes:
            return
        try:
            self._launch.change_settings(changes)
        except SettingsError as error:
            sentence = f"{error} The change applies until you quit."
            self.notify(one_line(sentence, 400), severity="error", markup=False)
        else:
            self.notify("Settings saved.", markup=False)

    def action_jump(self) -> None:
        """Shows a letter over each widget. A typed letter moves the focus to the widget below it."""
        from tui.screens.jump import JumpScreen, targets_on

        self.push_screen(JumpScreen(targets_on(self.screen)), lambda target: target and target.focus())

    def action_take_picture(self) -> None:
        """Saves the screen as a picture and as text, and shows where the files are."""
        from tui.screens.picture import save_picture

        try:
            path = save_picture(self, Path.cwd())
        except OSError as error:
            reason = one_line(f"The screenshot was not saved: {error.strerror or error}.", 300)
            self.notify(reason, severity="error", markup=False)
        else:
            self.notify(f"Saved {path} and {path.with_suffix('.txt').name}", markup=False)

    def action_callbacks(self) -> None:
        """Shows the registered callbacks, with counts and durations."""
        from tui.screens.callbacks import CallbacksScreen

        if not isinstance(self.screen, CallbacksScreen):
            self.push_screen(CallbacksScreen(self._shown_bridge))

    def action_devices(self) -> None:
        """Shows the sound devices and marks those in use."""
        from tui.screens.devices import DevicesScreen

        if isinstance(self.screen, DevicesScreen):
            return
        opened = self.library.opened
        if opened is None:
            self.push_screen(DevicesScreen(self.bridge, self.target))
        else:
            self.push_screen(
                DevicesScreen(opened.bridge, Target(url="", output=self.library.output), speaker_only=True)
            )

    def on_devices_screen_chosen(self, event: DevicesScreen.Chosen) -> None:
        """Switches to a device, which later calls to the same target and later saved sessions also use."""
        opened = self.library.opened
        if opened is not None:
            self.library.output = opened.bridge.player.output = event.spec
            opened.playhead.seek(opened.playhead.at_ns)  # playback restarts on that device
            return
        if self.bridge.state.status.live:
            self.bridge.send(SwitchDevice(direction=event.direction, device=event.spec))
        if self.target is not None:
            self.target = msgspec.structs.replace(self.target, **{event.direction: event.spec})
            self.targets.remember(self.target)


def run_app(app: OpusAgentApp, on_leave: Callable[[ScreenMemory], None] = lambda _: None) -> int:
    """Runs the screen until it ends; returns the exit code. Does not end the engine.

    ``on_leave`` receives the theme and the pane layout if they have changed.
    """
    before = app.memory
    app.run()
    if app.memory != before:
        on_leave(app.memory)
    if app.crash_report:
        sys.stderr.write(app.crash_report + "\n")
        return ExitCode.CRASHED
    return app.return_code or 0
