from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import message, started
from tui.engine import wire
from tui.models.target import Target

items = st.lists(
    st.sampled_from(
        [wire.EventItem(event=message()), wire.EventItem(event=started()), wire.MessagesFile(path="/tmp/x")]
    ),
    max_size=5,
)


@given(st.lists(items, max_size=5), st.integers(1, 50))
def test_frames_survive_any_split_of_the_stream(batches: list[list[wire.FrameItem]], piece: int) -> None:
    stream = b"".join(map(wire.pack, batches))
    unpacker, seen = wire.Unpacker(), []
    for start in range(0, len(stream), piece):
        unpacker.feed(stream[start : start + piece])
        seen += [wire.frame_items(body) for body in unpacker.bodies()]
    assert seen == batches


def test_a_command_carries_every_field_of_a_target() -> None:
    target = Target(url="ws://x/", token="t", headers={"A": "b"}, formats=("raw/mulaw",), options={"k": "v"})
    unpacker = wire.Unpacker()
    unpacker.feed(wire.pack([wire.Connect(target=target), wire.Record(on=True)]))
    (body,) = unpacker.bodies()
    assert wire.commands(body) == [wire.Connect(target=target), wire.Record(on=True)]


def test_a_frame_over_the_limit_is_refused_before_it_is_read() -> None:
    unpacker = wire.Unpacker()
    unpacker.feed(b"\xff\xff\xff\xff")
    with pytest.raises(ValueError, match="exceeds the limit"):
        list(unpacker.bodies())


def test_an_unknown_command_is_an_error() -> None:
    with pytest.raises(msgspec.DecodeError):
        wire.commands(msgspec.msgpack.encode([{"item": "nonsense"}]))
