from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tui.callbacks.testing import AsyncMockCallback, MockCallback


def test_it_records_its_calls() -> None:
    mock = MockCallback(return_value=7)
    mock.assert_not_called()
    assert mock(1, a=2) == 7
    assert mock.calls == [((1,), {"a": 2})]
    assert mock.call_count == 1
    mock.assert_called_once()
    mock.assert_called_with(1, a=2)
    mock.reset()
    mock.assert_not_called()


def test_its_assertions_fail_with_a_reason() -> None:
    mock = MockCallback(name="save")
    with pytest.raises(AssertionError, match="save was not called"):
        mock.assert_called_with(1)
    with pytest.raises(AssertionError, match="save was called 0 times"):
        mock.assert_called_once()
    mock(1)
    mock(2)
    with pytest.raises(AssertionError, match=r"save was last called with \(\(2,\), {}\)"):
        mock.assert_called_with(1)
    with pytest.raises(AssertionError, match="save was last called"):
        mock.assert_called_with(2, more=True)
    with pytest.raises(AssertionError, match="save was called 2 times"):
        mock.assert_called_once()
    with pytest.raises(AssertionError, match="save was called 2 times"):
        mock.assert_not_called()


@pytest.mark.parametrize("effect", [LookupError, LookupError("bad")])
async def test_it_raises_as_told_and_still_counts(effect: type[LookupError] | LookupError) -> None:
    plain, coroutine = MockCallback(side_effect=effect), AsyncMockCallback(side_effect=effect)
    with pytest.raises(LookupError):
        plain()
    with pytest.raises(LookupError):
        await coroutine()
    plain.assert_called_once()
    coroutine.assert_called_once()


async def test_a_side_effect_gives_the_result() -> None:
    assert MockCallback(side_effect=lambda value: value + 1)(1) == 2
    assert await AsyncMockCallback(side_effect=lambda value: value + 1)(1) == 2
    assert await AsyncMockCallback(side_effect=AsyncMockCallback(return_value=3))(1) == 3


async def test_the_coroutine_one_counts_when_it_is_awaited() -> None:
    mock = AsyncMockCallback(return_value=7)
    pending = mock(1)
    mock.assert_not_called()
    assert await pending == 7
    mock.assert_called_with(1)


async def test_was_called_is_true_at_once_for_a_past_call() -> None:
    mock = MockCallback()
    mock()
    assert await mock.was_called(timeout=0)


async def test_was_called_waits_for_a_call_to_come() -> None:
    mock = MockCallback()
    asyncio.get_running_loop().call_soon(mock)
    assert await mock.was_called()


async def test_was_called_is_false_when_the_time_is_over() -> None:
    mock = MockCallback()
    assert await mock.was_called(timeout=0.01) is False
    mock()
    assert await mock.was_called(timeout=0.01, times=2) is False
    assert not mock._wakers


async def test_was_called_waits_for_a_number_of_calls_from_threads() -> None:
    mock = MockCallback()
    waiting = threading.Event()

    def work() -> None:
        assert waiting.wait(10)
        for number in range(100):
            mock(number)

    with ThreadPoolExecutor(2) as pool:
        workers = [pool.submit(work) for _ in range(2)]
        asyncio.get_running_loop().call_soon(waiting.set)
        assert await mock.was_called(timeout=10, times=200)
        for worker in workers:
            worker.result(10)
