from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.failures import ListedReporter
from tui.callbacks import CallbackManager


@pytest.fixture
def reporter() -> ListedReporter:
    return ListedReporter()


@pytest.fixture
def manager(reporter: ListedReporter) -> CallbackManager:
    return CallbackManager(reporter)


@pytest.fixture(scope="module")
def quick_collections() -> Iterator[None]:
    """Removes what other tests left behind, and keeps collections from scanning what they still use."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


async def settle() -> None:
    """Waits until every other task of this loop has ended."""
    async with asyncio.timeout(10):
        while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(tasks)


def waiting(entered: asyncio.Event) -> Callable[[Any], Any]:
    """Returns a coroutine callback that sets ``entered`` and then waits until it is cancelled."""

    async def waits(data: object) -> None:
        entered.set()
        await asyncio.Event().wait()

    return waits
