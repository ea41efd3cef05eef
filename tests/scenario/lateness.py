"""Ignores lateness in tests about verdicts, because a busy machine makes late calls, which are not judged."""

from __future__ import annotations

import pytest


def ignore_lateness(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("tui.scenario.player._LATE_NS", 10_000_000_000)
    patch.setattr("tui.scenario.performance._MOST_SENDING_MS", 10_000.0)
    patch.setattr("tui.session.self_check.SelfCheck.judge", lambda *_, **__: None)
    patch.setattr("tui.scenario.seen.Seen.late_ms", lambda *_: 0.0)
