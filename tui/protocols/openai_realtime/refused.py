"""What the agent's end says no to."""

from __future__ import annotations


class Refused(Exception):
    """A request of the caller that gets an ``error`` event; nothing has changed."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.param = param
