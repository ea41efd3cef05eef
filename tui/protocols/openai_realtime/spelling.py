"""Spelling: converts messages of the agent's end between GA and a dialect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tui.protocols.openai_realtime import wire
from tui.protocols.openai_realtime.configuration import GA_RULES, VAD_DEFAULTS, Rules, session_rules
from tui.protocols.openai_realtime.dialects import DIALECTS
from tui.protocols.refused import Refused

_Body = dict[str, Any]


class Spelling:
    """Reads and writes messages in GA form."""

    rules: Rules = GA_RULES
    """The checks for the members of a session."""
    opens_with = "session.created"
    cancels_previous = False
    """Whether a request for an answer cancels the active response; otherwise the request is refused."""
    without_effect: tuple[str, ...] = ()
    """Messages from the caller that have no effect here."""
    clears_output = False
    """Whether the caller may send ``output_audio_buffer.clear``."""

    def event(self, kind: str, members: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]] | None:
        """Returns the kind and the members of an event in this form; None if the dialect does not have the event."""
        return kind, members

    def read(self, body: Mapping[str, Any], session: Mapping[str, Any]) -> Mapping[str, Any]:
        """Converts a message from the caller to GA form. ``session`` is the current session. Raises `Refused`."""
        return body


class XaiSpelling(Spelling):
    """xAI's form: names as in GA, and more sample rates. The first event announces the conversation."""

    rules = session_rules(DIALECTS["xai"].pcm_rates)
    opens_with = "conversation.created"


_TURN_DETECTIONS = (
    "server_vad",
    "azure_semantic_vad",
    "azure_semantic_vad_en",
    "azure_semantic_vad_multilingual",
)
_PLACES: Mapping[str, tuple[str, ...]] = {
    "model": ("model",),
    "instructions": ("instructions",),
    "tools": ("tools",),
    "tool_choice": ("tool_choice",),
    "parallel_tool_calls": ("parallel_tool_calls",),
    "max_response_output_tokens": ("max_output_tokens",),
    "turn_detection": ("audio", "input", "turn_detection"),
    "input_audio_transcription": ("audio", "input", "transcription"),
    "input_audio_noise_reduction": ("audio", "input", "noise_reduction"),
    "voice": ("audio", "output", "voice"),
}
"""The paths of session members in GA, by their names in Voice Live."""
_ONLY_AZURE = (
    "animation",
    "avatar",
    "include",
    "input_audio_echo_cancellation",
    "interim_response",
    "output_audio_timestamp_types",
    "reasoning_effort",
    "temperature",
)
"""Session members that only Voice Live has; the local agent repeats them but does not act on them."""
_FORMATS = ("modalities", "input_audio_format", "input_audio_sampling_rate", "output_audio_format")
_WITHOUT = ("conversation.item.done", "rate_limits.updated")
_BETA_NAMES = {ga: beta for beta, ga in wire.GA_NAMES.items() if beta.startswith("response.")}
_KINDS = {**_BETA_NAMES, "conversation.item.added": "conversation.item.created"}
_REQUESTS = {
    "input_audio.turn.append": "input_audio_buffer.append",
    "input_audio.turn.end": "input_audio_buffer.commit",
    "input_audio.turn.cancel": "input_audio_buffer.clear",
    "input_audio.clear": "input_audio_buffer.clear",
}
"""Messages that mark the start and end of a client's turns; each is another name for an input buffer message."""
_PARTS = {"output_text": "text", "output_audio": "audio"}
_GA_PARTS = {beta: ga for ga, beta in _PARTS.items()}


class VoiceLiveSpelling(Spelling):
    """The form of Azure Voice Live: names as in the beta, and flat sessions.

    The names come from azure-ai-voicelive 1.3.1 (models/_models.py). Voice Live has one event for a new item,
    and none for rate limits.
    """

    rules = session_rules(
        DIALECTS["azure-voice-live"].pcm_rates,
        turn_detections=dict.fromkeys(_TURN_DETECTIONS, VAD_DEFAULTS),
        others=_ONLY_AZURE,
    )
    cancels_previous = True
    without_effect = ("input_audio.turn.start",)
    clears_output = True

    def event(self, kind: str, members: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]] | None:
        """Converts a GA event to Voice Live's form; returns None if Voice Live does not have the event."""
        if kind in _WITHOUT:
            return None
        spelled = dict(members)
        for name, spell in (("session", _flat), ("item", _item), ("response", _response)):
            if isinstance(spelled.get(name), dict):
                spelled[name] = spell(spelled[name])
        if kind.startswith("conversation.item.input_audio_transcription"):
            spelled.pop("usage", None)
        return _KINDS.get(kind, kind), spelled

    def read(self, body: Mapping[str, Any], session: Mapping[str, Any]) -> Mapping[str, Any]:
        """Converts a message from the caller to GA form. Raises `Refused`."""
        match body:
            case {"type": "session.update", "session": dict(change)}:
                return {**body, "session": _nested(change, session)}
            case {"type": "response.create", "response": dict(asked)}:
                return {**body, "response": {**asked, **_modalities(asked)}}
            case {"type": "conversation.item.create", "item": {"role": "assistant", "content": list(parts)}}:
                return {
                    **body,
                    "item": {**body["item"], "content": [_part(part, _GA_PARTS) for part in parts]},
                }
            case _:
                return {**body, "type": _REQUESTS.get(body["type"], body["type"])}


