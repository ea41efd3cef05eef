"""The error that synthesis and recognition raise."""

from __future__ import annotations

EXTRA = "pip install 'opusagent-tui[speech]'"
"""Command that installs the synthesizer and the recognizer."""


class SpeechError(Exception):
    """Text cannot be synthesized, or audio cannot be recognized.

    The message is one sentence for the user.
    """
