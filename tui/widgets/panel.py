"""ModelPanel: a base class for panels that show a model. Decides when a panel listens and draws."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget

from tui.bridge import Bridge
from tui.callbacks import Registration


class ModelPanel(Widget):
    """Listens to its models while it is mounted, and refreshes at most once per tick.

    List this mixin after the widget class, because Textual takes style and keys only from the first base
    class. Set `bridge` before the panel is mounted. Subclasses override `listen` and `refresh_from_model`.
    """

    bridge: Bridge
    _asleep = False
    _stale = False

    def listen(self) -> Iterable[Registration]:
        """Yields the registrations of `changed` with the models that the panel shows."""
        return ()

    def refresh_from_model(self) -> None:
        """Updates the panel from the model."""

    def poll(self) -> None:
        """Draws values that change without events. Called every tick while the panel is visible."""

    def sleep(self) -> None:
        """Suspends refreshes while the panel is hidden."""
        self._asleep = True

    def wake(self) -> None:
        """Resumes refreshes when the panel is visible again, and applies pending changes."""
        self._asleep = False
        if self._stale:
            self._stale = False
            self.refresh_from_model()

    def changed(self, *_: object) -> None:
        """Schedules a refresh at the end of the tick.

        Panels register this method as the callback for all their models.
        """
        self.bridge.mark_dirty(self._refresh_if_mounted)

    def on_mount(self) -> None:
        """Starts listening, and shows the current state."""
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
