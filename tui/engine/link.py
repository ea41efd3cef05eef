"""EngineLink: the interface through which the screen's process uses an engine."""

from __future__ import annotations

from typing import Protocol

from tui.engine.wire import Command, FrameItem


class EngineLink(Protocol):
    """The interface of an engine.

    Implemented by `tui.engine.handle.EngineHandle`, by saved sessions, and by fakes in tests.
    """

    @property
    def alive(self) -> bool:
        """Whether the engine is running."""

    @property
    def log_path(self) -> str:
        """Path of the engine's log file, which the screen shows if the engine dies."""

    def drain(self) -> list[FrameItem]:
        """Returns the items that have arrived since the previous call; never blocks."""

    def send(self, command: Command) -> None:
        """Sends a command; never blocks. Does nothing if the engine has exited."""
