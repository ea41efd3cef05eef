"""Tests that every ending ends the call on the wire, restores the terminal, and leaves no process running."""

from __future__ import annotations

import os
import shlex
import signal
from collections.abc import Iterator

import pytest

from tests.e2e.terminal import PROGRAM, Terminal
from tests.witness import Witness, witnessing

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def witness() -> Iterator[Witness]:
    with witnessing() as witness:
        yield witness


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 0), (signal.SIGQUIT, 131)]
)
def test_a_signal_ends_the_call_and_restores_the_terminal(
    terminal: Terminal, witness: Witness, number: int, code: int
) -> None:
    terminal.run("connect", witness.url, "--protocol", "audiocodes", "--output", "none")
    terminal.wait_for("active")
    os.kill(terminal.process("tui"), number)
    assert witness.saw_a_goodbye()
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
    assert witness.saw_a_goodbye()
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
