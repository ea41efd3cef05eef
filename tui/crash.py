"""Writes crash files: the details of an unhandled exception, for a report to the authors."""

from __future__ import annotations

import os
import platform
import tempfile
import traceback

from tui import __version__
from tui.text.redaction import without_secrets

_LONGEST_LINE = 500
"""Maximum length of a line that is kept, in characters."""


def crash_report(error: BaseException | None) -> str:
    """Writes a crash file that only the user can read; returns a sentence that names the file."""
    name = "an unknown reason" if error is None else type(error).__name__
    sentence = f"opusagent-tui stopped because of an internal error ({name})."
    if error is None:
        return sentence
    try:
        # mkstemp creates the file with mode 0600. The temporary folder also works without a home folder.
        fd, path = tempfile.mkstemp(prefix="opusagent-tui-crash-", suffix=".txt")
        with os.fdopen(fd, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(crash_details(error))
    except OSError:
        return sentence
    return f"{sentence} The details are in {path}"


def crash_details(error: BaseException) -> str:
    """Returns versions and a traceback. Leaves out secrets, and local variables, which may contain audio."""
    system = f"Python {platform.python_version()}, {platform.system()} {platform.release()}"
    lines = without_secrets("".join(traceback.format_exception(error))).splitlines()
    # The message of an exception may quote unreadable input, such as a message or its audio.
    cut = (line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]}…" for line in lines)
    return "\n".join((f"opusagent-tui {__version__}, {system}", "", *cut, ""))
