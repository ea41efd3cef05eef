"""The clipboard: by the terminal (OSC 52), which works over SSH too, and by the system's tool where there is one."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping

from textual.app import App

from tui.text.visible import one_line

TIMEOUT_S = 3.0
TERMINALS_TAKE_BYTES = 74_994
"""Of text: what terminals take that obey the 100,000 bytes of the oldest ones."""
_TOOLS = (
    ("WAYLAND_DISPLAY", ("wl-copy",)),
    ("DISPLAY", ("xclip", "-selection", "clipboard")),
    ("DISPLAY", ("xsel", "--clipboard", "--input")),
    ("TMUX", ("tmux", "load-buffer", "-w", "-")),
)

_feeding = threading.Lock()
"""What was copied last is fed last."""


def copy(app: App[object], what: str, text: str) -> None:
    """Copy a text, and say in a toast what it was and how long. Does not wait for the tool."""
    # Half of a surrogate pair is no character: no clipboard can hold it.
    text = text.encode("utf-8", "replace").decode()
    app.copy_to_clipboard(text)
    tool = clipboard_tool(os.environ)
    told = f"Copied the {what}: {len(text):,} character{'' if len(text) == 1 else 's'}."
    if tool:
        threading.Thread(target=_feed, args=(tool, text), name="clipboard", daemon=True).start()
    elif len(text.encode()) > TERMINALS_TAKE_BYTES:
        told += " There is no tool for the clipboard here, and many terminals take no more than 75 kB."
    app.notify(one_line(told, 300), markup=False)


def clipboard_tool(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The command that takes a text for the clipboard on its standard input; empty where there is none."""
    if sys.platform == "darwin":
        return ("pbcopy",)
    path = environment.get("PATH")
    found = (tool for name, tool in _TOOLS if environment.get(name) and shutil.which(tool[0], path=path))
    return next(found, ())


def _feed(tool: tuple[str, ...], text: str) -> None:
    """Give it the text, on a thread of its own; it may go on holding the clipboard when the program has ended."""
    nowhere = subprocess.DEVNULL
    # Where there is none after all, or it hangs, the terminal has the text all the same.
    with _feeding, contextlib.suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(
            tool,
            input=text.encode(),
            stdout=nowhere,
            stderr=nowhere,
            start_new_session=True,
            timeout=TIMEOUT_S,
            check=False,
        )
