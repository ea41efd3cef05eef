from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from tests.waiting import wait_for
from tui.audio.devices import AudioDeviceError
from tui.audio.in_thread import driver_busy, driver_hangs, in_thread
from tui.audio.trial import TIMEOUT_VARIABLE


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Yields an event that lets a hanging driver return; the time limit is 50 ms."""
    monkeypatch.setenv(TIMEOUT_VARIABLE, "0.05")
    answers = threading.Event()
    yield answers
    answers.set()


async def test_a_result_and_an_exception_come_back() -> None:
    assert await in_thread(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        await in_thread(lambda: 1 // 0)
    assert not driver_hangs()


async def test_a_driver_that_hangs_is_given_up_and_nothing_is_asked_of_it_until_it_returns(
    driver: threading.Event,
) -> None:
    undone = threading.Event()
    with pytest.raises(AudioDeviceError, match="is not responding"):
        await in_thread(lambda: driver.wait(20), undo=undone.set)
    assert driver_hangs()
    assert driver_busy()
    with pytest.raises(AudioDeviceError, match="is not responding"):
        await in_thread(lambda: pytest.fail("called beside a call that hangs"))
    assert not undone.is_set()
    driver.set()
    await wait_for(lambda: not driver_hangs())
    assert undone.is_set()
    assert await in_thread(lambda: 7) == 7


async def test_a_cancellation_waits_for_a_call_that_cannot_be_interrupted(driver: threading.Event) -> None:
    returned: list[bool] = []
    task = asyncio.ensure_future(in_thread(lambda: returned.append(driver.wait(20)), limit_s=20))
    await asyncio.sleep(0)
    task.cancel()
    asyncio.get_running_loop().call_later(0.02, driver.set)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert returned == [True]


async def test_a_cancellable_call_ends_with_the_cancellation(driver: threading.Event) -> None:
    task = asyncio.ensure_future(in_thread(lambda: driver.wait(20), cancellable=True, limit_s=20))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not driver.is_set()
    assert not driver_hangs(), "others may ask it meanwhile"
