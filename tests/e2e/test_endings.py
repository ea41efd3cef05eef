"""Tests that every ending ends the call on the wire, restores the terminal, and leaves no process running."""

from __future__ import annotations

import json
import os
import queue
import shlex
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.sync.server import ServerConnection, serve

from tests.e2e.terminal import PROGRAM, Terminal

pytestmark = pytest.mark.timeout(240)


class Witness:
    """An agent that accepts calls and records received messages."""

    def __init__(self) -> None:
        self.told: queue.Queue[dict[str, Any]] = queue.Queue()
        self._server = serve(self._hold, "127.0.0.1", 0)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self._server.socket.getsockname()[1]}/bot"

    def _hold(self, socket: ServerConnection) -> None:
        for frame in socket:
            message = json.loads(frame)
            if message["type"] == "session.initiate":
                socket.send('{"type":"session.accepted","mediaFormat":"raw/lpcm16"}')
            self.told.put(message)
        self.told.put({"type": "closed", "code": socket.close_code})

    def until(self, kind: str) -> dict[str, Any]:
        while True:
            message = self.told.get(timeout=10)
            if message["type"] == kind:
                return message

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join(5)


@pytest.fixture
def witness() -> Iterator[Witness]:
    witness = Witness()
    yield witness
    witness.close()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 0), (signal.SIGQUIT, 131)]
)
def test_a_signal_ends_the_call_and_restores_the_terminal(
    terminal: Terminal, witness: Witness, number: int, code: int
) -> None:
    terminal.run("connect", witness.url, "--protocol", "audiocodes", "--output", "none")
    terminal.wait_for("active")
    os.kill(terminal.process("tui"), number)
    assert witness.until("session.end")["reasonCode"] == "client-disconnected"
    assert witness.until("closed")["code"] == 1000
    terminal.wait_for(f"EXIT {code}")
    assert terminal.modes() == "0 0 1"
    terminal.wait_until_gone()


def test_leaving_after_a_call_that_could_not_be_made_gives_its_exit_code(terminal: Terminal) -> None:
    terminal.run("connect", "ws://127.0.0.1:9/bot", "--protocol", "audiocodes", "--output", "none")
    terminal.wait_for("error")
    terminal.press("q")
    terminal.wait_for("EXIT 4")


def test_closing_the_window_ends_the_call(terminal: Terminal, witness: Witness) -> None:
    terminal.run("connect", witness.url, "--protocol", "audiocodes", "--output", "none")
    terminal.wait_for("active")
    terminal.close_window()
    witness.until("session.end")
    assert witness.until("closed")["code"] == 1000
    terminal.wait_until_gone()


def test_even_a_killed_screen_leaves_no_call_behind(terminal: Terminal, witness: Witness) -> None:
    terminal.run("connect", witness.url, "--protocol", "audiocodes", "--output", "none")
    terminal.wait_for("active")
    os.kill(terminal.process("tui"), signal.SIGKILL)
    witness.until("session.end")
    terminal.wait_until_gone()


def test_suspending_gives_the_terminal_back_under_a_wrapper_too(terminal: Terminal, witness: Witness) -> None:
    """Wrappers such as `uv run` wait in the foreground, and the shell waits until the whole job has stopped."""
    run = shlex.join([*PROGRAM, "connect", witness.url, "--protocol", "audiocodes", "--output", "none"])
    terminal.run_shell(f"sh -c {shlex.quote(run + '; exit $?')}")
    for back in ("fg", "bg; sleep 1; fg"):  # in the background, the program stops itself again
        terminal.wait_for("active")
        terminal.press("C-z")
        terminal.wait_for("Stopped")
        assert terminal.modes() == "0 0 1"
        terminal.type(back)
        terminal.press("Enter")
    terminal.wait_for("active")
    terminal.press("q", "Enter")
    terminal.wait_until_gone()
    assert terminal.modes() == "0 0 1"
