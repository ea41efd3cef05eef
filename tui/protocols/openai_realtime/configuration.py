"""The session of the agent's end: its default settings, and changes by ``session.update``.

The names and defaults come from openai 3.54.0, types/realtime/realtime_session_create_request.py.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

from tui.audio.formats import AudioFormat
from tui.protocols.json_frames import cut
from tui.protocols.openai_realtime import wire
from tui.protocols.refused import Refused, invalid_type, invalid_value, missing

DEFAULT_MODEL = "opusagent-local"
"""The model of a session whose URL does not name one."""

_Object = dict[str, Any]
_Rule = Callable[[Any, str], Any]
Rules = Mapping[str, Any]
"""A check for each member that a session may have; for a member that is an object, a mapping of such checks."""

VAD_DEFAULTS: Mapping[str, Any] = {"threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 500}
_TURN_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "server_vad": VAD_DEFAULTS,
    "semantic_vad": {"eagerness": "auto"},
}
_MIN_IDLE_MS, _MAX_IDLE_MS = 5_000, 30_000
_FLAGS = {"create_response": True, "interrupt_response": True}


def _anything(value: Any, path: str) -> Any:
    return value


def _text(value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise invalid_type(path, "a string")
    return value


def _number(value: Any, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise invalid_type(path, "a number")
    return value


def _object_or_null(value: Any, path: str) -> _Object | None:
    if not (value is None or isinstance(value, dict)):
        raise invalid_type(path, "an object or null")
    return value


def _format(pcm_rates: Collection[int], value: Any, path: str) -> _Object:
    name = value.get("type") if isinstance(value, dict) else None
    if not isinstance(name, str) or name not in wire.FORMATS:
        raise invalid_value(path, f"one of {', '.join(wire.FORMATS)}")
    rate = value.get("rate", wire.FORMATS[name].rate)
    if name == wire.DEFAULT_FORMAT and (isinstance(rate, bool) or rate not in pcm_rates):
        due = " or ".join(map(str, pcm_rates))
        raise Refused(
            "invalid_value", f"Invalid value for '{path}.rate': PCM must be {due} Hz.", f"{path}.rate"
        )
    return wire.format_object(
        wire.format_of({**value, "rate": int(rate)} if name == wire.DEFAULT_FORMAT else value)
    )


def _turn_detection(detections: Mapping[str, Mapping[str, Any]], value: Any, path: str) -> _Object | None:
    wanted = _object_or_null(value, path)
    if wanted is None:
        return None
    kind = wanted.get("type", "server_vad")
    if not isinstance(kind, str) or kind not in detections:
        raise invalid_value(f"{path}.type", f"one of {', '.join(detections)}")
    for flag in _FLAGS:
        if not isinstance(wanted.get(flag, True), bool):
            raise invalid_type(f"{path}.{flag}", "a boolean")
    if "prefix_padding_ms" in wanted:
        _number(wanted["prefix_padding_ms"], f"{path}.prefix_padding_ms")
    _check_idle_timeout(wanted.get("idle_timeout_ms"), kind, f"{path}.idle_timeout_ms")
    return {"type": kind, **detections[kind], **_FLAGS, **wanted}


def _check_idle_timeout(value: Any, kind: str, path: str) -> None:
    if value is None:
        return
    if kind != "server_vad":
        raise Refused("invalid_value", f"Invalid value for '{path}': only server_vad has one.", path)
    if not _MIN_IDLE_MS <= _number(value, path) <= _MAX_IDLE_MS:
        raise invalid_value(path, f"a number from {_MIN_IDLE_MS} to {_MAX_IDLE_MS}")


def _modalities(value: Any, path: str) -> list[str]:
    if value not in (["audio"], ["text"]):
        raise invalid_value(path, "['audio'] or ['text']")
    return list(value)


def _tools(value: Any, path: str) -> list[_Object]:
    if not (isinstance(value, list) and all(isinstance(tool, dict) for tool in value)):
        raise invalid_type(path, "an array of objects")
    return value


def _tool_choice(value: Any, path: str) -> Any:
    match value:
        case "auto" | "none" | "required" | {"type": "function", "name": str()} | {"type": "mcp"}:
            return value
        case _:
            raise invalid_value(path, "'auto', 'none', 'required' or a tool")


def _kind(value: Any, path: str) -> str:
    if value != "realtime":
        raise Refused(
            "invalid_value", f"Invalid value for '{path}': this agent supports only 'realtime'.", path
        )
    return "realtime"


_UNCHECKED = (
    "include",
    "max_output_tokens",
    "model",
    "parallel_tool_calls",
    "prompt",
    "reasoning",
    "tracing",
    "truncation",
)


def session_rules(
    pcm_rates: Collection[int] = wire.PCM_RATES,
    *,
    turn_detections: Mapping[str, Mapping[str, Any]] = MappingProxyType(_TURN_DEFAULTS),
    others: Sequence[str] = (),
) -> Rules:
    """Returns the rules that check sessions of a dialect.

    ``others`` are members that only this dialect has.
    """
    media = partial(_format, pcm_rates)
    audio_input: Mapping[str, _Rule] = {
        "format": media,
        "turn_detection": partial(_turn_detection, turn_detections),
        "transcription": _object_or_null,
        "noise_reduction": _object_or_null,
    }
    return {
        "type": _kind,
        "audio": {
            "input": audio_input,
            "output": {"format": media, "voice": _anything, "speed": _number},
        },
        "instructions": _text,
        "output_modalities": _modalities,
        "tools": _tools,
        "tool_choice": _tool_choice,
        **dict.fromkeys((*_UNCHECKED, *others), _anything),
    }


GA_RULES = session_rules()


class Configuration:
    """The session object, with access to the settings in it."""

    def __init__(self, **members: Any) -> None:
        self.rules = GA_RULES
        self.body: _Object = {
            "type": "realtime",
            "object": "realtime.session",
            "model": DEFAULT_MODEL,
            **members,
            "output_modalities": ["audio"],
            "instructions": "You are the local agent of opusagent-tui.",
            "tools": [],
            "tool_choice": "auto",
            "max_output_tokens": "inf",
            "truncation": "auto",
            "audio": {
                "input": {
                    "format": wire.format_object(wire.FORMATS[wire.DEFAULT_FORMAT]),
                    "transcription": None,
                    "noise_reduction": None,
                    "turn_detection": _turn_detection(_TURN_DEFAULTS, {}, ""),
                },
                "output": {
                    "format": wire.format_object(wire.FORMATS[wire.DEFAULT_FORMAT]),
                    "voice": "marin",
                    "speed": 1.0,
                },
            },
        }

    def update(self, change: Any, *, has_spoken: bool) -> None:
        """Applies a ``session.update``, except a change of model, which is impossible once the session is open.

        If `Refused` is raised, nothing has changed.
        """
        if not isinstance(change, dict):
            raise missing("session")
        if "type" not in change:
            raise missing("session.type")
        body = {**_merged(self.body, change, self.rules, "session"), "model": self.model}
        if has_spoken and body["audio"]["output"]["voice"] != self.voice:
            text = "Cannot update a conversation's voice if assistant audio is present."
            raise Refused("cannot_update_voice", text, "session.audio.output.voice")
        self.body = body

    @property
    def model(self) -> str:
        """Name of the model, which the caller chose in the URL."""
        return str(self.body["model"])

    @property
    def input_format(self) -> AudioFormat:
        """The format of the user's audio."""
        return wire.format_of(self.body["audio"]["input"]["format"])

    @property
    def output_format(self) -> AudioFormat:
        """The format of replies."""
        return wire.format_of(self.body["audio"]["output"]["format"])

    @property
    def voice(self) -> Any:
        """The voice that the caller chose."""
        return self.body["audio"]["output"]["voice"]

    @property
    def turn_detection(self) -> Mapping[str, Any] | None:
        """The settings of turn detection; None if the caller ends turns."""
        turn: _Object | None = self.body["audio"]["input"]["turn_detection"]
        return turn

    def turn_flag(self, name: str) -> bool:
        """Returns a boolean setting of turn detection; False if turn detection is off."""
        return self.turn_detection is not None and self.turn_detection[name] is True

    @property
    def prefix_padding_ms(self) -> float:
        """How much audio before the speech belongs to a turn."""
        padding = (self.turn_detection or {}).get("prefix_padding_ms", 300)
        return float(min(max(padding, 0), 5_000))

    @property
    def transcribes(self) -> bool:
        """Whether the caller enabled transcription of the user's speech."""
        return self.body["audio"]["input"]["transcription"] is not None

    @property
    def idle_timeout_ms(self) -> float | None:
        """How long the user may be silent after a reply before the agent speaks again."""
        return (self.turn_detection or {}).get("idle_timeout_ms")


