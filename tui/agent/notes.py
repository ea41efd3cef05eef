"""Prints the start, problems and end of each call on the agent's terminal."""

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
    """Prints the start, problems and end of one call. Each problem is printed once and counted thereafter.

    ``report`` receives one line at a time. In text from the client, control characters are made visible and
    the token is removed.
    """

    def __init__(self, name: str, report: Callable[[str], None]) -> None:
        self._name = name
        self._report = report
        self._began_s = time.monotonic()
        self._counts: Counter[str] = Counter()

    def began(self, protocol: str, client: str) -> None:
        """Prints the protocol and the client's address."""
        self._print(f"{protocol} call from {client}")

    def problem(self, rule: str, text: str) -> None:
        """Prints a finding about the client or the reason for a refusal, once per ``rule``."""
        self._counts[rule] += 1
        if self._counts[rule] == 1:
            self._print(f"{rule}: {text}")

    def ended(self, how: str) -> None:
        """Prints how the call ended and how often each problem occurred."""
        counts = "".join(f" · {rule} ×{count}" for rule, count in self._counts.items() if count > 1)
        self._print(f"ended after {time.monotonic() - self._began_s:.1f} s, {how}{counts}")

    def _print(self, text: str) -> None:
        line = one_line(without_secrets(f"{self._name}: {text}"), _MAX_LINE_CHARS)
        _log.info("%s", line)
        self._report(line)
