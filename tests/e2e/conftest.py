from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.terminal import Terminal, virtual_audio

RATE = 16_000


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist looks for groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ours = [item for item in items if "e2e" in Path(str(item.fspath)).parts]
    for item in ours:
        item.add_marker(pytest.mark.e2e)
        # One after the other: what is heard of one must not wait for another. Files that time nothing have their own.
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group("sound"))
    # The longest groups begin first, so that no worker is left alone with one at the end.
    items[:] = ours + [item for item in items if item not in set(ours)]


@pytest.fixture(autouse=True)
def one_after_the_other(request: pytest.FixtureRequest) -> None:
    """Versions of pytest and pytest-xdist that do not fit drop groups without a word."""
    assert "PYTEST_XDIST_WORKER" not in os.environ or "@" in request.node.nodeid


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment that shows the virtual devices, at the agent's rate."""
    with virtual_audio(tmp_path_factory.mktemp("va"), RATE) as environment:
        yield environment


@pytest.fixture
def size() -> tuple[int, int]:
    """Of the terminal; a test may have another."""
    return (80, 24)


@pytest.fixture
def terminal(tmp_path: Path, sound: dict[str, str], size: tuple[int, int]) -> Iterator[Terminal]:
    """A terminal with the virtual devices."""
    assert shutil.which("tmux"), "these tests need tmux"
    terminal = Terminal(tmp_path, sound, size)
    yield terminal
    terminal.kill()
    terminal.wait_until_gone()
