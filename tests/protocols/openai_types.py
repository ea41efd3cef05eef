"""Types of the `openai` package for events of either side. Tests that need them are skipped without the package."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import TypeAdapter

from tui.protocols.base import Outgoing

realtime = pytest.importorskip("openai.types.realtime")

_SERVER: TypeAdapter[Any] = TypeAdapter(realtime.RealtimeServerEvent)
_CLIENT: TypeAdapter[Any] = TypeAdapter(realtime.RealtimeClientEvent)


def assert_server_event(frame: Outgoing) -> None:
    _assert_is(_SERVER.validate_json(frame.frame), frame)


def assert_client_event(frame: Outgoing) -> None:
    _assert_is(_CLIENT.validate_json(frame.frame), frame)


def _assert_is(event: Any, frame: Outgoing) -> None:
    message = json.loads(frame.frame)
    assert event.type == message["type"] == frame.kind
    strays = set(message) - set(type(event).model_fields)
    assert not strays, f"{frame.kind} has {strays}, which the package does not know"
