"""The devices screen: microphones and speakers, which of them are in use, and another one, also in mid-call."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from tui.audio.devices import Device, Direction
from tui.bridge import Bridge
from tui.engine.wire import DeviceList, ListDevices
from tui.models.target import Target
from tui.screens.actions import Action, bindings
from tui.text.visible import one_line

DEVICES = (
    Action("devices_other", "tab,shift+tab", "Other list", "Microphones or speakers.", "app.focus_next"),
    Action("devices_anew", "r", "Look again", "Look for devices that came or went.", "look_again"),
    Action("devices_close", "escape,A", "Close", "Back to the session.", "close", key_display="esc"),
)
HINT = "⏎ uses it · tab other list · r looks again (sound pauses for a moment) · esc closes"
_LISTS: dict[Direction, str] = {"input": "Microphone", "output": "Speaker"}


class DevicesScreen(ModalScreen[None], inherit_bindings=False):
    """Two lists; `poll` it while it is shown. ``target`` is who is called, whose devices are marked."""

    CSS_PATH = "devices.tcss"
    TITLE = "Devices"
    AUTO_FOCUS = "#input"
    BINDINGS: ClassVar[list[BindingType]] = bindings(DEVICES)

    class Chosen(Message):
        """A device is to be used, now and in the next call."""

        def __init__(self, direction: Direction, spec: str) -> None:
            super().__init__()
            self.direction, self.spec = direction, spec

    def __init__(self, bridge: Bridge, target: Target | None) -> None:
        super().__init__()
        self.bridge = bridge
        self._specs = {"input": target.input, "output": target.output} if target else {}
        self._lists = {direction: OptionList(id=direction, markup=False) for direction in _LISTS}
        self._told = Static(id="told", markup=False)
        self._shown: tuple[object, ...] = ()
        self._error = bridge.state.last_error
        """What had failed before; only what fails from now on is told here."""

    def compose(self) -> ComposeResult:
        """One below the other: names are long."""
        with Vertical(id="devices") as box:
            box.border_title = "Devices"
            for direction, title in _LISTS.items():
                self._lists[direction].border_title = title
                yield self._lists[direction]
            yield self._told
            yield Static(HINT, id="hint", markup=False)

    def on_mount(self) -> None:
        """Ask for them."""
        self.bridge.send(ListDevices())
        self.poll()

    def poll(self) -> None:
        """Show what there is, if that has changed. Called every tick."""
        state, listed = self.bridge.state, self.bridge.latest.devices
        error = state.last_error if state.last_error is not self._error else None
        shown = (
            listed,
            state.status.live,
            state.controls.capture,
            state.controls.playback,
            error,
            tuple(self._specs.values()),
        )
        if shown == self._shown or not self.is_mounted:
            return
        self._shown = shown
        if listed is None:
            self._tell("Looking for devices …")
            return
        for direction, options in self._lists.items():
            self._fill(options, direction, listed)
        self._tell(error.message if error else listed.problem)

    def _fill(self, options: OptionList, direction: Direction, listed: DeviceList) -> None:
        usable = listed.usable(direction)
        under_cursor = options.highlighted_option
        if under_cursor is not None:
            wanted = [listed.spec_of(device, direction) == under_cursor.id for device in usable]
        else:
            wanted = [self._used(device, direction, listed) for device in usable]
        options.set_options(
            Option(self._line(device, direction, listed), id=listed.spec_of(device, direction))
            for device in usable
        )
        if usable:
            options.highlighted = wanted.index(True) if any(wanted) else 0

    def _line(self, device: Device, direction: Direction, listed: DeviceList) -> Content:
        used = self._used(device, direction, listed)
        default = device.is_default(direction)
        word = "  in use" if self.bridge.state.status.live else "  next call"
        return Content.assemble(
            ("● " if used else "  ", "$text-success"),
            (one_line(device.name, 60), "bold" if used else ""),
            (word if used else "", "$text-success"),
            ("  system default" if default else "", "$foreground-muted"),
        )

    def _used(self, device: Device, direction: Direction, listed: DeviceList) -> bool:
        """In a call, the one in use; else the one that the next call would use."""
        state = self.bridge.state
        if state.status.live:
            return device.name == (
                state.controls.capture if direction == "input" else state.controls.playback
            )
        spec = self._specs.get(direction, "auto")
        if spec == "auto":
            return device.is_default(direction)
        return spec in (listed.spec_of(device, direction), device.name, str(device.index))

    def _tell(self, sentence: str) -> None:
        self._told.update(one_line(sentence, 400))
        self._told.display = bool(sentence)

    # what the keys do

    @on(OptionList.OptionSelected)
    def choose(self, event: OptionList.OptionSelected) -> None:
        """Use the device under the cursor, or under the mouse."""
        direction: Direction = "input" if event.option_list is self._lists["input"] else "output"
        spec = event.option.id or ""
        self._error = self.bridge.state.last_error
        self._specs[direction] = spec
        self.post_message(self.Chosen(direction, spec))

    def action_look_again(self) -> None:
        """Look for devices that came or went."""
        self._error = self.bridge.state.last_error
        self.bridge.send(ListDevices(anew=True))

    def action_close(self) -> None:
        """Done."""
        self.dismiss()
