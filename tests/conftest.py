from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from tui.saving.reading import SavedSession

# A busy machine is no failure, and CI has to find the same thing twice.
settings.register_profile(
    "opusagent", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("opusagent")


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As a shell leaves it for what it starts in the background; every program that a test starts would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # pytest lists its folder for each new one in it, which takes seconds with a home for every test.
    return tmp_path_factory.mktemp("homes")


@pytest.fixture(autouse=True)
def own_home(homes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the settings of whoever runs it."""
    home = Path(tempfile.mkdtemp(dir=homes))
    for name in ("HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(home / name.lower()))
    ours = [name for name in os.environ if name.startswith("OPUSAGENT_TUI_")]
    for name in ("NO_COLOR", "SSH_CONNECTION", "COLUMNS", "LINES", *ours):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def saved_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved session with sound in it, for tests that only read."""
    from tests.report.sessions import save_call

    return save_call(tmp_path_factory.mktemp("sessions"))


@pytest.fixture
def saved(saved_folder: Path) -> Iterator[SavedSession]:
    from tui.saving.reading import open_session

    with open_session(saved_folder) as saved:
        yield saved


_ON_TIME = pytest.StashKey[bool]()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Lowers the priority of every worker but the one that runs the tests with sound devices."""
    if "PYTEST_XDIST_WORKER" in os.environ and _ON_TIME not in item.session.stash:
        on_time = item.session.stash[_ON_TIME] = item.nodeid.endswith("@sound")
        if not on_time:
            os.nice(10)


_LONGEST_ID = 60


def pytest_make_parametrize_id(val: object) -> str | None:
    """Keeps megabytes of input out of the names of tests, which processes and their environment pass on."""
    if isinstance(val, str | bytes) and len(val) > _LONGEST_ID:
        start = val[:_LONGEST_ID] if isinstance(val, str) else val[:_LONGEST_ID].decode("latin-1")
        return f"{start.encode('unicode_escape').decode()}… ({len(val)})"
    return None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What a test logs of lone surrogates has to get from the process that ran it to the one that reports it."""
    report = yield
    report.sections = [
        (name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections
    ]
    return report
