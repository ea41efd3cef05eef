"""The exception for requests that the agent's end refuses."""

from __future__ import annotations


class Refused(Exception):
    """Raised when the agent refuses a request, which it answers with an ``error`` event; no state has changed."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.param = param