def callable_tools(tools: Sequence[Mapping[str, Any]], choice: Any) -> list[Mapping[str, Any]]:
    """Returns the tools that are functions and that this ``tool_choice`` allows."""
    functions = [tool for tool in tools if tool.get("type") == "function"]
    match choice:
        case {"type": "function", "name": str(name)}:
            return [tool for tool in functions if tool.get("name") == name]
        case "none" | {"type": "mcp"}:
            return []
        case _:
            return functions


def check_response(asked: Mapping[str, Any], session: Mapping[str, Any]) -> None:
    """Checks the tools and the ``tool_choice`` of a ``response.create``. Raises `Refused`."""
    wanted = {**session, **{name: value for name, value in asked.items() if value is not None}}
    tools = _tools(wanted["tools"], "response.tools")
    choice = _tool_choice(wanted["tool_choice"], "response.tool_choice")
    if isinstance(choice, dict) and choice["type"] == "function" and not callable_tools(tools, choice):
        text = f"Tool choice '{cut(choice['name'], 60)}' not found in 'tools' parameter."
        raise Refused("invalid_value", text, "response.tool_choice")


def _merged(old: Any, change: Any, rules: Mapping[str, Any], path: str) -> _Object:
    if not isinstance(change, dict):
        raise invalid_type(path, "an object")
    merged: _Object = dict(old)
    for name, value in change.items():
        here, rule = f"{path}.{cut(name, 60)}", rules.get(name)
        if rule is None:
            raise Refused("unknown_parameter", f"Unknown parameter: '{here}'.", here)
        if isinstance(rule, Mapping):
            merged[name] = _merged(merged[name], value, rule, here)
        else:
            merged[name] = rule(value, here)
    return merged
