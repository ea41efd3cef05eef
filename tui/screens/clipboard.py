"""The clipboard: by the terminal (OSC 52), which works over SSH too, and by the system's tool where there is one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
from collections.abc import Mapping

from textual.app import App

from tui.models.text import one_line

TIMEOUT_S = 3.0
TERMINALS_TAKE_BYTES = 74_994
"""Of text: what terminals take that obey the 100,000 bytes of the oldest ones."""
_TOOLS = (
    ("WAYLAND_DISPLAY", ("wl-copy",)),
    ("DISPLAY", ("xclip", "-selection", "clipboard")),
    ("DISPLAY", ("xsel", "--clipboard", "--input")),
    ("TMUX", ("tmux", "load-buffer", "-w", "-")),
)


def copy(app: App[object], what: str, text: str) -> None:
    """Copy a text, and say in a toast what it was and how long. Does not wait for the tool."""
    # Half of a surrogate pair is no character: no clipboard can hold it.
    text = text.encode("utf-8", "replace").decode()
    app.copy_to_clipboard(text)
    tool = clipboard_tool(os.environ)
    told = f"Copied the {what}: {len(text):,} character{'' if len(text) == 1 else 's'}."
    if tool:
        app.run_worker(_feed(tool, text), group="clipboard", exclusive=True, exit_on_error=False)
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


async def _feed(tool: tuple[str, ...], text: str) -> None:
    """Give it the text; the tool may go on holding the clipboard when the program has ended."""
    nowhere = asyncio.subprocess.DEVNULL
    try:
        process = await asyncio.create_subprocess_exec(
            *tool, stdin=asyncio.subprocess.PIPE, stdout=nowhere, stderr=nowhere, start_new_session=True
        )
    except OSError:
        return  # the terminal has it all the same
    try:
        await asyncio.wait_for(process.communicate(text.encode()), TIMEOUT_S)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
