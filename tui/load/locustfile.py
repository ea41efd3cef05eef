"""The locustfile of `opusagent-tui load`. Callers follow the plan of their process."""

from __future__ import annotations

from tui.load.user import VoiceUser


class Caller(VoiceUser):
    """Repeatedly plays the scenario given on the command line."""
