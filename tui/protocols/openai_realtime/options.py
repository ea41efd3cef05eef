"""The user's options: converts `CallerSettings` to a ``session`` object in GA or beta form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tui.protocols.base import CallerSettings
from tui.protocols.openai_realtime import wire
from tui.protocols.openai_realtime.dialects import DIALECTS, Dialect, dialect_of, voice_member
from tui.protocols.options import check_choice, read_object, read_tools

_DEFAULTS = {
    "model": "",
    "instructions": "",
    "voice": "",
    "turn_detection": "",
    "transcription": "gpt-4o-mini-transcribe",
    "language": "",
    "format": "",
    "output_format": "",
    "tools": "",
    "greet": "off",
    "dialect": "auto",
    "truncate": "",
    "session": "",
}
_CHOICES = {
    "turn_detection": {
        "": "",
        "on": "server_vad",
        "server_vad": "server_vad",
        "semantic": "semantic_vad",
        "semantic_vad": "semantic_vad",
        "azure_semantic_vad": "azure_semantic_vad",
        "azure_semantic_vad_en": "azure_semantic_vad_en",
        "azure_semantic_vad_multilingual": "azure_semantic_vad_multilingual",
        "off": "off",
    },
    "greet": {"on": "on", "off": "off"},
    "truncate": {"": "", "on": "on", "off": "off"},
    "dialect": {name: name for name in DIALECTS},
}
_Object = dict[str, Any]


class Wishes:
    """The options of one call. Raises `ValueError` for unknown or invalid options."""

    def __init__(self, settings: CallerSettings) -> None:
        settings.check_options("OpenAI Realtime", _DEFAULTS)
        self._chosen = {**_DEFAULTS, **settings.options}
        for name in _CHOICES:
            check_choice(name, self._chosen[name], _CHOICES[name])
            self._chosen[name] = _CHOICES[name][self._chosen[name]]
        if self._chosen["dialect"] == "auto":
            self._chosen["dialect"] = dialect_of(settings.url)
        self._barge_in = settings.barge_in
        rates = self.dialect.pcm_rates
        first = next(iter(settings.formats), wire.DEFAULT_FORMAT)
        self.input_format = wire.format_named(self._chosen["format"] or first, rates)
        output = self._chosen["output_format"]
        self.output_format = wire.format_named(output, rates) if output else self.input_format
        self.instructions = self._chosen["instructions"]
        self._tools = read_tools(self._chosen)
        self._extra = read_object("session", self._chosen, "fields for session.update")

    @property
    def dialect(self) -> Dialect:
        """How the service differs from OpenAI."""
        return DIALECTS[self._chosen["dialect"]]

    @property
    def truncates(self) -> bool:
        """Whether to tell the service how much of a reply the user heard."""
        chosen = self._chosen["truncate"]
        return chosen == "on" if chosen else self.dialect.truncates

    @property
    def greet(self) -> bool:
        """Whether the agent is asked to speak first."""
        return self._chosen["greet"] == "on"

    def session(self, *, beta: bool, in_force: Mapping[str, Any] | None) -> _Object:
        """Returns the object for ``session.update``. ``in_force`` is the agent's current turn detection."""
        plain = self._beta(in_force) if beta else self._ga(in_force)
        return _merged(plain, self._extra)

    def _ga(self, in_force: Mapping[str, Any] | None) -> _Object:
        audio_input = {
            "format": wire.format_object(self.input_format),
            "transcription": self._transcription(),
            **self._turn_detection(in_force),
        }
        audio_output = {"format": wire.format_object(self.output_format), **self._voice()}
        return {
            "type": "realtime",
            **({"instructions": self.instructions} if self.instructions else {}),
            "output_modalities": ["audio"],
            **self._tool_members(),
            "audio": {"input": audio_input, "output": audio_output},
        }

    def _beta(self, in_force: Mapping[str, Any] | None) -> _Object:
        return {
            "modalities": ["text", "audio"],
            **({"instructions": self.instructions} if self.instructions else {}),
            **self._voice(),
            "input_audio_format": wire.beta_format(self.input_format),
            **self._sampling_rate(),
            "output_audio_format": wire.beta_output_format(self.output_format),
            "input_audio_transcription": self._transcription(),
            **self._turn_detection(in_force),
            **self._tool_members(),
        }

    def _sampling_rate(self) -> _Object:
        """Returns Voice Live's member for the PCM sample rate; {} for the default rate."""
        media = self.input_format
        usual = media in wire.FORMATS.values() or self.dialect.pcm_rates == wire.PCM_RATES
        return {} if usual else {"input_audio_sampling_rate": media.rate}

    def _voice(self) -> Mapping[str, Any]:
        return voice_member(self._chosen["voice"], self.dialect)

    def _text(self, name: str) -> _Object:
        return {name: self._chosen[name]} if self._chosen[name] else {}

    def _tool_members(self) -> _Object:
        return {"tools": self._tools, "tool_choice": "auto"} if self._tools else {}

    def _transcription(self) -> _Object | None:
        model = self._chosen["transcription"]
        return None if model in ("", "off") else {"model": model, **self._text("language")}

    def _turn_detection(self, in_force: Mapping[str, Any] | None) -> _Object:
        kind = self._chosen["turn_detection"]
        if kind == "off":
            return {"turn_detection": None}
        if kind:
            turn = {"type": kind, "create_response": True, "interrupt_response": self._barge_in}
            return {"turn_detection": turn}
        if self._barge_in or in_force is None:
            return {}
        return {"turn_detection": {**in_force, "interrupt_response": False}}


def _merged(plain: _Object, extra: Mapping[str, Any]) -> _Object:
    merged = dict(plain)
    for name, change in extra.items():
        value, before = change, merged.get(name)
        if isinstance(before, dict) and isinstance(value, dict):
            value = _merged(before, value)
        merged[name] = value
    return merged
