from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

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
async def test_it_raises_its_side_effect_and_still_counts(effect: type[LookupError] | LookupError) -> None:
    plain, coroutine = MockCallback(side_effect=effect), AsyncMockCallback(side_effect=effect)
    with pytest.raises(LookupError):
        plain()
    with pytest.raises(LookupError):
        await coroutine()
    plain.assert_called_once()
    coroutine.assert_called_once()


async def test_a_side_effect_returns_the_result() -> None:
    assert MockCallback(side_effect=lambda value: value + 1)(1) == 2
    assert await AsyncMockCallback(side_effect=lambda value: value + 1)(1) == 2
    assert await AsyncMockCallback(side_effect=AsyncMockCallback(return_value=3))(1) == 3


async def test_the_coroutine_one_counts_when_it_is_awaited() -> None:
    mock = AsyncMockCallback(return_value=7)
    pending = mock(1)
    mock.assert_not_called()
    assert await pending == 7
    mock.assert_called_with(1)


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((1, 2), {"k": 3}),  # the arguments of the call
        (((1, 2), {"k": 3}), {}),  # expected_args, expected_kwargs
        (((1, 2),), {}),  # the keyword arguments are not compared
        ((), {"expected_args": (1, 2)}),
        (((1, 2),), {"expected_kwargs": {"k": 3}}),
        ((), {"expected_args": (1, 2), "expected_kwargs": {"k": 3}}),
    ],
)
def test_expected_arguments_can_be_written_in_both_ways(
    args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    mock = MockCallback()
    mock(1, 2, k=3)
    mock.assert_called_with(*args, **kwargs)


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((1, 2), {}),
        (((1,), {"k": 3}), {}),
        (((1, 2), {"k": 4}), {}),
        (((1, 2), {"k": 3}, None), {}),
        ((), {"expected_kwargs": {"k": 3}}),
        ((), {"expected_args": (1, 2), "k": 3}),
        ((), {}),
    ],
)
def test_other_arguments_fail_in_both_ways(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    mock = MockCallback()
    mock(1, 2, k=3)
    with pytest.raises(AssertionError, match="was last called with"):
        mock.assert_called_with(*args, **kwargs)


def test_a_call_whose_argument_is_a_tuple_matches_as_it_was_made() -> None:
    mock = MockCallback()
    mock(("a", "b"), {"k": 1})
    mock.assert_called_with(("a", "b"), {"k": 1})


def test_call_count_can_be_set() -> None:
    mock = MockCallback()
    mock()
    mock.call_count = 0
    mock()
    assert mock.call_count == 1
    assert len(mock.calls) == 2


def test_calls_from_several_threads_are_all_counted() -> None:
    mock = MockCallback()
    with ThreadPoolExecutor(4) as pool:
        for _ in pool.map(mock, range(1000)):
            pass
    assert mock.call_count == len(mock.calls) == 1000
