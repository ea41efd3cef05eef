"""The connect screen: whom to call, how, and with which devices."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from typing import ClassVar

import msgspec
from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Button, Input, Label, OptionList, Static
from textual.widgets.option_list import Option

from tui.audio.devices import Direction
from tui.bridge import Bridge
from tui.config.targets import Listed, url_problem
from tui.engine.wire import DeviceList, ListDevices
from tui.models.target import Target
from tui.screens.actions import Action, bindings
from tui.screens.styled_once import StyledOnce
from tui.text.visible import one_line
from tui.widgets.choice import Choice
from tui.widgets.keys import KeyBar
from tui.widgets.too_small import TooSmall

CONNECT = (
    Action(
        "connect_call",
        "ctrl+r",
        "Call",
        "Call what the form says (enter in a field does too).",
        "call",
        show=True,
        key_display="^r",
    ),
    Action(
        "connect_demo",
        "ctrl+d",
        "Demo",
        "Start the local agent and call it.",
        "demo",
        show=True,
        key_display="^d",
        priority=True,
    ),
    Action("connect_back", "escape", "Back", "Back to the session.", "back", show=True, key_display="esc"),
)
DEMO = "demo — the local agent: no account, no key, no network"
_DEMO_ID = "demo"
_TYPED = r"[!-~\u00a1-\u1fff\u3000-\ud7ff]*"
"""No blanks and nothing that steers a terminal: a paste may hold anything."""
_FORGOTTEN = "What stands behind … was a secret and is not remembered: write it again."
_FAILURES = (OSError, RuntimeError, ValueError)


class ConnectScreen(StyledOnce, Screen[Target | None], inherit_bindings=False):
    """Ends with the target to call, or None."""

    TITLE = "Connect"
    AUTO_FOCUS = "#targets"
    BINDINGS: ClassVar[list[BindingType]] = bindings(CONNECT)

    def __init__(
        self,
        bridge: Bridge,
        *,
        base: Target,
        current: Target | None = None,
        profiles: Sequence[Listed] = (),
        recent: Sequence[Target],
        protocols: Callable[[], Sequence[str]],
        demo: Callable[[], Target] | None,
    ) -> None:
        """``base`` is what a target begins with whose URL is typed; ``current`` is whom the session is with.

        ``protocols`` may take its time to tell.
        """
        super().__init__()
        self.bridge = bridge
        self._listed = [*profiles, *(Listed(target) for target in recent)]
        if current is not None:
            others = [listed for listed in self._listed if not _is_same(listed.target, current)]
            self._listed = [Listed(current), *others]
        self._current = current
        self._demo = demo
        self._filled = Listed(base if current is None else current)
        self._base = base
        self._devices: DeviceList | None = None
        self.targets = OptionList(id="targets", markup=False)
        self.url = Input(placeholder="ws://localhost:8000/…", restrict=_TYPED, id="url", compact=True)
        self._protocols = protocols
        self.protocol = Choice([base.protocol], id="protocol")
        self.token_env = Input(placeholder="none", restrict=_TYPED, id="token", compact=True)
        self.capture = Choice(["auto"], id="in")
        self.playback = Choice(["auto", "none"], id="out")
        self.url_problem = Static(classes="problem", id="url-problem", markup=False)
        self.token_problem = Static(classes="problem", id="token-problem", markup=False)
        self.audio_problem = Static(classes="problem", id="audio-problem", markup=False)
        self.call_problem = Static(classes="problem", id="call-problem", markup=False)

    def compose(self) -> ComposeResult:
        """Demo, profiles and recent targets, then the form."""
        yield TooSmall()
        with Vertical(id="form"):
            heading = Content.assemble(("opusagent-tui", "bold $primary"), "  Whom shall we call?")
            yield Static(heading, id="heading")
            self.targets.border_title = "Demo, profiles, recent targets"
            yield self.targets
            with Horizontal(classes="field"):
                yield Label("URL")
                yield self.url
            yield self.url_problem
            with Horizontal(classes="field"):
                yield Label("Protocol")
                yield self.protocol
                yield Label("Token from $", classes="second")
                yield self.token_env
            yield self.token_problem
            with Horizontal(classes="field"):
                yield Label("Microphone")
                yield self.capture
                yield Label("Speaker", classes="second")
                yield self.playback
            yield self.audio_problem
            with Horizontal(id="buttons"):
                yield Button("Call", id="call", variant="primary", compact=True)
                yield Button("Demo", id="demo", compact=True, disabled=self._demo is None)
                yield Button("Back", id="back", compact=True)
            yield self.call_problem
        yield KeyBar()

    def on_mount(self) -> None:
        """Ask for the devices, offer the targets: the current one, the demo, and the others."""
        options = [Option(_line_of(listed.target), id=str(n)) for n, listed in enumerate(self._listed)]
        if self._demo is not None:
            options.insert(0 if self._current is None else 1, Option(Content(DEMO), id=_DEMO_ID))
        self.targets.add_options(options)
        self._show(self._filled)
        if self.targets.option_count:
            self.targets.highlighted = 0
        else:
            self.targets.display = False
            self.url.focus()
        self.bridge.send(ListDevices())
        self.call_after_refresh(self._offer_protocols)

    def _offer_protocols(self) -> None:
        """Behind the first picture: packages are asked which they bring."""
        self.protocol.offer({name: name for name in self._protocols()})

    def poll(self) -> None:
        """Take the devices when they have come."""
        devices = self.bridge.devices
        if devices is None or devices is self._devices or not self._ready():
            return
        self._devices = devices
        self.capture.offer(_labels(devices, "input"))
        self.playback.offer({**_labels(devices, "output"), "none": "none"})
        _say(self.audio_problem, devices.problem)

    def _ready(self) -> bool:
        """Whether the fields can take their values: a tick may come before they are mounted."""
        return self.is_mounted and self.capture.is_mounted and self.playback.is_mounted

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """There may be no demo."""
        return action != "demo" or self._demo is not None

    @on(OptionList.OptionHighlighted, "#targets")
    def fill(self, event: OptionList.OptionHighlighted) -> None:
        """Show a listed target in the form, to call it or to change it first."""
        listed = self._listed_as(event.option)
        if listed is not None:
            self._filled = listed
            self._show(listed)

    def _show(self, listed: Listed) -> None:
        target = listed.target
        self.url.value = one_line(target.safe_url)
        self.token_env.value = one_line(target.token_env)
        self.protocol.choose(target.protocol)
        self.capture.choose(target.input)
        self.playback.choose(target.output)
        _say(self.call_problem, listed.problem)

    @on(OptionList.OptionSelected, "#targets")
    def select(self, event: OptionList.OptionSelected) -> None:
        """Call it."""
        if event.option.id == _DEMO_ID:
            self.action_demo()
        else:
            self.fill(OptionList.OptionHighlighted(self.targets, event.option, event.option_index))
            self.action_call()

    @on(Button.Pressed)
    def press(self, event: Button.Pressed) -> None:
        """By mouse."""
        match event.button.id:
            case "call":
                self.action_call()
            case "demo":
                self.action_demo()
            case _:
                self.action_back()

    @on(Input.Submitted)
    def action_call(self) -> None:
        """Call what the form says, or say what is wrong with it."""
        for problem in (self.url_problem, self.token_problem, self.call_problem):
            _say(problem, "")
        url, filled = self.url.value.strip(), self._filled
        if url and url == filled.target.safe_url:
            if filled.problem:
                _say(self.call_problem, filled.problem)
                return
            known, url = filled.target, filled.target.url
            sentence = _FORGOTTEN if "=…" in url else ""
        else:
            known = self._base
            sentence = url_problem(url, self.protocol.chosen)
        if sentence:
            _say(self.url_problem, sentence)
            self.url.focus()
            return
        variable = self.token_env.value.strip().removeprefix("$")
        token = os.environ.get(variable, "") if variable else ""
        if variable and not token:
            _say(self.token_problem, f"{variable} is not set in the environment this program was started in.")
            self.token_env.focus()
            return
        self.dismiss(
            msgspec.structs.replace(
                known,
                url=url,
                protocol=self.protocol.chosen,
                token=token or (known.token if not known.token_env else ""),
                token_env=variable,
                input=self.capture.chosen,
                output=self.playback.chosen,
            )
        )

    @work(exclusive=True, group="demo", description="start the local agent")
    async def action_demo(self) -> None:
        """Start the local agent, then call it."""
        if self._demo is None:
            return
        _say(self.call_problem, "Starting the local agent …")
        try:
            target = await asyncio.to_thread(self._demo)
        except _FAILURES as error:
            _say(self.call_problem, f"The local agent did not start: {error}")
            return
        chosen = {"input": self.capture.chosen, "output": self.playback.chosen}
        self.dismiss(msgspec.structs.replace(target, **{k: v for k, v in chosen.items() if v != "auto"}))

    def action_back(self) -> None:
        """Nobody."""
        self.dismiss(None)

    def _listed_as(self, option: Option) -> Listed | None:
        return None if option.id in (None, _DEMO_ID) else self._listed[int(option.id or 0)]


def _is_same(one: Target, other: Target) -> bool:
    """Whether they are one entry of the list: it reads alike, and one may have lost its secrets."""
    return (one.safe_url, one.title) == (other.safe_url, other.title)


def _line_of(target: Target) -> Content:
    return Content.assemble(
        (one_line(target.name, 30), "bold"),
        (f"  {one_line(target.protocol, 20)}", "$primary"),
        (f"  {one_line(target.safe_url, 120)}", "$foreground-muted"),
    )


def _labels(listed: DeviceList, direction: Direction) -> dict[str, str]:
    labels = {"auto": "auto"}
    for device in listed.usable(direction):
        default = " (default)" if device.is_default(direction) else ""
        labels[listed.spec_of(device, direction)] = f"{device.index} {device.name}{default}"
    return labels


def _say(problem: Static, sentence: str) -> None:
    problem.update(one_line(sentence, 400))
    problem.set_class(bool(sentence), "-shown")
