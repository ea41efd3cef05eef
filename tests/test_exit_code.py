"""Tests that the page on exit codes lists the codes that the program uses."""

from __future__ import annotations

import re
from pathlib import Path

from tui.exit_code import ExitCode

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "exit-codes.md").read_text(encoding="utf-8")


def test_the_page_lists_every_exit_code_with_its_reason_code() -> None:
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \|", PAGE, flags=re.MULTILINE)
    assert [(int(code), reason) for code, reason in rows] == [
        (code.value, code.reason) for code in sorted(ExitCode)
    ]
    assert "docs/exit-codes.md" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_page_lists_every_code_that_ends_a_call() -> None:
    listed = set(re.findall(r"^\| `(\w+)` \| `([\w-]+)` \|", PAGE, flags=re.MULTILINE))
    ending = (ROOT / "tui" / "session" / "ending.py").read_text(encoding="utf-8")
    used = set(re.findall(r'\.fail\(\s*"(\w+)",\s*"([\w-]+)"', ending))
    assert len(used) > 5
    assert used <= listed


def test_a_code_and_its_reason_never_change() -> None:
    assert {code.reason: code.value for code in ExitCode} == {
        "fine": 0,
        "limit_exceeded": 1,
        "usage": 2,
        "not_answered": 3,
        "unreachable": 4,
        "protocol_error": 5,
        "not_judged": 6,
        "crashed": 70,
        "output_failed": 74,
        "hung_up": 129,
        "interrupted": 130,
        "quit": 131,
        "output_closed": 141,
        "terminated": 143,
    }
