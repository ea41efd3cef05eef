"""Derives malformed messages from valid ones, and checks how an end handles them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

from tui.protocols.base import Incoming, Outgoing, ProtocolError
from tui.protocols.json_frames import decode_object


def hostile_values(names: Sequence[str], *texts: str) -> st.SearchStrategy[Any]:
    """Generates values of any type, with members of these names.

    ``texts`` are values with a meaning in the protocol.
    """
    return st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**70), 2**70)
        | st.sampled_from([10**400, -(10**400), 2**64 - 1, 1e300])
        | st.floats(allow_nan=True)
        | st.sampled_from(
            [
                "",
                "nan",
                "\ud800",
                "\udfff\x1b[2J",
                "=",
                "UklGRgAAAABXQVZF",
                "x" * 300,
                "9" * 5_000,
                "²",
                *texts,
            ]
        )
        | st.text(max_size=8),
        lambda children: (
            st.lists(children, max_size=3) | st.dictionaries(st.sampled_from(names), children, max_size=3)
        ),
        max_leaves=6,
    )


@st.composite
def mutated_messages(
    draw: st.DrawFn,
    messages: Sequence[dict[str, Any]],
    names: Sequence[str],
    values: st.SearchStrategy[Any],
) -> str:
    """Generates messages with members changed, added or removed at any depth. Some are also cut or corrupted."""
    message = json.loads(json.dumps(draw(st.sampled_from(messages))))
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.sampled_from(_objects(message)))
        name = draw(st.sampled_from([*place, *names]))
        if draw(st.booleans()):
            place[name] = draw(values)
        else:
            place.pop(name, None)
    frame = json.dumps(message, ensure_ascii=draw(st.booleans()))
    match draw(st.sampled_from(["whole", "whole", "cut", "spoilt"])):
        case "cut":
            return frame[: draw(st.integers(0, len(frame)))]
        case "spoilt":
            at = draw(st.integers(0, len(frame)))
            return frame[:at] + draw(st.text(max_size=2)) + frame[at + 1 :]
        case _:
            return frame


def no_messages(kind_member: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[str | bytes]:
    """Generates frames that are not JSON, and JSON whose kind is of any type."""
    return (
        st.text(max_size=40)
        | st.binary(max_size=40)
        | values.map(lambda value: json.dumps({kind_member: value}))
    )


def check_incoming(receive: Callable[[str | bytes], Incoming], frame: str | bytes) -> Sequence[Outgoing]:
    """Asserts that a frame raises `ProtocolError` or has a printable summary; returns the replies."""
    try:
        incoming = receive(frame)
    except ProtocolError:
        return ()
    assert len(incoming.summary) <= 120
    assert "\n" not in incoming.summary
    incoming.summary.encode()
    for reply in incoming.replies:
        body = decode_object(reply.frame)[0]
        assert reply.kind in (
            body.get("type"),
            body.get("event"),
            body.get("command"),
            next(iter(body)),
            f"{next(iter(body))}.turnComplete",
        )
    return incoming.replies


def _objects(value: Any) -> list[dict[str, Any]]:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    below = [found for child in children for found in _objects(child)]
    return [value, *below] if isinstance(value, dict) else below
