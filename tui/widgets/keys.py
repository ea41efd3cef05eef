"""KeyBar: one line with the keys that apply now, or with the reason why a key has no effect.

Clicking a key presses it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from rich.cells import cell_len
from textual import events
from textual.app import App
from textual.binding import ActiveBinding, Binding
from textual.content import Content
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Static

_GAP = 2
NOTICE_S = 4.0
"""Time in seconds for which a sentence is shown, unless another key is pressed."""


def in_order(entries: Iterable[ActiveBinding]) -> list[ActiveBinding]:
    """Returns the entries in the order in which their bindings are declared.

    Rebinding a key therefore does not move its action to the end.
    """
    found = list(entries)
    owners = list(dict.fromkeys(entry.node for entry in found))
    places = {
        (node, binding.id): number
        for node in owners
        for number, binding in enumerate(type(node).BINDINGS)
        if isinstance(binding, Binding)
    }
    return sorted(
        found, key=lambda entry: (owners.index(entry.node), places.get((entry.node, entry.binding.id), -1))
    )


class KeyBar(Static):
    """Shows keys in the footer.

    Keys of the focused pane and the screen are on the left, keys of the program on the right.
    """

    DEFAULT_CSS = """
    KeyBar { dock: bottom; height: 1; padding: 0 1; background: $footer-background; text-wrap: nowrap; }
    """

    def __init__(self, names: Callable[[], Mapping[str, str]] = dict) -> None:
        """Creates the footer. ``names`` returns labels by action id, for actions whose label changes."""
        super().__init__(markup=False)
        self._names = names
        self._places: list[tuple[range, ActiveBinding]] = []
        self._shown: list[tuple[str, str]] = []
        """The keys that were drawn most recently, as pieces of text with their styles; empty while a sentence is
        shown."""
        self._notice = ""
        self._notice_timer: Timer | None = None

    def show_notice(self, sentence: str) -> None:
        """Shows a sentence instead of the keys for `NOTICE_S`. An empty sentence restores the keys."""
        if self._notice_timer is not None:
            self._notice_timer.stop()
            self._notice_timer = None
        if sentence:
            self._notice_timer = self.set_timer(NOTICE_S, lambda: self.show_notice(""))
        if sentence != self._notice:
            self._notice = sentence
            self._show()

    def on_mount(self) -> None:
        """Subscribes to changes of the keys that apply."""
        self.screen.bindings_updated_signal.subscribe(self, self._bindings_changed)

    def on_unmount(self) -> None:
        """Unsubscribes."""
        self.screen.bindings_updated_signal.unsubscribe(self)

    def on_resize(self) -> None:
        """Draws as many keys as fit."""
        self._show()

    def on_click(self, event: events.Click) -> None:
        """Presses the key that was clicked."""
        entry = self._at(event)
        if entry is not None:
            self.app.simulate_key(entry.binding.key)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Shows a tooltip for the key under the mouse."""
        entry = self._at(event)
        self.tooltip = None if entry is None else Content(entry.binding.tooltip)

    def _at(self, event: events.MouseEvent) -> ActiveBinding | None:
        offset = event.get_content_offset(self)
        if offset is None:
            return None
        return next((entry for place, entry in self._places if offset.x in place), None)

    def _bindings_changed(self, screen: Screen[object]) -> None:
        if self.is_attached and screen is self.screen and self.app.app_focus:
            self._notice = ""
            self._show()

    def _show(self) -> None:
        if self._notice:
            self._places, self._shown = [], []
            self.update(Content.styled(self._notice, "bold $text-warning"), layout=False)
            return
        usable = [entry for entry in in_order(self.screen.active_bindings.values()) if entry.enabled]
        shown = list(
            {entry.binding.action: entry for entry in reversed(usable) if entry.binding.show}.values()
        )[::-1]
        leading = self._of_focus(usable)
        actions = {entry.binding.action for entry in leading}
        others = [e for e in shown if not isinstance(e.node, App) and e.binding.action not in actions]
        right = [entry for entry in shown if isinstance(entry.node, App)]
        # Before the first layout, the width is that of the screen, so that the first picture is complete.
        width = self.content_size.width or self.screen.size.width - 2
        self._fit(leading, others, right, width)
        left = leading + others
        parts: list[tuple[str, str]] = []
        self._places = []
        self._add(left, parts)
        gap = max(width - self._cells(left) - self._cells(right), 0)
        parts.append((" " * gap, ""))
        self._add(right, parts, self._cells(left) + gap)
        if parts != self._shown:
            self._shown = parts
            self.update(Content.assemble(*parts), layout=False)

    def _fit(
        self,
        leading: list[ActiveBinding],
        others: list[ActiveBinding],
        right: list[ActiveBinding],
        width: int,
    ) -> None:
        """Removes keys from the ends of the three lists until the line fits.

        First removes the screen's keys, then the program's keys except one, then the focused pane's keys. Keeps
        escape, which leaves the screen or the pane.
        """
        for keys, least in ((others, 0), (right, 1), (leading, 0)):
            spare = [entry for entry in keys[least:] if entry.binding.key != "escape"]
            while spare and self._cells(leading + others) + _GAP + self._cells(right) > width:
                keys.remove(spare.pop())

    def _of_focus(self, usable: Iterable[ActiveBinding]) -> list[ActiveBinding]:
        """Returns the keys that the focused pane lists in its ``FOOTER``."""
        wanted: Sequence[str] = getattr(self.screen.focused, "FOOTER", ())
        first = {entry.binding.id: entry for entry in reversed(list(usable))}
        return [first[name] for name in wanted if name in first]

    def _add(self, entries: list[ActiveBinding], parts: list[tuple[str, str]], start: int = 0) -> None:
        for number, entry in enumerate(entries):
            if number:
                parts.append((" " * _GAP, ""))
                start += _GAP
            key, name = self.app.get_key_display(entry.binding), self._label_of(entry)
            parts += [(key, "bold $footer-key-foreground"), (f" {name}", "$footer-description-foreground")]
            cells = cell_len(key) + 1 + cell_len(name)
            self._places.append((range(start, start + cells), entry))
            start += cells

    def _label_of(self, entry: ActiveBinding) -> str:
        """Returns the label of a key. A screen may change the label depending on its state."""
        return self._names().get(entry.binding.id or "", entry.binding.description)

    def _cells(self, entries: list[ActiveBinding]) -> int:
        keys = (f"{self.app.get_key_display(e.binding)} {self._label_of(e)}" for e in entries)
        return sum(cell_len(key) for key in keys) + _GAP * max(len(entries) - 1, 0)
