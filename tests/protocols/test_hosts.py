from __future__ import annotations

import pytest

from tui.protocols.hosts import is_loopback


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:80",
        "LOCALHOST",
        "127.0.0.1",
        "127.8.8.8:1",
        "[::1]",
        "[::1]:9000",
        "a:b@[::1]",
    ],
)
def test_this_machine_is_known_by_each_of_its_names(host: str) -> None:
    assert is_loopback(f"http://{host}/voice")
    assert is_loopback(f"ws://{host}")


@pytest.mark.parametrize(
    "host", ["", "localhost.example.test", "10.0.0.1", "[2001:db8::1]", "localhost@example.test"]
)
def test_any_other_host_is_not_this_machine(host: str) -> None:
    assert not is_loopback(f"https://{host}/")
