"""Prints notes about one call and its client at the agent's terminal."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable

from tui.text.redaction import without_secrets
from tui.text.visible import one_line

_MAX_LINE_CHARS = 300

_log = logging.getLogger(__name__)


class CallNotes:
    """Prints the beginning, the problems and the end of one call; a repeated problem once, counted at the end.

    ``report`` receives one line of text, which may contain words of the client: control characters are made
    visible, and the token is removed.
    """

    def __init__(self, name: str, report: Callable[[str], None]) -> None:
        self._name = name
        self._report = report
        self._began_s = time.monotonic()
        self._counts: Counter[str] = Counter()

    def began(self, protocol: str, client: str) -> None:
        """Print who calls."""
        self._print(f"{protocol} call from {client}")

    def problem(self, rule: str, text: str) -> None:
        """Print something about the client that its developer should know: a finding, or why it was refused."""
        self._counts[rule] += 1
        if self._counts[rule] == 1:
            self._print(f"{rule}: {text}")

    def ended(self, how: str) -> None:
        """Print how the call ended, and how often each problem occurred."""
        counts = "".join(f" · {rule} ×{count}" for rule, count in self._counts.items() if count > 1)
        self._print(f"ended after {time.monotonic() - self._began_s:.1f} s, {how}{counts}")

    def _print(self, text: str) -> None:
        line = one_line(without_secrets(f"{self._name}: {text}"), _MAX_LINE_CHARS)
        _log.info("%s", line)
        self._report(line)
