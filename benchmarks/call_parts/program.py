"""Runs the real program in a real terminal in a call with an agent, and reads its figures afterwards."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from tests.e2e.terminal import ROOT, Terminal
from tui.models.events import SessionEvent
from tui.models.turns.metrics import MetricsFold, SessionMetrics
from tui.saving.reading import open_session

SIZE = (160, 50)


class Held:
    """A call, current or past."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.events: list[SessionEvent] = []
        """The saved events, once the call is over."""
        self.measured_again = SessionMetrics()
        """The output of ``opusagent-tui metrics DIR --json``, once the call is over."""

    def record(self) -> None:
        """Turns the microphone on."""
        self.terminal.press("r")
        self.terminal.wait_for("mic on")
        time.sleep(0.5)

    def shown(self) -> SessionMetrics:
        """Returns the final figures of the screen: the events folded in order of arrival."""
        fold = MetricsFold()
        for event in self.events:
            fold.apply(event)
        return fold.metrics

    def read(self, session: Path) -> None:
        """Reads the saved session."""
        with open_session(session) as saved:
            self.events = list(saved.events())
        command = [sys.executable, "-m", "tui", "metrics", str(session), "--json"]
        done = subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
        self.measured_again = msgspec.json.decode(done.stdout, type=SessionMetrics)


@contextmanager
def call(
    environment: Mapping[str, str], url: str, latency: str = "auto", save: Path | None = None
) -> Iterator[Held]:
    """Makes a call to the agent at ``url`` with a following log; at the end, hangs up, quits and reads the session.

    The session is kept in ``save``, or deleted if that is None.
    """
    with tempfile.TemporaryDirectory(prefix="call-bench-") as name:
        folder, sessions = Path(name), save or Path(name) / "sessions"
        own = {f"XDG_{kind}_HOME": f"{name}/{kind.lower()}" for kind in ("CONFIG", "STATE", "DATA", "CACHE")}
        terminal = Terminal(folder, {**own, **environment}, SIZE)
        held = Held(terminal)
        try:
            terminal.run("connect", url, "--protocol", "pcm", "--latency", latency, "--save", str(sessions))
            terminal.wait_for("active")
            yield held
            terminal.press("d")
            terminal.wait_for("■ ended")
            terminal.press("q")
            terminal.wait_for("EXIT 0")
            terminal.wait_until_gone()
            (session,) = sessions.iterdir()
            held.read(session)
        finally:
            terminal.kill()
