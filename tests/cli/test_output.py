"""Tests standard streams that are full, closed, or without a reader."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = f"{sys.executable} -m tui"
FULL = "The output cannot be written: No space left on device.\n"


@pytest.mark.parametrize(
    ("command", "code", "printed", "error"),
    [
        ("--version >&-", 0, "", ""),
        ("--version <&- >&- 2>&-", 0, "", ""),
        ("bogus <&- >&- 2>&-", 2, "", ""),
        ("bogus 2>/dev/full", 2, "", ""),
        ("--version >/dev/full", 74, "", FULL),
        ("sessions --json nothing >/dev/full", 2, "", None),
        ("config >/dev/full", 74, "", FULL),
        ("config >/dev/full 2>/dev/full", 74, "", ""),
        ("config 1</dev/null", 74, "", "The output cannot be written: Bad file descriptor.\n"),
        ("config | true", 141, "", ""),
    ],
)
def test_an_output_that_cannot_be_written_has_an_exit_code_of_its_own(
    command: str, code: int, printed: str, error: str | None
) -> None:
    line = f"set -o pipefail; {PROGRAM} {command}"
    ran = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=50, check=False)
    assert (ran.returncode, ran.stdout) == (code, printed)
    assert error in (None, ran.stderr)
    assert "Traceback" not in ran.stderr
