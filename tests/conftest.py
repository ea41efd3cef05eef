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

# A busy machine must not cause failures, and CI results must be reproducible.
settings.register_profile(
    "opusagent", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("opusagent")


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell ignores this signal for background jobs, and every program that a test starts would inherit
    # that.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # pytest lists the parent folder for each new folder, which would take seconds with a home for every test.
    return tmp_path_factory.mktemp("homes")


@pytest.fixture(autouse=True)
def own_home(homes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps tests from reading or writing the settings of the user who runs them."""
    home = Path(tempfile.mkdtemp(dir=homes))
    for name in ("HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(home / name.lower()))
    ours = [name for name in os.environ if name.startswith("OPUSAGENT_TUI_")]
    for name in ("NO_COLOR", "SSH_CONNECTION", "COLUMNS", "LINES", *ours):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def saved_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a saved session with audio, for tests that only read it."""
    from tests.report.sessions import save_call

    return save_call(tmp_path_factory.mktemp("sessions"))


@pytest.fixture
def saved(saved_folder: Path) -> Iterator[SavedSession]:
    from tui.saving.reading import open_session

    with open_session(saved_folder) as saved:
        yield saved


_ON_TIME = pytest.StashKey[bool]()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Lowers the priority of all workers except the worker that runs tests with sound devices."""
    if "PYTEST_XDIST_WORKER" in os.environ and _ON_TIME not in item.session.stash:
        on_time = item.session.stash[_ON_TIME] = item.nodeid.endswith("@sound")
        if not on_time:
            os.nice(10)


_LONGEST_ID = 60


def pytest_make_parametrize_id(val: object) -> str | None:
    """Keeps megabytes of input out of test names, which are passed to processes in their environment."""
    if isinstance(val, str | bytes) and len(val) > _LONGEST_ID:
        start = val[:_LONGEST_ID] if isinstance(val, str) else val[:_LONGEST_ID].decode("latin-1")
        return f"{start.encode('unicode_escape').decode()}… ({len(val)})"
    return None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Replaces lone surrogates in logged text, which must be passed between processes."""
    report = yield
    report.sections = [
        (name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections
    ]
    return report
