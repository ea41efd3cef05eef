"""Definitions for both ends of the Realtime API: formats, names, sessions and log summaries of messages."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from tui.audio.formats import AudioFormat, Encoding
from tui.protocols.base import TelephonyEventType as Type
from tui.protocols.json_frames import Members, Message, cut

FORMATS: Mapping[str, AudioFormat] = {
    "audio/pcm": AudioFormat(Encoding.PCM16, 24_000),
    "audio/pcmu": AudioFormat(Encoding.MULAW, 8_000),
    "audio/pcma": AudioFormat(Encoding.ALAW, 8_000),
}
"""Audio formats by GA name."""
DEFAULT_FORMAT = "audio/pcm"
BETA_FORMATS = {"pcm16": "audio/pcm", "g711_ulaw": "audio/pcmu", "g711_alaw": "audio/pcma"}
GA_NAMES = {
    "response.audio.delta": "response.output_audio.delta",
    "response.audio.done": "response.output_audio.done",
    "response.audio_transcript.delta": "response.output_audio_transcript.delta",
    "response.audio_transcript.done": "response.output_audio_transcript.done",
    "response.text.delta": "response.output_text.delta",
    "response.text.done": "response.output_text.done",
    "transcription_session.created": "session.created",
    "transcription_session.updated": "session.updated",
}
"""GA names by beta name. The beta's ``conversation.item.created`` exists in GA as well."""
SPEECH = {
    "input_audio_buffer.speech_started": Type.SPEECH_STARTED,
    "input_audio_buffer.speech_stopped": Type.SPEECH_STOPPED,
    "input_audio_buffer.committed": Type.SPEECH_COMMITTED,
}
WITHOUT_EFFECT = (
    "conversation.created",
    "conversation.item.added",
    "conversation.item.created",
    "conversation.item.done",
    "conversation.item.retrieved",
    "conversation.item.deleted",
    "conversation.item.truncated",
    "conversation.item.input_audio_transcription.segment",
    "input_audio_buffer.timeout_triggered",
    "input_audio_buffer.dtmf_event_received",
    "response.output_item.added",
    "response.output_item.done",
    "response.content_part.added",
    "response.content_part.done",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.mcp_call_arguments.delta",
    "response.mcp_call_arguments.done",
    "response.mcp_call.in_progress",
    "response.mcp_call.completed",
    "response.mcp_call.failed",
    "mcp_list_tools.in_progress",
    "mcp_list_tools.completed",
    "mcp_list_tools.failed",
    "output_audio_buffer.started",
    "output_audio_buffer.stopped",
    "output_audio_buffer.cleared",
)
"""Messages from the agent that have no effect here; the tool handlers read some of them."""
MIN_COMMIT_MS = 100.0
"""Minimum amount of audio in the input buffer that can be committed, in milliseconds."""
PCM_RATES = (24_000,)
"""The PCM sample rates that OpenAI supports, in Hz."""
_MAX_ID_CHARS = 256
_PCM_WITH_RATE = re.compile(r"pcm16[_-](\d{4,5})hz")
"""Azure Voice Live's names for PCM at other rates."""


def ident(members: Members, name: str, *, required: bool = False) -> str:
    """Returns an id that the far side sent, cut to a length that can be stored and sent back."""
    return members.ident(name, required=required)[:_MAX_ID_CHARS]


def format_object(media: AudioFormat) -> dict[str, Any]:
    """Returns the JSON object for a format in the GA version of the API. Only PCM has a rate."""
    name = _ga_name(media)
    return {"type": name, "rate": media.rate} if media.encoding is Encoding.PCM16 else {"type": name}


def format_of(stated: Mapping[str, Any]) -> AudioFormat:
    """Returns the format in an object that is valid in GA."""
    media = FORMATS[stated["type"]]
    is_pcm = media.encoding is Encoding.PCM16
    return AudioFormat(Encoding.PCM16, stated.get("rate", media.rate)) if is_pcm else media


def beta_format(media: AudioFormat) -> str:
    """Returns the name of a format in the beta, which has no rate."""
    return next(beta for beta, ga in BETA_FORMATS.items() if ga == _ga_name(media))


def beta_output_format(media: AudioFormat) -> str:
    """Returns the name of an output format in the beta, with the rate that Azure Voice Live adds."""
    has_rate = media.encoding is Encoding.PCM16 and media.rate not in PCM_RATES
    return f"pcm16_{media.rate}hz" if has_rate else beta_format(media)


def pcm_with_rate(name: str) -> AudioFormat | None:
    """Returns the format for a name such as ``pcm16_16000hz`` (older: ``pcm16-16000hz``); None for other names."""
    found = _PCM_WITH_RATE.fullmatch(name)
    return AudioFormat(Encoding.PCM16, int(found[1])) if found else None


def format_named(name: str, pcm_rates: Collection[int]) -> AudioFormat:
    """Returns the format for a name in GA or the beta, or for a PCM rate. Raises `ValueError` for other text."""
    with_rate = pcm_with_rate(name)
    if with_rate and with_rate.rate in pcm_rates:
        return with_rate
    ga_name = BETA_FORMATS.get(name, name)
    if ga_name not in FORMATS:
        rates = (f"pcm16_{rate}hz" for rate in pcm_rates if rate not in PCM_RATES)
        known = ", ".join((*FORMATS, *BETA_FORMATS, *rates))
        raise ValueError(f"Unknown audio format {name!r} for OpenAI Realtime. Choose from {known}.")
    return FORMATS[ga_name]