def _flat(session: _Body) -> _Body:
    """Converts a GA session to Voice Live's form."""
    flat = {name: session[name] for name in ("id", "expires_at", *_ONLY_AZURE) if name in session}
    for name, path in _PLACES.items():
        value: Any = session
        for step in path:
            value = value.get(step) if isinstance(value, dict) else None
        if value is not None or name == "turn_detection":
            flat[name] = value
    user = wire.format_of(session["audio"]["input"]["format"])
    return {
        **flat,
        "modalities": _shown_modalities(session),
        "input_audio_format": wire.beta_format(user),
        "input_audio_sampling_rate": user.rate,
        "output_audio_format": wire.beta_output_format(wire.format_of(session["audio"]["output"]["format"])),
    }


def _nested(change: _Body, session: Mapping[str, Any]) -> _Body:
    """Converts a session change to GA form. Raises `Refused` for members that Voice Live does not have."""
    nested: _Body = {"type": "realtime", **_modalities(change)}
    for name, value in change.items():
        if name in _FORMATS:
            continue
        if name not in (*_PLACES, *_ONLY_AZURE):
            raise Refused(
                "unknown_parameter", f"Unknown parameter: 'session.{name[:60]}'.", f"session.{name[:60]}"
            )
        *path, last = _PLACES.get(name, (name,))
        place = nested
        for step in path:
            place = place.setdefault(step, {})
        place[last] = value
    audio = nested.setdefault("audio", {})
    if {"input_audio_format", "input_audio_sampling_rate"} & change.keys():
        audio.setdefault("input", {})["format"] = _input_format(change, session["audio"]["input"]["format"])
    if "output_audio_format" in change:
        audio.setdefault("output", {})["format"] = _format_object(change["output_audio_format"])
    return nested


def _input_format(change: _Body, current: _Body) -> _Body:
    name = change.get("input_audio_format")
    stated = current if name is None else _format_object(name)
    rate = change.get("input_audio_sampling_rate")
    return stated if rate is None or stated["type"] != "audio/pcm" else {**stated, "rate": rate}


def _format_object(name: Any) -> _Body:
    if isinstance(name, str) and (media := wire.pcm_with_rate(name)):
        return {"type": "audio/pcm", "rate": media.rate}
    return {"type": wire.BETA_FORMATS.get(name, name) if isinstance(name, str) else name}


def _modalities(owner: Mapping[str, Any]) -> _Body:
    wanted = owner.get("modalities")
    if wanted is None:
        return {}
    has_audio = isinstance(wanted, list) and "audio" in wanted
    return {"output_modalities": ["audio"] if has_audio else wanted}


def _shown_modalities(owner: Mapping[str, Any]) -> list[str]:
    return ["text", "audio"] if owner["output_modalities"] == ["audio"] else ["text"]


def _response(response: _Body) -> _Body:
    shown = {name: value for name, value in response.items() if name not in ("audio", "output_modalities")}
    details = shown["status_details"]
    output = response["audio"]["output"]
    return {
        **shown,
        "status_details": None if details and details["type"] == "completed" else details,
        "output": [_item(item) for item in shown["output"]],
        "modalities": _shown_modalities(response),
        "voice": output["voice"],
        "output_audio_format": wire.beta_output_format(wire.format_of(output["format"])),
    }


def _item(item: _Body) -> _Body:
    shown = dict(item)
    if item.get("type") == "function_call_output":
        shown.pop("status", None)  # Voice Live has no such member here
    if isinstance(content := item.get("content"), list):
        shown["content"] = [_part(part, _PARTS) for part in content]
    return shown


def _part(part: Any, names: Mapping[str, str]) -> Any:
    if not isinstance(part, dict) or not isinstance(kind := part.get("type"), str):
        return part
    # Voice Live's types require the bytes of user audio, which events do not carry.
    audio = {"audio": ""} if kind == "input_audio" else {}
    return {**audio, **part, "type": names.get(kind, kind)}


_SPELLINGS: Mapping[str, type[Spelling]] = {"azure-voice-live": VoiceLiveSpelling, "xai": XaiSpelling}


def spelling_of(dialect: str) -> Spelling:
    """Returns the spelling of a dialect. Dialects that the local agent does not know use GA."""
    return _SPELLINGS.get(dialect, Spelling)()
