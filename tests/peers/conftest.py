"""Runs third-party clients in complete conversations with the local agent. See README.md."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.agent.calls import spoken
from tui.agent.process import AgentProcess, start_agent
from tui.agent.settings import AgentSettings

PEERS = Path(__file__).parent
LIMIT_S = 20
"""Time limit for a peer in seconds."""
TOKEN = "secret"
_PACE = 6
"""Pace of the agent's audio. The longest answer then takes two seconds, enough to interrupt it on a busy machine."""
_LINES = ("number", "hours", "services", "interrupt", "goodbye")


def _are_named(config: pytest.Config) -> bool:
    """Returns whether the command line names the peers, or one of their files."""
    paths = (Path(argument.partition("::")[0]).absolute() for argument in config.args)
    return any(path.is_relative_to(PEERS) for path in paths)


def pytest_configure(config: pytest.Config) -> None:
    """Allows peers to use deprecated functions."""
    if _are_named(config):
        config.addinivalue_line("filterwarnings", "default")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Excludes the peers from every run that does not name them."""
    return None if _are_named(config) else True


@pytest.fixture(scope="session")
def agent() -> Iterator[AgentProcess]:
    """Yields the local agent as `opusagent-tui agent` runs it."""
    with start_agent(AgentSettings(pace=_PACE)) as running:
        yield running


@pytest.fixture(scope="session")
def secure_agent(authority: Path) -> Iterator[AgentProcess]:
    """Yields the local agent with TLS and a token."""
    settings = AgentSettings(
        pace=_PACE, token=TOKEN, cert=str(authority / "cert.pem"), key=str(authority / "key.pem")
    )
    with start_agent(settings) as running:
        yield running


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a folder with a certificate for 127.0.0.1, its key, and the authority that issued it."""
    folder = tmp_path_factory.mktemp("authority")
    issuer = trustme.CA()
    issued = issuer.issue_cert("127.0.0.1")
    issuer.cert_pem.write_to_path(str(folder / "ca.pem"))
    issued.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
    issued.private_key_pem.write_to_path(str(folder / "key.pem"))
    return folder


@pytest.fixture(scope="session")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a folder with the recorded lines as 16-bit PCM at 16 and 24 kHz, named NAME-RATE.pcm."""
    folder = tmp_path_factory.mktemp("lines")
    for name in _LINES:
        for rate in (16_000, 24_000):
            (folder / f"{name}-{rate}.pcm").write_bytes(spoken(name, rate))
    return folder
