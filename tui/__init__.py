"""opusagent-tui: a terminal client for live audio sessions with voice agents."""

from __future__ import annotations

__version__ = "0.1.0"
