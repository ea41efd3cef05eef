"""Builds the ``Settings`` message of the Deepgram Voice Agent from the options of a call."""

from __future__ import annotations

from typing import Any

from tui.audio.formats import AudioFormat
from tui.protocols.base import CallerSettings, check_formats
from tui.protocols.deepgram.wire import FORMATS, PLAY_FORMAT, USER_FORMAT, described
from tui.protocols.options import read_object, read_tools

_OPTIONS = {
    "agent": "",
    "greeting": "Hello. How can I help you?",
    "prompt": "You are a helpful assistant on the telephone. Be brief.",
    "language": "",
    "listen": "nova-3",
    "think": "open_ai/gpt-4o-mini",
    "voice": "aura-2-thalia-en",
    "play_format": PLAY_FORMAT,
    "tools": "",
    "settings": "",
}


class CallOptions:
    """The options of one call. Raises `ValueError` with an explanation for unknown or invalid options."""

    def __init__(self, settings: CallerSettings) -> None:
        settings.check_options("The Deepgram Voice Agent", _OPTIONS)
        self._chosen = {**_OPTIONS, **settings.options}
        check_formats("the Deepgram Voice Agent", (*settings.formats, self._chosen["play_format"]), FORMATS)
        self.user_format: AudioFormat = FORMATS[settings.formats[0] if settings.formats else USER_FORMAT]
        self.play_format: AudioFormat = FORMATS[self._chosen["play_format"]]
        self._functions = [
            {name: tool[name] for name in ("name", "description", "parameters") if tool.get(name)}
            for tool in read_tools(self._chosen)
        ]
        self._extra = read_object("settings", self._chosen, "Settings fields")

    def settings(self) -> dict[str, Any]:
        """Returns the Settings message, which states both formats, because the documented defaults differ."""
        audio = {
            "input": described(self.user_format),
            "output": {**described(self.play_format), "container": "none"},
        }
        agent = self._chosen["agent"] or self._agent()
        return {"type": "Settings", "audio": audio, "agent": agent, **self._extra}

    def _agent(self) -> dict[str, Any]:
        chosen = self._chosen
        provider, _, model = chosen["think"].rpartition("/")
        think: dict[str, Any] = {
            "provider": {"type": provider or "open_ai", "model": model},
            "prompt": chosen["prompt"],
        }
        if self._functions:
            think["functions"] = self._functions
        agent: dict[str, Any] = {"language": chosen["language"]} if chosen["language"] else {}
        agent |= {
            "listen": {"provider": {"type": "deepgram", "model": chosen["listen"]}},
            "think": think,
            "speak": {"provider": {"type": "deepgram", "model": chosen["voice"]}},
        }
        if chosen["greeting"]:
            agent["greeting"] = chosen["greeting"]
        return agent
