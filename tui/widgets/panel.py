"""Controls when a panel that shows a model listens, and when it draws."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget

from tui.bridge import Bridge
from tui.callbacks import Registration


class ModelPanel(Widget):
    """Listens to its model while it is mounted, and refreshes at most once a tick.

    A mixin: list it after the widget class (Textual takes style and keys from the first base only). Set
    `bridge` before the widget is mounted; override `listen` and `refresh_from_model`.
    """

    bridge: Bridge
    _asleep = False
    _stale = False

    def listen(self) -> Iterable[Registration]:
        """Registers `changed` with the models that this panel shows."""
        return ()

    def refresh_from_model(self) -> None:
        """Updates the panel from the model."""

    def poll(self) -> None:
        """Draws what changes without events; called repeatedly while the panel is visible."""

    def sleep(self) -> None:
        """Notes that the panel is hidden; changes are applied when it wakes."""
        self._asleep = True

    def wake(self) -> None:
        """Notes that the panel is visible again, and applies the changes."""
        self._asleep = False
        if self._stale:
            self._stale = False
            self.refresh_from_model()

    def changed(self, *_: object) -> None:
        """Schedules a refresh of this panel at the end of the tick; the callback for every model."""
        self.bridge.mark_dirty(self._refresh_if_mounted)

    def on_mount(self) -> None:
        """Starts listening and shows the current state."""
        self._registrations = tuple(self.listen())
        self.refresh_from_model()

    def on_unmount(self) -> None:
        """Unregisters all callbacks."""
        for registration in self._registrations:
            registration.unregister()

    def _refresh_if_mounted(self) -> None:
        if self._asleep:
            self._stale = True
        elif self.is_attached:
            self.refresh_from_model()
