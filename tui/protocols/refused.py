"""Refused: raised for requests that an agent's end refuses, with OpenAI's most common reasons."""

from __future__ import annotations


class Refused(Exception):
    """Raised if the agent refuses a request. The agent answers with an ``error`` event; no state has changed."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.param = param


def invalid_type(param: str, due: str) -> Refused:
    """Returns the exception for a parameter of the wrong type."""
    return Refused("invalid_type", f"Invalid type for '{param}': expected {due}.", param)


def invalid_value(param: str, due: str) -> Refused:
    """Returns the exception for a parameter with a wrong value."""
    return Refused("invalid_value", f"Invalid value for '{param}': expected {due}.", param)


def missing(param: str) -> Refused:
    """Returns the exception for a missing parameter."""
    return Refused("missing_required_parameter", f"Missing required parameter: '{param}'.", param)
