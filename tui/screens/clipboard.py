"""Copies text to the clipboard, through the terminal (OSC 52) and through a system tool if there is one.

OSC 52 also works over SSH.
"""

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
"""Maximum length of the copied text in bytes, for terminals with xterm's limit of 100,000 bytes of base64."""
_TOOLS = (
    ("WAYLAND_DISPLAY", ("wl-copy",)),
    ("DISPLAY", ("xclip", "-selection", "clipboard")),
    ("DISPLAY", ("xsel", "--clipboard", "--input")),
    ("TMUX", ("tmux", "load-buffer", "-w", "-")),
)

_feeding = threading.Lock()
"""Held while a tool runs, so that the text copied last is also written last."""


def copy(app: App[object], what: str, text: str) -> None:
    """Copies text, and shows a toast with ``what`` and the length of the text.

    Returns without waiting for the system tool.
    """
    # No clipboard can store half of a surrogate pair.
    text = text.encode("utf-8", "replace").decode()
    app.copy_to_clipboard(text)
    tool = clipboard_tool(os.environ)
    size = f"{len(text):,} character{'' if len(text) == 1 else 's'}"
    notice = f"Copied {text}" if what == "path" else f"Copied the {what} ({size})."
    if tool:
        threading.Thread(target=_feed, args=(tool, text), name="clipboard", daemon=True).start()
    elif len(text.encode()) > TERMINALS_TAKE_BYTES:
        notice += " No clipboard tool was found, and many terminals accept at most 75 kB."
    app.notify(one_line(notice, 300), markup=False)


def clipboard_tool(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Returns the command that copies its standard input to the clipboard; () if no such tool is installed."""
    if sys.platform == "darwin":
        return ("pbcopy",)
    path = environment.get("PATH")
    found = (tool for name, tool in _TOOLS if environment.get(name) and shutil.which(tool[0], path=path))
    return next(found, ())


def _feed(tool: tuple[str, ...], text: str) -> None:
    """Passes the text to the tool, on a separate thread.

    The tool may keep running after this program ends, because it owns the clipboard.
    """
    nowhere = subprocess.DEVNULL
    # If the tool is missing or hangs, the terminal has the text already.
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
