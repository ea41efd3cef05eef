"""Builds the ``setup`` message of Gemini Live from the options of a call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tui.protocols.base import CallerSettings, check_formats
from tui.protocols.gemini_live import wire
from tui.protocols.options import check_choice, read_object, read_tools

_OPTIONS = {
    "model": "gemini-live-2.5-flash-native-audio",
    "instructions": "",
    "voice": "",
    "language": "",
    "greet": "off",
    "activity": "on",
    "typed": "turn",
    "transcription": "on",
    "resumption": "on",
    "tool_behavior": "",
    "tool_scheduling": "",
    "tools": "",
    "setup": "",
}
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "greet": ("on", "off"),
    "activity": ("on", "off"),
    "typed": ("turn", "realtime"),
    "transcription": ("on", "off"),
    "resumption": ("on", "off"),
    "tool_behavior": ("", "blocking", "non_blocking"),
    "tool_scheduling": ("", "silent", "when_idle", "interrupt"),
}


class Options:
    """The options of one call. Raises `ValueError` with an explanation for unknown or invalid options."""

    def __init__(self, settings: CallerSettings) -> None:
        settings.check_options("Gemini Live", _OPTIONS)
        check_formats("Gemini Live", settings.formats, wire.FORMATS)
        self._chosen = {**_OPTIONS, **settings.options}
        for name, known in _CHOICES.items():
            check_choice(name, self._chosen[name], known)
        self._barge_in = settings.barge_in
        self._tools = read_tools(self._chosen)
        self._extra = read_object("setup", self._chosen, "setup fields")

    def on(self, name: str) -> bool:
        """Returns whether the option ``name`` is "on"."""
        return self._chosen[name] == "on"

    @property
    def types_in_realtime(self) -> bool:
        """Whether typed turns are sent as ``realtimeInput.text``."""
        return self._chosen["typed"] == "realtime"

    @property
    def scheduling(self) -> str:
        """When the agent speaks about the result of a non-blocking tool; "" for the agent's default."""
        return self._chosen["tool_scheduling"].upper()

    @property
    def waits_for_tools(self) -> bool:
        """Whether the agent is silent while a tool runs."""
        return self._chosen["tool_behavior"] != "non_blocking"

    def setup(self, handle: str = "") -> dict[str, Any]:
        """Returns the content of the ``setup`` message. ``handle`` identifies the session to resume."""
        chosen, model = self._chosen, self._chosen["model"]
        speech: dict[str, Any] = {}
        if chosen["voice"]:
            speech["voiceConfig"] = {"prebuiltVoiceConfig": {"voiceName": chosen["voice"]}}
        if chosen["language"]:
            speech["languageCode"] = chosen["language"]
        generation: dict[str, Any] = {"responseModalities": ["AUDIO"]}
        if speech:
            generation["speechConfig"] = speech
        setup: dict[str, Any] = {
            "model": model if "/" in model else f"models/{model}",
            "generationConfig": generation,
        }
        if chosen["instructions"]:
            setup["systemInstruction"] = {"parts": [{"text": chosen["instructions"]}]}
        if self._tools:
            setup["tools"] = [{"functionDeclarations": [self._declaration(tool) for tool in self._tools]}]
        if turns := self._turn_detection():
            setup["realtimeInputConfig"] = turns
        if self.on("transcription"):
            setup |= {"inputAudioTranscription": {}, "outputAudioTranscription": {}}
        if self.on("resumption"):
            setup["sessionResumption"] = {"handle": handle} if handle else {}
        setup.update(self._extra)
        return setup

    def _turn_detection(self) -> dict[str, Any]:
        turns: dict[str, Any] = {}
        if not self.on("activity"):
            turns["automaticActivityDetection"] = {"disabled": True}
        if not self._barge_in:
            turns["activityHandling"] = "NO_INTERRUPTION"
        return turns

    def _declaration(self, tool: Mapping[str, Any]) -> Mapping[str, Any]:
        declared = {name: tool[name] for name in ("name", "description") if tool.get(name)}
        if tool.get("parameters"):
            # Unlike ``parameters``, this takes any JSON schema.
            declared["parametersJsonSchema"] = tool["parameters"]
        if behavior := self._chosen["tool_behavior"]:
            declared["behavior"] = behavior.upper()
        return declared
