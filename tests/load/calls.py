"""Builds records of calls, from which tests change only what matters."""

from __future__ import annotations

from typing import Any

from tui.load.records import CallEnding, CallRecord


def call_record(call: str = "a", began_s: float = 0.0, length_s: float = 1.0, **fields: Any) -> CallRecord:
    """Returns the record of a call that was completed, unless ``fields`` say otherwise."""
    usual = {"worker": "w", "outcome": CallEnding.COMPLETED}
    return CallRecord(call=call, began_s=began_s, ended_s=began_s + length_s, **{**usual, **fields})


def refused_record(call: str, began_s: float, reason: str, **fields: Any) -> CallRecord:
    """Returns the record of a call that the agent refused."""
    refused = {"outcome": CallEnding.FAILED, "kind": "socket refused", "reason": reason}
    return call_record(call, began_s, 0.1, **{**refused, **fields})
