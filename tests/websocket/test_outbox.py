from __future__ import annotations

import asyncio

from tui.callbacks.testing import MockCallback
from tui.protocols.base import Outgoing
from tui.websocket.outbox import LIMIT_AUDIO_MS, Outbox


def chunk(name: str = "c") -> Outgoing:
    return Outgoing(frame=name, kind="chunk", audio_ms=20)


async def test_messages_go_out_in_order() -> None:
    sent: list[str | bytes] = []

    async def send(message: Outgoing) -> None:
        sent.append(message.frame)

    sending, dropped = MockCallback(), MockCallback()
    outbox = Outbox(send, on_sending=sending, on_dropped=dropped)
    task = asyncio.ensure_future(outbox.run())
    outbox.put([chunk("1"), Outgoing(frame="2", kind="k")])
    outbox.put([chunk("3")])
    assert await outbox.drained(5)
    task.cancel()
    assert sent == ["1", "2", "3"]
    assert sending.call_count == 3
    dropped.assert_not_called()


async def test_a_far_side_that_does_not_read_costs_audio_but_no_message_and_no_memory() -> None:
    stuck = asyncio.Event()

    async def send(message: Outgoing) -> None:
        await stuck.wait()

    dropped = MockCallback()
    outbox = Outbox(send, on_sending=lambda _: None, on_dropped=dropped)
    task = asyncio.ensure_future(outbox.run())
    fitting = int(LIMIT_AUDIO_MS // 20)
    outbox.put([chunk()] * (fitting + 5))
    outbox.put([Outgoing(frame="bye", kind="session.end")])
    assert dropped.call_count == 5
    assert not await outbox.drained(0.01)
    task.cancel()
