from __future__ import annotations

import pytest

from tui.models.target import TargetError, check_url


@pytest.mark.parametrize(
    "url", ["ws://localhost:8080/bot", "wss://example.test/ws?agent=1", "ws://[::1]:9/x"]
)
def test_a_websocket_url_is_taken(url: str) -> None:
    assert check_url(url) == url


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("localhost:8080/bot", "Did you mean ws://localhost:8080/bot"),
        ("example.test", "Did you mean ws://example.test"),
        ("https://example.test/x", "starts with wss://"),
        ("http://example.test/x", "starts with ws://"),
        ("ws:///path", "has no host"),
        ("ws://host:port/", "not a URL"),
        ("", "ws://"),
        ("ws://host/p#top", "ws://host/p has a fragment"),
        ("ws://only-me@host/p", "ws://host/p has a user name without a password"),
        ("me:hidden@host/p?x=hidden", "Did you mean ws://host/p\\?x=…"),
        ("ws://me:hid/den@host/p", "ws://host/p is not a URL"),
    ],
)
def test_anything_else_gets_a_sentence_on_what_to_write(url: str, says: str) -> None:
    with pytest.raises(TargetError, match=says):
        check_url(url)
