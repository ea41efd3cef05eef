"""The error of everything that speaks or hears."""

from __future__ import annotations

EXTRA = "pip install 'opusagent-tui[speech]'"
"""The command that installs the voice and the recognizer."""


class SpeechError(Exception):
    """Text cannot be spoken or audio cannot be recognized; the text is one sentence for the user."""
