"""Extracts what tests check from an end's messages and from its interpretation of a message."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tui.protocols.base import Incoming, Outgoing, TelephonyEventType


def types(incoming: Incoming) -> list[TelephonyEventType]:
    return [event.type for event in incoming.events]


def rules(incoming: Incoming) -> list[str]:
    return [finding.rule for finding in incoming.findings]


def advice(incoming: Incoming) -> list[str]:
    return [finding.rule for finding in incoming.findings if finding.advice]


def kinds(said: Incoming | Sequence[Outgoing] | None) -> list[str]:
    return [frame.kind for frame in (said.replies if isinstance(said, Incoming) else said or ())]


def frames(said: Sequence[Outgoing]) -> list[str | bytes]:
    return [frame.frame for frame in said]


def body(frame: Outgoing) -> Any:
    assert isinstance(frame.frame, str)
    return json.loads(frame.frame)


def bodies(said: Sequence[Outgoing]) -> list[Any]:
    return [body(frame) for frame in said]
