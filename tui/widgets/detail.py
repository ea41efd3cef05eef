"""DetailPane: one event in full. A message is read and decoded only when the cursor has come to rest on it."""

from __future__ import annotations

import re
from typing import ClassVar, NamedTuple

import msgspec
from textual.binding import Binding, BindingType
from textual.strip import Strip
from textual.timer import Timer

from tui.bridge import Bridge
from tui.models.describe import describe
from tui.models.event_log import Row
from tui.models.events import MessageLogged, SessionEvent
from tui.models.text import one_line, visible
from tui.widgets import numbers
from tui.widgets.lines import LineView, line_of
from tui.widgets.pretty import MAX_RAW, pretty, raw_lines
from tui.widgets.wrap import wrap

REST_S = 0.15
"""How long the cursor has to rest on a row before its message is decoded."""

_LABEL_CELLS = 14
_KEY = re.compile(r'(\s*)("(?:[^"\\]|\\.)*")(: )')


class _Line(NamedTuple):
    text: str
    style: str = "detail--text"
    json: bool = False


class DetailPane(LineView, inherit_bindings=False):
    """Header and pretty JSON of a message, or the fields of any other event."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "detail--title",
        "detail--label",
        "detail--text",
        "detail--key",
        "detail--string",
        "detail--value",
    }
    DEFAULT_CSS = """
    DetailPane {
        .detail--title { color: $foreground; text-style: bold; }
        .detail--label { color: $foreground-muted; }
        .detail--text { color: $foreground; }
        .detail--key { color: $primary; }
        .detail--string { color: $success; }
        .detail--value { color: $warning; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "scroll_up", "Line up", show=False, id="detail.up"),
        Binding("down", "scroll_down", "Line down", show=False, id="detail.down"),
        Binding("pageup", "page_up", "Page up", show=False, id="detail.page_up"),
        Binding("pagedown", "page_down", "Page down", show=False, id="detail.page_down"),
        Binding("home", "scroll_home", "To the top", show=False, id="detail.top"),
        Binding("end", "scroll_end", "To the bottom", show=False, id="detail.bottom"),
    ]

    def __init__(self, bridge: Bridge, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.bridge = bridge
        self.raw = False
        self._event: SessionEvent | None = None
        self._head: list[_Line] = []
        self._body: list[_Line] = []
        self._drawn: list[_Line] = []
        self._rest: Timer | None = None

    def show(self, row: Row, *, at_once: bool) -> None:
        """Show a row: its header now, its message now or when the cursor has rested."""
        event = self.bridge.log.event(row)
        if event == self._event and self._rest is None:
            return
        self._event = event
        self._head = self._header(event, row)
        self._stop_rest()
        if at_once or not isinstance(event, MessageLogged):
            self._decode()
        else:
            self._body = []
            self._rest = self.set_timer(REST_S, self._rested)
            self._lay_out()
        self.scroll_to(y=0, animate=False)

    def forget(self) -> None:
        """Show nothing."""
        self._stop_rest()
        self._event, self._head, self._body = None, [], []
        self._lay_out()

    def toggle_raw(self) -> None:
        """Pretty or as it came."""
        self.raw = not self.raw
        if self._event is not None and self._rest is None:
            self._decode()
        self.scroll_to(y=0, animate=False)

    def on_mount(self) -> None:
        """Say what is in here."""
        self._lay_out()

    def on_unmount(self) -> None:
        """Give the timer back."""
        self._stop_rest()

    def on_resize(self) -> None:
        """The same lines, wrapped anew."""
        self._lay_out()

    def draw_line(self, index: int, width: int) -> Strip:
        """One line, JSON with its key and value told apart."""
        line = self._drawn[index]
        if line.style == "detail--field":
            label, value = line.text[:_LABEL_CELLS], line.text[_LABEL_CELLS:]
            return line_of((label, self.component("detail--label")), (value, self.component("detail--text")))
        match = _KEY.match(line.text) if line.json else None
        if match is None:
            style = _value_style(line.text) if line.json else line.style
            return line_of((line.text, self.component(style)))
        indent, key, colon = match.groups()
        value = line.text[match.end() :]
        return line_of(
            (indent, self.component("detail--text")),
            (key, self.component("detail--key")),
            (colon, self.component("detail--label")),
            (value, self.component(_value_style(value))),
        )

    def _rested(self) -> None:
        self._rest = None
        self._decode()

    def _stop_rest(self) -> None:
        if self._rest is not None:
            self._rest.stop()
            self._rest = None

    def _decode(self) -> None:
        if isinstance(self._event, MessageLogged):
            self._body = self._message(self._event)
        elif self._event is not None:
            self._body = _fields(self._event)
        self._lay_out()

    def _message(self, event: MessageLogged) -> list[_Line]:
        raw = self.bridge.raw_message(event)
        if raw is None:
            return [_Line("The message itself was not kept, or can no longer be read.", "detail--label")]
        if self.raw:
            return [_Line(text) for text in raw_lines(raw)]
        return [_Line(text, json=True) for text in pretty(raw)]

    def _header(self, event: SessionEvent, row: Row) -> list[_Line]:
        what = describe(event)
        facts = [f"#{event.number}", f"{numbers.since(event.at_ns, self.bridge.log.events[0].at_ns)} s"]
        title = one_line(what.kind, 80)
        if isinstance(event, MessageLogged):
            title = f"{what.arrow} {event.direction.value} {title}"
            facts.append(f"{event.size_bytes:,} bytes")
            if event.audio_ms:
                facts.append(f"{event.audio_ms:g} ms of audio")
            if not event.known:
                facts.append("unknown to the protocol")
        lines = [_Line(title, "detail--title"), _Line(" · ".join(facts), "detail--label")]
        if row.count > 1:
            run = (
                f"the newest of {row.count:,} in a row, {row.audio_ms / 1000:.2f} s, {row.size_bytes:,} bytes"
            )
            lines.append(_Line(run, "detail--label"))
        return [*lines, _Line("")]

    def _lay_out(self) -> None:
        width = self.line_width
        self._drawn = [piece for line in (*self._head, *self._body) for piece in _wrapped(line, width)]
        self.set_lines(len(self._drawn))
        self.forget_lines()
        self.border_title = "Detail · raw, v for JSON" if self.raw else "Detail · v for raw"
        self.refresh()


def _fields(event: SessionEvent) -> list[_Line]:
    lines = []
    for field in msgspec.structs.fields(event):
        if field.name in ("number", "at_ns"):
            continue
        value = visible(str(getattr(event, field.name))[:MAX_RAW]).expandtabs(4)
        first, *rest = value.split("\n")
        lines.append(_Line(f"{field.name:<{_LABEL_CELLS}}{first}", "detail--field"))
        lines += [_Line(" " * _LABEL_CELLS + text) for text in rest]
    return lines


def _wrapped(line: _Line, width: int) -> list[_Line]:
    indent = len(line.text) - len(line.text.lstrip(" "))
    if len(line.text) <= width // 2 or width <= indent + 8:
        return [line]
    first, *rest = wrap(line.text, width)
    if not rest:
        return [line]
    hanging = " " * (_LABEL_CELLS if line.style == "detail--field" else indent + 2)
    more = wrap(" ".join(rest), width - len(hanging))
    style = "detail--string" if line.json else "detail--text"
    return [line._replace(text=first), *(_Line(hanging + text, style) for text in more)]


def _value_style(value: str) -> str:
    start = value.lstrip()[:1]
    if start == '"':
        return "detail--string"
    return "detail--text" if start in "{}[]…" else "detail--value"
