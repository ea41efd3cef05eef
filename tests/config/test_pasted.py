from __future__ import annotations

import pytest

from tui.config.pasted import Pasted, read_command


@pytest.mark.parametrize(
    "text",
    ["", "wss://h/x", "wscat", "wscat -H 'A: b'", "ssh wss://h", "curl 'unclosed ws://h", "curl -H"],
)
def test_another_text_is_not_a_command(text: str) -> None:
    assert read_command(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("wscat -c ws://h:1/x", Pasted("ws://h:1/x", {})),
        ("wscat --connect=ws://h/x -s chat", Pasted("ws://h/x", {}, ("chat",))),
        ("/usr/bin/curl http://h/x -H 'A: b: c'", Pasted("ws://h/x", {"A": "b: c"})),
        ("curl --url https://h/x -H 'bad name: x' -H 'Connection: Upgrade'", Pasted("wss://h/x", {})),
        ("websocat -H 'A: b' ws://h/x --protocol v1", Pasted("ws://h/x", {"A": "b"}, ("v1",))),
        ("wscat -c ws://h/x -H 'A: \x01'", Pasted("ws://h/x", {})),
    ],
)
def test_a_command_is_read(text: str, expected: Pasted) -> None:
    assert read_command(text) == expected
