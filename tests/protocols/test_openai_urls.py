"""Tests what OpenAI Realtime and Azure need in the URL and in the headers."""

from __future__ import annotations

import pytest

from tui.protocols.openai_realtime import OPENAI_REALTIME, connect_url


@pytest.mark.parametrize(
    ("token", "url", "headers"),
    [
        ("", "wss://api.openai.com/v1/realtime", {}),
        ("secret", "wss://api.openai.com/v1/realtime", {"Authorization": "Bearer secret"}),
        ("secret", "wss://x.openai.azure.com/openai/v1/realtime", {"api-key": "secret"}),
        ("eyJ.x", "wss://x.openai.azure.com/openai/v1/realtime", {"Authorization": "Bearer eyJ.x"}),
        ("secret", "wss://azure.com.example.org/v1", {"Authorization": "Bearer secret"}),
    ],
)
def test_headers(token: str, url: str, headers: dict[str, str]) -> None:
    assert OPENAI_REALTIME.headers(token, url) == headers


@pytest.mark.parametrize(
    ("url", "connected"),
    [
        ("wss://api.openai.com/v1/realtime", "wss://api.openai.com/v1/realtime?model=m+1"),
        ("ws://localhost:1/v1/realtime?x=", "ws://localhost:1/v1/realtime?x=&model=m+1"),
        ("wss://h/v1/realtime?model=n", "wss://h/v1/realtime?model=n"),
        ("wss://h/v1/realtime?call_id=n", "wss://h/v1/realtime?call_id=n"),
        (
            "wss://x.openai.azure.com/openai/realtime?api-version=1",
            "wss://x.openai.azure.com/openai/realtime?api-version=1&deployment=m+1",
        ),
    ],
)
def test_the_model_in_the_url(url: str, connected: str) -> None:
    assert connect_url(url, "m 1") == connected
    assert connect_url(url, "") == url


def test_an_api_version_where_azure_takes_none() -> None:
    notice = OPENAI_REALTIME.url_notice
    assert "leave it out" in notice("wss://x.openai.azure.com/openai/v1/realtime?api-version=1&model=m")
    assert notice("wss://x.openai.azure.com/openai/realtime?api-version=1") == ""
    assert notice("wss://api.openai.com/v1/realtime?model=m") == ""
