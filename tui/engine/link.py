"""EngineLink: the engine as seen from the screen's side."""

from __future__ import annotations

from typing import Protocol

from tui.engine.wire import Command, FrameItem


class EngineLink(Protocol):
    """What the bridge needs of the engine: `tui.engine.handle.EngineHandle`, a saved session, or a list in a test."""

    @property
    def alive(self) -> bool:
        """Whether the engine still runs."""
        ...

    @property
    def log_path(self) -> str:
        """Where the engine's own log is, to name it when the engine died."""
        ...

    def drain(self) -> list[FrameItem]:
        """What has arrived since the last call; never blocks."""
        ...

    def send(self, command: Command) -> None:
        """Send a command; never blocks; nothing happens when the engine is gone."""
        ...
