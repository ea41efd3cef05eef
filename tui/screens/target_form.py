"""TargetForm: the fields of the connect screen (URL, protocol, token, devices), and their problems."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Label, Static

from tui.audio.devices import Direction
from tui.config.targets import Listed, url_problem
from tui.engine.wire import DeviceList
from tui.models.target import Target
from tui.text.redaction import (
    HIDDEN,
    header_secrets,
    host_of,
    know_secrets,
    subprotocol_secrets,
    token_in_environment,
)
from tui.text.visible import one_line
from tui.widgets.choice import Choice
from tui.widgets.writing import WordLine

if TYPE_CHECKING:
    from tui.config.pasted import Pasted

_FORGOTTEN = "The part after … was a secret and was not saved. Type it again."


class UrlLine(WordLine):
    """The address bar. The address bar also accepts a command line of another websocket client."""

    class CommandPasted(Message):
        """Reports that the user pasted a complete command line."""

        def __init__(self, pasted: Pasted) -> None:
            super().__init__()
            self.pasted = pasted

    def __init__(self, *, id: str) -> None:  # noqa: A002 - Textual's name for it
        super().__init__(placeholder="", id=id)
        self.pasted: Pasted | None = None
        """The command line that was pasted last, until a listed target is chosen."""
        self.note = Static(classes="note", id="headers", markup=False)
        """Note below the bar about pasted headers that will be sent."""

    def paste(self, text: str) -> None:
        """Replaces the selection with a pasted URL. If the text is a command line, posts a message instead."""
        from tui.config.pasted import read_command  # late: the first paint does not need it

        pasted = read_command(text)
        if pasted is None:
            super().paste(text)
        else:
            self.post_message(self.CommandPasted(pasted))


class TargetForm:
    """The form for a target. ``base`` contains the initial settings for a typed URL.

    ``filled`` is the target that the form shows at first.
    """

    def __init__(self, base: Target, filled: Listed) -> None:
        self.url = UrlLine(id="url")
        self.protocol = Choice([base.protocol], id="protocol")
        self.token_env = WordLine(placeholder="VARIABLE", id="token")
        self.capture = Choice(["auto"], id="in")
        self.playback = Choice(["auto", "none"], id="out")
        self.call_problem = Static(classes="problem", id="call-problem", markup=False)
        """Problem that concerns no single field, shown below the buttons."""
        self._url_problem = Static(classes="problem", id="url-problem", markup=False)
        self._token_problem = Static(classes="problem", id="token-problem", markup=False)
        self._audio_problem = Static(classes="problem", id="audio-problem", markup=False)
        self._base = base
        self._filled = filled
        """The listed target with which the fields were last filled."""
        self._devices: DeviceList | None = None

    def compose_url(self) -> ComposeResult:
        """Yields the address bar, its problem, and the note about pasted headers."""
        with Horizontal(classes="field"):
            yield Label("URL")
            yield self.url
        yield self._url_problem
        yield self.url.note

    def compose(self) -> ComposeResult:
        """Yields all fields but the address bar, each followed by its problem."""
        with Horizontal(classes="field"):
            yield Label("Protocol")
            yield self.protocol
            yield Label("Token from $", classes="second")
            yield self.token_env
        yield self._token_problem
        with Horizontal(classes="field"):
            yield Label("Microphone")
            yield self.capture
            yield Label("Speaker", classes="second")
            yield self.playback
        yield self._audio_problem

    def fill(self, listed: Listed | None = None) -> None:
        """Fills the fields with a listed target; None stands for the initial target."""
        self._filled = listed or self._filled
        self.url.pasted = None
        show_problem(self.url.note, "")
        target = self._filled.target
        self.url.value = one_line(target.safe_url)
        self.token_env.value = one_line(target.token_env)
        self.protocol.choose(target.protocol)
        self.capture.choose(target.input)
        self.playback.choose(target.output)
        show_problem(self.call_problem, self._filled.problem)

    def take(self, pasted: Pasted) -> None:
        """Fills in the URL and the headers of a pasted command line.

        The values of the headers are neither shown nor saved.
        """
        self.fill(Listed(self._base))
        self.url.pasted = pasted
        know_secrets((*header_secrets(pasted.headers), *subprotocol_secrets(pasted.subprotocols)))
        self.url.value = one_line(self.url.clean(pasted.url))
        if names := ", ".join([*pasted.headers, *(["subprotocols"] if pasted.subprotocols else ())]):
            show_problem(
                self.url.note,
                f"Using {names} from the pasted line. Values are hidden, sent only to {host_of(pasted.url)} and not "
                "saved. To reuse a token, put it in an environment variable: connect URL --token-env NAME.",
            )

    def offer_devices(self, devices: DeviceList | None) -> None:
        """Lists the devices in the fields.

        Does nothing until the fields are mounted.
        """
        mounted = self.capture.is_mounted and self.playback.is_mounted
        if devices is None or devices is self._devices or not mounted:
            return
        self._devices = devices
        self.capture.offer(_labels(devices, "input"))
        self.playback.offer({**_labels(devices, "output"), "none": "none"})
        show_problem(self._audio_problem, devices.problem)

    @property
    def chosen_devices(self) -> dict[str, str]:
        """The devices that the user has chosen, as fields of a target."""
        chosen = {"input": self.capture.chosen, "output": self.playback.chosen}
        return {direction: device for direction, device in chosen.items() if device != "auto"}

    def target(self) -> Target | None:
        """Returns the target to call. If there is a problem, shows the problem next to its field and returns None."""
        for problem in (self._url_problem, self._token_problem, self.call_problem):
            show_problem(problem, "")
        known, url = self._base, self.url.value.strip()
        if url and url == self._filled.target.safe_url:
            if self._filled.problem:
                show_problem(self.call_problem, self._filled.problem)
                return None
            known, url = self._filled.target, self._filled.target.url
            sentence = _FORGOTTEN if HIDDEN in url else ""
        else:
            sentence = url_problem(url, self.protocol.chosen)
        if sentence:
            show_problem(self._url_problem, sentence)
            self.url.focus()
            return None
        known = self._with_pasted(known, url)
        variable = self.token_env.value.strip().removeprefix("$")
        sentence = token = ""
        try:
            token = token_in_environment(variable) if variable else ""
        except ValueError as error:
            sentence = f"The value of {variable} {error}."
        if variable and not token:
            sentence = sentence or f"{variable} is not set in the environment of this program."
            show_problem(self._token_problem, sentence)
            self.token_env.focus()
            return None
        return msgspec.structs.replace(
            known,
            url=url,
            protocol=self.protocol.chosen,
            token=token or (known.token if not known.token_env else ""),
            token_env=variable,
            input=self.capture.chosen,
            output=self.playback.chosen,
        )

    def _with_pasted(self, known: Target, url: str) -> Target:
        """Returns the target with the pasted headers, unless the URL was changed to another host."""
        pasted = self.url.pasted
        if pasted is None or host_of(url) != host_of(pasted.url):
            return known
        return msgspec.structs.replace(
            known, headers={**known.headers, **pasted.headers}, subprotocols=pasted.subprotocols
        )


def show_problem(problem: Static, sentence: str) -> None:
    """Shows a sentence in the line of a problem; "" hides the line."""
    problem.update(one_line(sentence, 400))
    problem.set_class(bool(sentence), "-shown")


def _labels(listed: DeviceList, direction: Direction) -> dict[str, str]:
    labels = {"auto": "auto"}
    for device in listed.usable(direction):
        default = " (default)" if device.is_default(direction) else ""
        labels[listed.spec_of(device, direction)] = f"{device.index} {device.name}{default}"
    return labels
