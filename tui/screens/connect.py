"""The connect screen, where the user chooses the agent, the protocol and the devices."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import msgspec
from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Button, Input, OptionList, Static
from textual.widgets.option_list import Option

from tui.bridge import Bridge
from tui.config.targets import Listed
from tui.engine.wire import ListDevices
from tui.models.target import Target
from tui.screens.actions import Action, bindings
from tui.screens.styled_once import StyledOnce
from tui.screens.target_form import TargetForm, UrlLine, show_problem
from tui.targets import START_FAILURES, Targets
from tui.text.visible import one_line
from tui.widgets.keys import KeyBar
from tui.widgets.too_small import TooSmall

CONNECT = (
    Action("connect_call", "ctrl+r", "Call", "Call the target in the form (or press enter in a field).",
           "call", show=True),
    Action("connect_demo", "ctrl+d", "Demo", "Start the local agent and call it.",
           "demo", show=True, priority=True),
    Action("connect_sessions", "ctrl+o", "Sessions",
           "List the saved sessions; there, you can open or delete them, or create a report.",
           "sessions", show=True),
    Action("connect_list", "down", "List", "Go to the list, or to the next field.", "below"),
    Action("connect_up", "up", "Up", "Go to the previous field.", "app.focus_previous"),
    Action("connect_help", "f1", "Help", "Show every key that works here.", "help", show=True),
    Action("connect_back", "escape", "Back", "Go back to the session.", "back", show=True),
)  # fmt: skip
DEMO = "demo — the local agent: no account, no key, no network"
_DEMO_ID = "demo"


class ConnectScreen(StyledOnce, Screen[Target | None], inherit_bindings=False):
    """Asks for the target to call. Returns the target, or None if the user goes back.

    ``current`` is the target of the current session; None if there is no session. ``has_session``: whether
    there is a session to go back to.
    """

    TITLE = "Connect"
    CSS_PATH = "connect.tcss"
    AUTO_FOCUS = "#url"
    BINDINGS: ClassVar[list[BindingType]] = bindings(CONNECT)

    class SessionsWanted(Message):
        """Requests the list of saved sessions."""

    class SessionChosen(Message):
        """Requests that a saved session be opened."""

        def __init__(self, folder: Path) -> None:
            super().__init__()
            self.folder = folder

    def __init__(
        self, bridge: Bridge, known: Targets, current: Target | None = None, *, has_session: bool = True
    ) -> None:
        super().__init__()
        self._has_session = has_session
        self.bridge = bridge
        self._known = known
        self._listed = [*known.profiles, *(Listed(target) for target in known.recent)]
        if current is not None:
            same = (current.safe_url, current.title)  # secrets are not compared
            others = [each for each in self._listed if (each.target.safe_url, each.target.title) != same]
            self._listed = [Listed(current), *others]
        self._current = current
        self.targets = OptionList(id="targets", markup=False)
        self.saved = OptionList(id="saved", markup=False)
        self._newest: Sequence[tuple[Path, str]] = ()
        """The folder of each saved session in the list, with the line that is shown for it."""
        self.form = TargetForm(known.base, Listed(known.base if current is None else current))

    def compose(self) -> ComposeResult:
        """Yields the list of demo, profiles and recent targets, and the form."""
        yield TooSmall()
        with Vertical(id="form"):
            heading = Content.assemble(("opusagent-tui", "bold $primary"), "  Choose an agent to call")
            yield Static(heading, id="heading")
            yield from self.form.compose_url()
            self.targets.border_title = "Demo, profiles, recent targets · ↓ to choose"
            yield self.targets
            yield Static(id="saved-heading", markup=False)
            yield self.saved
            yield from self.form.compose()
            with Horizontal(id="buttons"):
                yield Button("Call", id="call", variant="primary", compact=True)
                yield Button("Demo", id="demo", compact=True, disabled=not self._known.has_demo)
                if self._has_session:
                    yield Button("Back", id="back", compact=True)
            yield self.form.call_problem
        yield KeyBar()

    def on_mount(self) -> None:
        """Requests the devices, and lists the current target, the demo, and the other targets."""
        options = [Option(_line_of(listed.target), id=str(n)) for n, listed in enumerate(self._listed)]
        if self._known.has_demo:
            options.insert(0 if self._current is None else 1, Option(Content(DEMO), id=_DEMO_ID))
        self.targets.add_options(options)
        self.form.fill()
        self.targets.display = bool(self.targets.option_count)
        alone = " · enter: demo" if self._current is None and self._known.has_demo else ""
        self.form.url.placeholder = f"URL or wscat/curl command{alone}"
        self.bridge.send(ListDevices())
        # After the first paint, because it searches installed packages.
        self.call_after_refresh(
            lambda: self.form.protocol.offer({name: name for name in self._known.protocols()})
        )
        self.call_after_refresh(self._list_saved)

    @work(exclusive=True, group="saved", description="list the newest saved sessions")
    async def _list_saved(self) -> None:
        """Lists the newest saved sessions. Runs after the first paint, because it reads files."""
        self._newest = await asyncio.to_thread(self._known.saved)
        if self._newest:
            self.query_one("#saved-heading", Static).update("Saved sessions · enter opens one · ^o shows all")
            self.saved.add_options(
                [
                    Option(Content(f"  {line}"), id=str(number))
                    for number, (_, line) in enumerate(self._newest)
                ]
            )
            self.add_class("-with-sessions")

    def poll(self) -> None:
        """Lists the devices in the form once they are known."""
        if self.is_mounted:
            self.form.offer_devices(self.bridge.latest.devices)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Hides the demo action if there is no local agent, and Back if there is no session."""
        if action == "demo":
            return self._known.has_demo
        return action != "back" or self._has_session

    @on(OptionList.OptionHighlighted, "#targets")
    def fill(self, event: OptionList.OptionHighlighted) -> None:
        """Fills the form with a listed target, so that the user can change it before the call."""
        listed = self._listed_as(event.option)
        if listed is not None:
            self.form.fill(listed)

    @on(OptionList.OptionSelected, "#targets")
    def select(self, event: OptionList.OptionSelected) -> None:
        """Calls a listed target."""
        if event.option.id == _DEMO_ID:
            self.action_demo()
        else:
            self.fill(OptionList.OptionHighlighted(self.targets, event.option, event.option_index))
            self.action_call()

    @on(OptionList.OptionSelected, "#saved")
    def open_session(self, event: OptionList.OptionSelected) -> None:
        """Asks the app to open a saved session."""
        self.post_message(self.SessionChosen(self._newest[event.option_index][0]))

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Puts the cursor on the first saved session when the list gets the focus.

        Without a cursor, the list would ignore enter.
        """
        if event.widget is self.saved and self.saved.highlighted is None:
            self.saved.highlighted = 0

    @on(Button.Pressed)
    def press(self, event: Button.Pressed) -> None:
        """Runs the action of the clicked button."""
        match event.button.id:
            case "call":
                self.action_call()
            case "demo":
                self.action_demo()
            case _:
                self.action_back()

    def on_paste(self, event: events.Paste) -> None:
        """Uses text that was pasted outside a field as the URL of a new target."""
        if self.form.url.clean(event.text):
            self._begin_new()
            self.form.url.paste(event.text)

    def on_key(self, event: events.Key) -> None:
        """Uses a character that was typed outside a field as the start of a URL.

        Characters that can occur in a URL are therefore never commands on this screen.
        """
        typed = event.character if event.is_printable and event.key != "space" else None
        outside = self.focused is None or isinstance(self.focused, (OptionList, Button))
        if typed and outside:
            event.stop()
            event.prevent_default()
            self._begin_new()
            self.form.url.value = typed
            self.form.url.cursor_position = 1

    def _begin_new(self) -> None:
        """Empties the form for a new URL, so that the listed target's token is not sent to another agent."""
        self.targets.highlighted = None
        self.form.fill(Listed(self._known.base))
        self.form.url.select_on_focus = False
        self.form.url.focus()

    @on(UrlLine.CommandPasted)
    def take_command(self, event: UrlLine.CommandPasted) -> None:
        """Fills the form with the URL and the headers from a pasted command line."""
        self.targets.highlighted = None
        self.form.take(event.pasted)

    def action_below(self) -> None:
        """Moves the focus from the address bar to the list, or from any other field to the next one."""
        if self.focused is self.form.url and self.targets.option_count:
            self.targets.focus()
            if self.targets.highlighted is None:
                self.targets.highlighted = 0
        else:
            self.app.action_focus_next()

    async def action_help(self) -> None:
        """Shows the keys of this screen."""
        await self.app.run_action("help")

    @on(Input.Submitted)
    def action_call(self) -> None:
        """Calls the target in the form, or shows its problems. If the URL is empty, calls the demo."""
        if not self.form.url.value.strip() and self._current is None and self._known.has_demo:
            self.action_demo()
            return
        target = self.form.target()
        if target is not None:
            self.dismiss(target)

    @work(exclusive=True, group="demo", description="start the local agent")
    async def action_demo(self) -> None:
        """Starts the local agent, then calls it."""
        if not self._known.has_demo:
            return
        show_problem(self.form.call_problem, "Starting the local agent…")
        try:
            target = await asyncio.to_thread(self._known.demo)
        except START_FAILURES as error:
            show_problem(self.form.call_problem, f"The local agent failed to start: {error}")
            return
        self.dismiss(msgspec.structs.replace(target, **self.form.chosen_devices))

    def action_sessions(self) -> None:
        """Asks the app to show the saved sessions."""
        self.post_message(self.SessionsWanted())

    def action_back(self) -> None:
        """Closes without making a call."""
        self.dismiss(None)

    def _listed_as(self, option: Option) -> Listed | None:
        return None if option.id in (None, _DEMO_ID) else self._listed[int(option.id or 0)]


def _line_of(target: Target) -> Content:
    return Content.assemble(
        (one_line(target.name, 30), "bold"),
        (f"  {one_line(target.protocol, 20)}", "$primary"),
        (f"  {one_line(target.safe_url, 120)}", "$foreground-muted"),
    )
