"""What every panel that shows a model has in common: when it listens, and when it draws."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget

from tui.bridge import Bridge
from tui.callbacks import Registration


class ModelPanel(Widget):
    """Listens to its model while it is mounted, and refreshes at most once a tick.

    A mixin, to be named after the widget class (Textual takes style and keys from the first base only). Set
    `bridge` before the widget is mounted; override `listen` and `refresh_from_model`.
    """

    bridge: Bridge
    _asleep = False
    _stale = False

    def listen(self) -> Iterable[Registration]:
        """Register `changed` with what this panel shows."""
        return ()

    def refresh_from_model(self) -> None:
        """Take over what the model says now."""

    def poll(self) -> None:
        """Draw what has no events; called again and again while this panel is seen."""

    def sleep(self) -> None:
        """It is hidden: what changes is taken over when it is woken, not before."""
        self._asleep = True

    def wake(self) -> None:
        """It is seen again."""
        self._asleep = False
        if self._stale:
            self._stale = False
            self.refresh_from_model()

    def changed(self, *_: object) -> None:
        """The callback for every model: this panel is due at the end of the tick."""
        self.bridge.mark_dirty(self._refresh_if_mounted)

    def on_mount(self) -> None:
        """Begin to listen, and show what is already known."""
        self._registrations = tuple(self.listen())
        self.refresh_from_model()

    def on_unmount(self) -> None:
        """Give the registrations back."""
        for registration in self._registrations:
            registration.unregister()

    def _refresh_if_mounted(self) -> None:
        if self._asleep:
            self._stale = True
        elif self.is_attached:
            self.refresh_from_model()
