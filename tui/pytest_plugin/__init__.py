"""The pytest plugin: collects scenario files (``*.call.toml``), and provides the fixture `call` for calls in code.

pytest loads this module in every session, even if no test makes calls. The module therefore imports nothing
else until a scenario file is found or a test requests the fixture.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tui.scenario.in_code import CallInCode

_SUFFIX = ".call.toml"
_OPTIONS = {
    "url": ("URL", "URL of the agent to call; overrides the targets of scenario files."),
    "profile": ("NAME", "Profile, in the settings file of opusagent-tui, of the agent to call."),
    "protocol": ("NAME", "Protocol of the agent to call."),
}
DIST = "opusagent_dist"
"""Key of the distribution mode in a pytest-xdist worker's input."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds ``--call-url``, ``--call-profile`` and ``--call-protocol``, and ini settings with the same names."""
    group = parser.getgroup("calls", "scenarios of voice agents (*.call.toml)")
    for name, (metavar, text) in _OPTIONS.items():
        group.addoption(f"--call-{name}", metavar=metavar, help=text)
        parser.addini(f"call_{name}", text, default="")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collects a scenario file as tests."""
    if not file_path.name.endswith(_SUFFIX):
        return None
    from tui.pytest_plugin.items import ScenarioFile

    file: pytest.Collector = ScenarioFile.from_parent(parent, path=file_path)
    return file


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Passes the distribution mode to a pytest-xdist worker, which cannot determine the mode itself."""
    node.workerinput[DIST] = node.config.getoption("dist")


@pytest.fixture
def call(pytestconfig: pytest.Config) -> Callable[..., AbstractAsyncContextManager[CallInCode]]:
    """Returns a function that opens a call for the duration of an ``async with`` block.

    Example: ``async with call("staging") as c: await c.say("1")``. The argument is a profile or a URL.
    Without an argument, the agent comes from the command line or from pytest's settings. Other arguments are
    call settings, such as ``protocol="twilio"``.
    """
    from tui.pytest_plugin.items import target_for
    from tui.scenario.in_code import call_in_code

    def begin(agent: str = "", **settings: Any) -> AbstractAsyncContextManager[CallInCode]:
        return call_in_code(target_for(pytestconfig, agent, settings), not_measured=pytest.skip)

    return begin