def _ga_name(media: AudioFormat) -> str:
    return next(name for name, known in FORMATS.items() if known.encoding is media.encoding)


@dataclass(slots=True)
class Effective:
    """The settings of a session that are in effect."""

    input_format: AudioFormat
    output_format: AudioFormat
    turn_detection: Mapping[str, Any] | None
    """None if the agent does not detect turns."""
    pcm_rates: Collection[int] = PCM_RATES
    """The PCM sample rates that the service supports, in Hz."""

    @property
    def interrupts(self) -> bool:
        """Whether the agent ends its response when the user begins to speak."""
        return self.turn_detection is not None and self.turn_detection.get("interrupt_response") is not False

    @property
    def yields_to_speech(self) -> bool:
        """Whether the user's speech ends the response. If the agent does not detect turns, the client does so.

        ``interrupt_response: false`` means that speech does not interrupt: neither side cancels, truncates or
        flushes.
        """
        return self.turn_detection is None or self.interrupts

    @property
    def leaves_asking(self) -> bool:
        """Whether the client must request answers to detected turns (``create_response: false``)."""
        return self.turn_detection is not None and self.turn_detection.get("create_response") is False

    def read(self, session: Members) -> None:
        """Applies a session object in GA or beta form."""
        audio_input = session.inside("audio").inside("input")
        self.input_format = self._read_input_format(audio_input, session) or self.input_format
        self.output_format = self.read_output_format(session) or self.output_format
        for place in (session, audio_input):
            if "turn_detection" in place.body:
                self.turn_detection = place.inside("turn_detection").body if _is_on(place) else None

    def read_output_format(self, owner: Members) -> AudioFormat | None:
        """Returns the output format in a session or response object; None if it specifies none."""
        output = owner.inside("audio").inside("output") if owner.has("audio") else owner
        stated = read_format(output, "format", self.pcm_rates)
        return stated or read_format(owner, "output_audio_format", self.pcm_rates)

    def _read_input_format(self, audio: Members, session: Members) -> AudioFormat | None:
        stated = read_format(audio, "format", self.pcm_rates)
        stated = stated or read_format(session, "input_audio_format", self.pcm_rates)
        rate = session.number("input_audio_sampling_rate")
        if (
            rate is not None
            and rate in self.pcm_rates
            and (stated is None or stated.encoding is Encoding.PCM16)
        ):
            return AudioFormat(Encoding.PCM16, int(rate))
        return stated


def _is_on(place: Members) -> bool:
    # gpt-realtime has no {"type": "none"}, but servers modeled on it do.
    value = place.body["turn_detection"]
    return value is not None and not (isinstance(value, dict) and value.get("type") == "none")


def read_format(members: Members, name: str, pcm_rates: Collection[int] = PCM_RATES) -> AudioFormat | None:
    """Returns the format in a member; None if it is absent or unknown. Reports an unknown format."""
    match members.body.get(name):
        case None:
            return None
        case {"type": "audio/pcm", "rate": int(rate)} if rate in pcm_rates:
            return AudioFormat(Encoding.PCM16, rate)
        case {"type": "audio/pcm", "rate": int(rate)} if rate > 0:
            specified = ", ".join(map(str, pcm_rates))
            members.find(
                "pcm-rate", f"{name} is PCM at {rate} Hz; the specification allows only {specified} Hz."
            )
            return AudioFormat(Encoding.PCM16, rate) if 8_000 <= rate <= 192_000 else None
        case str(stated) if (media := pcm_with_rate(stated)) and media.rate in pcm_rates:
            return media
        case {"type": str(stated)} | str(stated) if (ga_name := BETA_FORMATS.get(stated, stated)) in FORMATS:
            return FORMATS[ga_name]
        case stated:
            text = f"The protocol defines no {name} {cut(str(stated)[:60])}."
            members.find("unknown-format", text)
            return None


def item_summary(item: Members) -> str:
    """Returns a short description of a conversation item."""
    match item.text("type"):
        case "message":
            return " ".join(filter(None, (f"{item.text('role')} message", _first_words(item))))
        case "function_call":
            return f"function call {item.text('name')}({item.text('arguments')})"
        case "function_call_output":
            return f"function result {item.text('output')}"
        case kind:
            return kind or "unnamed item"


def _first_words(item: Members) -> str:
    for part in item.objects("content")[:1]:
        words = part.text("text") or part.text("transcript")
        return f"“{words}”" if words else ""
    return ""


def describe(message: Message) -> str:
    """Returns a log summary for a message that has no other effect."""
    kind = message.kind()
    if message.has("item"):
        return f"{item_summary(message.inside('item'))} {kind.rpartition('.')[2]}"
    if kind == "response.function_call_arguments.done":
        return f"call {message.text('name')}({message.text('arguments')})"
    if kind == "response.function_call_arguments.delta":
        return f"arguments {message.text('delta')}"
    subject, _, what = kind.rpartition(".")
    return f"{subject.rpartition('.')[2].replace('_', ' ')} {what.replace('_', ' ')}"
