"""The interface of the engine on the screen's side."""

from __future__ import annotations

from typing import Protocol

from tui.engine.wire import Command, FrameItem


class EngineLink(Protocol):
    """The interface of an engine, as the bridge needs it.

    Implemented by `tui.engine.handle.EngineHandle`, by saved sessions, and by fakes in tests.
    """

    @property
    def alive(self) -> bool:
        """Whether the engine is running."""
        ...

    @property
    def log_path(self) -> str:
        """Path of the engine's own log, so that it can be named after the engine has died."""
        ...

    def drain(self) -> list[FrameItem]:
        """Returns the items that have arrived since the previous call; never blocks."""
        ...

    def send(self, command: Command) -> None:
        """Send a command; never blocks. Does nothing if the engine has exited."""
        ...
