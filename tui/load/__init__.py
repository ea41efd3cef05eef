"""Load tests with many callers, based on Locust. `VoiceUser` is a Locust user that makes calls.

Locust is an optional extra, which is imported only when `VoiceUser` is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tui.load.user import VoiceUser

__all__ = ["VoiceUser"]


def __getattr__(name: str) -> Any:
    if name == "VoiceUser":
        from tui.load.user import VoiceUser

        return VoiceUser
    raise AttributeError(name)
