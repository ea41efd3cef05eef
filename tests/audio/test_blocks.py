from __future__ import annotations

import asyncio
import threading

import pytest

from tui.audio.blocks import Block, CaptureHandoff, Source

SOURCE = Source(8_000, from_device=True)


def block_of(number: int) -> Block:
    return Block(number, SOURCE, number.to_bytes(2, "little") * 160)


@pytest.fixture
async def handoff() -> CaptureHandoff:
    return CaptureHandoff()


async def test_blocks_come_out_in_order(handoff: CaptureHandoff) -> None:
    assert handoff.take() == []
    for number in range(3):
        handoff.put(block_of(number))
    assert len(handoff) == 3
    assert handoff.take() == [block_of(0), block_of(1), block_of(2)]
    assert handoff.take() == []


async def test_the_oldest_go_when_two_seconds_wait_and_are_counted(handoff: CaptureHandoff) -> None:
    for number in range(107):
        handoff.put(block_of(number))
    assert handoff.dropped_blocks == 7
    assert handoff.take() == [block_of(number) for number in range(7, 107)]


async def test_the_bound_follows_the_size_of_blocks() -> None:
    handoff = CaptureHandoff(block_ms=10)
    for number in range(201):
        handoff.put(block_of(number))
    assert handoff.dropped_blocks == 1


async def test_waiting_returns_at_once_when_something_is_there(handoff: CaptureHandoff) -> None:
    handoff.put(block_of(1))
    await handoff.wait()
    assert handoff.take() == [block_of(1)]


async def test_a_sleeping_consumer_is_woken_from_another_thread(handoff: CaptureHandoff) -> None:
    waiting = asyncio.ensure_future(handoff.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    thread = threading.Thread(target=handoff.put, args=(block_of(1),))
    thread.start()
    await asyncio.wait_for(waiting, 5)
    thread.join()
    assert handoff.take() == [block_of(1)]


async def test_a_block_that_comes_while_the_consumer_falls_asleep_wakes_it(handoff: CaptureHandoff) -> None:
    class FallingAsleep(asyncio.Event):
        def clear(self) -> None:
            handoff.put(block_of(1))

    handoff._arrived = FallingAsleep()
    await asyncio.wait_for(handoff.wait(), 5)
    assert handoff.take() == [block_of(1)]


async def test_nothing_is_lost_between_a_producer_and_a_consumer_that_race(handoff: CaptureHandoff) -> None:
    count = 20_000

    def produce() -> None:
        for number in range(count):
            handoff.put(block_of(number))

    producer = threading.Thread(target=produce)
    producer.start()
    taken = 0
    last = -1
    while taken + handoff.dropped_blocks < count:
        await asyncio.wait_for(handoff.wait(), 5)
        for block in handoff.take():
            assert block.at_ns > last
            last = block.at_ns
            taken += 1
    producer.join()
    assert taken + handoff.dropped_blocks == count


def test_a_block_after_the_loop_has_closed_harms_nobody() -> None:
    loop = asyncio.new_event_loop()
    handoff = CaptureHandoff()
    task = loop.create_task(handoff.wait())
    loop.run_until_complete(asyncio.sleep(0))
    task.cancel()
    loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
    loop.close()
    handoff.put(block_of(1))
    assert handoff.take() == [block_of(1)]
