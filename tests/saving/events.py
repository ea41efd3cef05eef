"""Generates arbitrary events, and saves sessions of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec
from hypothesis import strategies as st

from tests.builders import MS, message, numbered, said, started, status
from tui.models import events as e
from tui.models.target import Target
from tui.models.turns.metrics import MetricsFold
from tui.saving.writer import SessionWriter


def _values(annotation: Any) -> st.SearchStrategy[Any]:
    if annotation is float:
        return st.floats(allow_nan=False, allow_infinity=False)
    if annotation is int:
        return st.integers(-(2**63), 2**63 - 1)
    if get_origin(annotation) is Annotated:
        (bounds,) = annotation.__metadata__
        return st.integers(bounds.ge, bounds.le)
    if get_origin(annotation) in (UnionType, Union):
        return st.one_of([_values(each) for each in get_args(annotation)])
    if annotation == dict[str, float]:
        return st.dictionaries(st.text(), _values(float), max_size=3)
    return st.from_type(annotation)


def _events_of(kind: type[e.SessionEvent]) -> st.SearchStrategy[e.SessionEvent]:
    fields = {field.name: _values(field.type) for field in msgspec.structs.fields(kind)}
    # The writer sets the offset of each message.
    return st.builds(kind, **{**fields, **({"offset": st.just(-1)} if kind is e.MessageLogged else {})})


any_event = st.one_of([_events_of(kind) for kind in get_args(e.SessionEvent)])
"""Generates events of any kind with any values."""


def a_session() -> list[e.SessionEvent]:
    """Returns a short complete session."""
    s = e.Status
    return numbered(
        [
            started(),
            status(s.IDLE, s.CONNECTING, 10),
            status(s.CONNECTING, s.INITIATING, 20),
            status(s.INITIATING, s.ACTIVE, 1000),
            message(at_ms=1000),
            said(e.Party.AGENT, "Hello.", at_ms=1100),
            status(s.ACTIVE, s.ENDING, 5000, "hung up"),
            status(s.ENDING, s.ENDED, 6000, "hung up"),
        ]
    )


async def write(
    parent: Path, events: Sequence[e.SessionEvent | bytes], problems: list[str] | None = None, **options: Any
) -> Path:
    """Saves events and raw messages as in a call; returns the session's folder."""
    target = Target(**{"url": "ws://127.0.0.1:9/x", "title": "test", "save": str(parent), **options})
    fold = MetricsFold()
    writer = await SessionWriter.start(
        target,
        (problems if problems is not None else []).append,
        lambda: fold.metrics,
        clock_ns=lambda: 10_000 * MS,
    )
    for event in events:
        if isinstance(event, bytes):
            writer.append(event)
        else:
            fold.apply(event)
            writer.take(event)
    await writer.close()
    return writer.folder


def write_now(parent: Path, events: Sequence[e.SessionEvent | bytes], **options: Any) -> Path:
    """Works like `write`, but without a running loop."""
    return asyncio.run(write(parent, events, **options))
