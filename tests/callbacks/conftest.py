from __future__ import annotations

import pytest

from tui.callbacks import CallbackManager, ErrorReporter


@pytest.fixture
def reporter() -> ErrorReporter:
    return ErrorReporter()


@pytest.fixture
def manager(reporter: ErrorReporter) -> CallbackManager:
    return CallbackManager(reporter)
