from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.terminal import Terminal, virtual_audio

RATE = 16_000


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ours = [item for item in items if "e2e" in Path(str(item.fspath)).parts]
    for item in ours:
        item.add_marker(pytest.mark.e2e)
        # Tests in a group run one after another, so that they do not delay each other's audio. Files without
        # timing have their own groups.
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group("sound"))
    # The longest groups start first, so that no worker is left with a long group at the end.
    items[:] = ours + [item for item in items if item not in set(ours)]


@pytest.fixture(autouse=True)
def one_after_the_other(request: pytest.FixtureRequest) -> None:
    """Checks the grouping, because incompatible versions of pytest and pytest-xdist silently ignore groups."""
    assert "PYTEST_XDIST_WORKER" not in os.environ or "@" in request.node.nodeid


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Yields the environment in which the virtual devices are visible, at the agent's rate."""
    with virtual_audio(tmp_path_factory.mktemp("va"), RATE) as environment:
        yield environment


@pytest.fixture
def size() -> tuple[int, int]:
    """Returns the size of the terminal, which tests may override."""
    return (80, 24)


@pytest.fixture
def terminal(tmp_path: Path, sound: dict[str, str], size: tuple[int, int]) -> Iterator[Terminal]:
    """Yields a terminal with the virtual devices."""
    assert shutil.which("tmux"), "these tests need tmux"
    terminal = Terminal(tmp_path, sound, size)
    yield terminal
    terminal.kill()
    terminal.wait_until_gone()
