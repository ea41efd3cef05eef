"""The exception for requests that an agent's end refuses, and OpenAI's most common reasons."""

from __future__ import annotations


class Refused(Exception):
    """Raised when the agent refuses a request, which it answers with an ``error`` event; no state has changed."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.param = param


def invalid_type(param: str, due: str) -> Refused:
    """Returns the refusal of a member that has the wrong type."""
    return Refused("invalid_type", f"Invalid type for '{param}': expected {due}.", param)


def invalid_value(param: str, due: str) -> Refused:
    """Returns the refusal of a member that has the right type and the wrong value."""
    return Refused("invalid_value", f"Invalid value for '{param}': expected {due}.", param)


def missing(param: str) -> Refused:
    """Returns the refusal of a request without a required member."""
    return Refused("missing_required_parameter", f"Missing required parameter: '{param}'.", param)
