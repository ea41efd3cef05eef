"""The devices screen, where the user chooses the microphone and the speaker, even during a call."""

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
from tui.screens.actions import DIALOG, Action, bindings
from tui.text.visible import one_line

DEVICES = (
    Action("devices_anew", "r", "Rescan", "Rescan for added or removed devices.", "look_again"),
    Action("devices_close", "escape,A", "Close", "Go back to the session.", "close", key_display="esc"),
    *DIALOG,
)
HINT = "enter select · tab switch list · r rescan (audio pauses briefly) · esc close"
_LISTS: dict[Direction, str] = {"input": "Microphone", "output": "Speaker"}


class DevicesScreen(ModalScreen[None], inherit_bindings=False):
    """Lists microphones and speakers. Call `poll` every tick while the screen is shown.

    Outside a call, the devices of ``target`` are marked. Set ``speaker_only`` for a saved session, which has
    no microphone.
    """

    CSS_PATH = "devices.tcss"
    TITLE = "Devices"
    AUTO_FOCUS = "OptionList"
    BINDINGS: ClassVar[list[BindingType]] = bindings(DEVICES)

    class Chosen(Message):
        """The user has chosen a device for this call and later calls."""

        def __init__(self, direction: Direction, spec: str) -> None:
            super().__init__()
            self.direction, self.spec = direction, spec

    def __init__(self, bridge: Bridge, target: Target | None, *, speaker_only: bool = False) -> None:
        super().__init__()
        self.bridge = bridge
        self._speaker_only = speaker_only
        self._specs = {"input": target.input, "output": target.output} if target else {}
        self._lists = {direction: OptionList(id=direction, markup=False) for direction in _LISTS}
        if speaker_only:
            del self._lists["input"]
        self._problem = Static(id="problem", markup=False)
        self._shown: tuple[object, ...] = ()
        self._error = bridge.state.last_error
        """The last error when the screen was opened. Only later errors are shown here."""

    def compose(self) -> ComposeResult:
        """Yields the lists, one below the other because device names are long."""
        with Vertical(id="devices") as box:
            box.border_title = "Devices"
            for direction, options in self._lists.items():
                options.border_title = _LISTS[direction]
                yield options
            yield self._problem
            yield Static(HINT, id="hint", markup=False)

    def on_mount(self) -> None:
        """Requests the devices."""
        self.bridge.send(ListDevices())
        self.poll()

    def poll(self) -> None:
        """Refreshes the lists if the devices have changed. The app calls this every tick."""
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
            self._show_problem("Looking for devices…")
            return
        for direction, options in self._lists.items():
            self._fill(options, direction, listed)
        self._show_problem(error.message if error else listed.problem)

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
        word = "" if self._speaker_only else "  in use" if self._in_call else "  next call"
        return Content.assemble(
            ("● " if used else "  ", "$text-success"),
            (one_line(device.name, 60), "bold" if used else ""),
            (word if used else "", "$text-success"),
            ("  system default" if default else "", "$foreground-muted"),
        )

    def _used(self, device: Device, direction: Direction, listed: DeviceList) -> bool:
        """Returns whether a call uses the device or, outside a call, whether the next call would use it."""
        state = self.bridge.state
        if self._in_call:
            return device.name == (
                state.controls.capture if direction == "input" else state.controls.playback
            )
        spec = self._specs.get(direction, "auto")
        if spec == "auto":
            return device.is_default(direction)
        return spec in (listed.spec_of(device, direction), device.name, str(device.index))

    @property
    def _in_call(self) -> bool:
        """Whether a call uses the devices. Always false for a saved session, whatever its status."""
        return self.bridge.state.status.live and not self._speaker_only

    def _show_problem(self, sentence: str) -> None:
        self._problem.update(one_line(sentence, 400))
        self._problem.display = bool(sentence)

    # actions

    @on(OptionList.OptionSelected)
    def choose(self, event: OptionList.OptionSelected) -> None:
        """Selects the device under the cursor or the mouse."""
        direction: Direction = "input" if event.option_list is self._lists.get("input") else "output"
        spec = event.option.id or ""
        self._error = self.bridge.state.last_error
        self._specs[direction] = spec
        self.post_message(self.Chosen(direction, spec))

    def action_look_again(self) -> None:
        """Rescans for added or removed devices."""
        self._error = self.bridge.state.last_error
        self.bridge.send(ListDevices(anew=True))

    def action_close(self) -> None:
        """Closes the screen."""
        self.dismiss()
