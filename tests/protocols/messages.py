"""Messages of every protocol that both ends have to understand, also used as a basis for malformed messages."""

from __future__ import annotations

import json
from typing import Any

from tests.protocols.both_ends import example

ELEVENLABS_FROM_CALLER: list[dict[str, Any]] = [
    {"type": "conversation_initiation_client_data", "dynamic_variables": {"name": "Ada"}},
    {"user_audio_chunk": "AAAAAAAAAAA="},
    {"type": "pong", "event_id": 4},
    {"type": "user_message", "text": "hi"},
    {"type": "user_activity"},
    {"type": "contextual_update", "text": "x"},
    {"type": "feedback", "event_id": 3, "score": "like"},
    {"type": "client_tool_result", "tool_call_id": "t", "result": "r", "is_error": False},
    {"type": "mcp_tool_approval_result", "tool_call_id": "t", "is_approved": True},
    {"type": "multimodal_message", "text": {"type": "user_message", "text": "x"}},
]
_METADATA = {
    "conversation_id": "conv_1",
    "agent_output_audio_format": "pcm_16000",
    "user_input_audio_format": "pcm_16000",
}
ELEVENLABS_FROM_AGENT: list[dict[str, Any]] = [
    {"type": "conversation_initiation_metadata", "conversation_initiation_metadata_event": _METADATA},
    {"type": "audio", "audio_event": {"audio_base_64": "AAAAAAAAAAA=", "event_id": 3}},
    {"type": "user_transcript", "user_transcription_event": {"user_transcript": "a", "event_id": 3}},
    {
        "type": "tentative_user_transcript",
        "tentative_user_transcription_event": {"user_transcript": "a", "event_id": 3},
    },
    {"type": "agent_response", "agent_response_event": {"agent_response": "a", "event_id": 3}},
    {
        "type": "agent_response_correction",
        "agent_response_correction_event": {"corrected_agent_response": "a", "event_id": 3},
    },
    {"type": "interruption", "interruption_event": {"event_id": 3}},
    {"type": "ping", "ping_event": {"event_id": 4, "ping_ms": 38}},
    {"type": "vad_score", "vad_score_event": {"vad_score": 0.5}},
    {
        "type": "client_tool_call",
        "client_tool_call": {"tool_name": "n", "tool_call_id": "t", "parameters": {"a": 1}, "event_id": 5},
    },
    {"type": "error", "error_event": {"code": 1008, "message": "m"}},
]


def _short(message: dict[str, Any], place: str, name: str) -> dict[str, Any]:
    """Returns the message with only four characters of audio."""
    inner = message.get(place, message) if place else message
    if name not in inner:
        return message
    short = {**inner, name: "AAAA"}
    return {**message, place: short} if place else short


def _more_audiocodes() -> list[dict[str, Any]]:
    """Returns messages that the example session does not contain."""
    events = [
        "transfer",
        "handover",
        "hangup",
        "abortPrompts",
        "sendDtmf",
        "playUrl",
        "HANGUP",
        "noUserInput",
    ]
    params = {"transferTarget": "tel:1", "hangupReason": "x", "dtmfDigits": "1"}
    return [
        {"type": "session.error", "reason": "no"},
        {"type": "session.resume", "conversationId": "0d7a2f5e-6a0b-4b51-9f3c-2c1f7e9a4410"},
        {"type": "connection.validate"},
        {"type": "connection.validated", "success": True},
        {"type": "playStream.mark.set", "name": "half"},
        {"type": "playStream.mark.reached", "name": "half"},
        {"type": "userStream.speech.recognition", "text": "hello", "confidence": "0.9", "participantId": "x"},
        {
            "type": "activities",
            "activities": [{"type": "message", "text": "hello", "sessionParams": {"bargeIn": True}}],
        },
        *(
            {"type": "activities", "activities": [{"name": name, "activityParams": params}]}
            for name in events
        ),
    ]


_GENESYS = [line["message"] for line in example("genesys")]
_DEEPGRAM = [line["message"] for line in example("deepgram")]
_MORE_DEEPGRAM: list[dict[str, Any]] = [
    {"type": "Settings", "audio": {"input": {"encoding": "opus"}}, "agent": "stored-agent"},
    {"type": "UpdateThink", "think": [{"functions": [{"name": "f", "parameters": {}}]}]},
    {"type": "ForceEndTurn"},
    {"type": "FrustrationDetected", "count": 1, "escalated": False},
    {"type": "Error", "code": "X", "description": "m"},
]
_GEMINI = [line["message"] for line in example("gemini")]
_MORE_GEMINI: list[dict[str, Any]] = [
    {"realtime_input": {"audio": {"data": "AAA_-w==", "mime_type": "audio/pcm;rate=16000"}}},
    {"realtimeInput": {"mediaChunks": [{"data": "AAAA", "mimeType": "audio/pcm"}]}},
    {"realtimeInput": {"activityStart": {}}},
    {"realtimeInput": {"activityEnd": {}}},
    {"realtimeInput": {"text": "hi"}},
    {"voiceActivityDetectionSignal": {"vadSignalType": "VAD_SIGNAL_TYPE_SOS"}},
    {"serverContent": {"turnComplete": True, "turnCompleteReason": "RESPONSE_REJECTED"}},
    {"serverContent": {"modelTurn": {"parts": [{"text": "hi"}]}}},
    {"error": {"code": 7, "message": "m", "status": "INTERNAL"}},
]
_LIVE = [line["message"] for line in example("openai-live")]
_MORE_LIVE: list[dict[str, Any]] = [
    {"type": "session.output_audio.delta", "delta": "AAAAAA==", "start_ms": 100, "end_ms": 200},
    {"type": "session.delegation.created", "offset_ms": 1, "delegation": {"id": "t", "target": "client"}},
    {"type": "session.commentary.append", "content": "It is nine.", "delegation_id": "t"},
    {"type": "session.update", "session": {"delegation": {"type": "responses", "responses": {"model": "m"}}}},
    {"type": "session.input_audio.mute"},
    {"type": "response.event", "event": {"type": "response.failed", "response": {"error": {"code": "c"}}}},
    {"type": "transport.ringing", "session_id": "x"},
]
_OPENAI = [line["message"] for line in example("openai-realtime")]


def _short_audio(message: dict[str, Any]) -> dict[str, Any]:
    """Returns a message of OpenAI with little audio."""
    return {name: "AAAA" if isinstance(v, str) and len(v) > 300 else v for name, v in message.items()}


_PLACE = {"response_id": "resp_2", "item_id": "item_a1", "content_index": 0}
_USER_ITEM = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "x"}]}
_NO_TURN_DETECTION = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
_MORE_OPENAI: list[dict[str, Any]] = [
    {"type": "input_audio_buffer.commit"},
    {"type": "input_audio_buffer.clear"},
    {"type": "input_audio_buffer.cleared", "event_id": "e"},
    {"type": "conversation.item.create", "item": _USER_ITEM, "previous_item_id": "root"},
    *({"type": f"conversation.item.{what}", "item_id": "item_8"} for what in ("retrieve", "delete")),
    {"type": "response.create", "response": {"output_modalities": ["text"], "metadata": {"a": "b"}}},
    {"type": "session.created", "session": {"turn_detection": {}, "input_audio_format": "pcm16"}},
    {"type": "response.audio.delta", **_PLACE, "delta": "AAAA"},
    {"type": "response.text.delta", **_PLACE, "delta": "hello"},
    {"type": "conversation.item.input_audio_transcription.failed", "item_id": "x", "error": {"code": "x"}},
    {"type": "response.done", "response": {"id": "resp_2", "status": "failed", "status_details": {}}},
    {"type": "session.update", "session": _NO_TURN_DETECTION},
]
_VOICE_LIVE_SESSION = {
    "modalities": ["text", "audio"],
    "voice": {"type": "azure-standard", "name": "en-US-AvaNeural"},
    "input_audio_format": "pcm16",
    "input_audio_sampling_rate": 16_000,
    "output_audio_format": "pcm16_8000hz",
    "input_audio_transcription": {"model": "azure-speech"},
    "turn_detection": {"type": "azure_semantic_vad", "prefix_padding_ms": 300},
    "temperature": 0.7,
}
_VOICE_LIVE: list[dict[str, Any]] = [
    {"type": "session.update", "session": _VOICE_LIVE_SESSION},
    {"type": "session.updated", "session": _VOICE_LIVE_SESSION},
    {"type": "input_audio.turn.start", "turn_id": "t"},
    {"type": "input_audio.turn.append", "turn_id": "t", "audio": "AAAA"},
    {"type": "input_audio.turn.end", "turn_id": "t"},
    {"type": "output_audio_buffer.clear"},
    {"type": "response.create", "response": {"modalities": ["text"], "cancel_previous": True}},
    {"type": "response.audio_timestamp.delta", **_PLACE, "text": "x", "audio_offset_ms": 1},
    {"type": "warning", "warning": {"message": "m", "code": "c"}},
]
_TWILIO = [line["message"] for line in example("twilio")]
_TELEPHONY = {
    name: [line["message"] for line in example(name)]
    for name in ("telnyx", "plivo", "exotel", "vonage", "signalwire")
}
_ASTERISK = [line["message"] for line in example("asterisk")]
_AUDIOCODES = [line["message"] for line in example("audiocodes")]
_PCM_KINDS = ("ready", "transcript", "interrupt", "end", "error", "ping", "audio", "start", "usage")
_PCM_MEMBERS = {
    "text": "hello",
    "role": "agent",
    "final": True,
    "data": "AAAA",
    "audio": "AAAA",
    "message": "m",
    "code": 1,
    "sample_rate": 16_000,
    "channels": 1,
    "encoding": "pcm_s16le",
}
MESSAGES: dict[str, list[dict[str, Any]]] = {
    "audiocodes": [*(_short(m, "", "audioChunk") for m in _AUDIOCODES), *_more_audiocodes()],
    "twilio": [_short(m, "media", "payload") for m in _TWILIO],
    "pcm": [{"type": kind, **_PCM_MEMBERS} for kind in _PCM_KINDS],
    "elevenlabs": ELEVENLABS_FROM_CALLER + ELEVENLABS_FROM_AGENT,
    "gemini": _GEMINI + _MORE_GEMINI,
    "deepgram": _DEEPGRAM + _MORE_DEEPGRAM,
    "genesys": _GENESYS,
    "asterisk": _ASTERISK,
    "openai": [*map(_short_audio, _OPENAI), *_MORE_OPENAI],
    "voice-live": [*map(_short_audio, _OPENAI), *_MORE_OPENAI, *_VOICE_LIVE],
    "xai": [*map(_short_audio, _OPENAI), *_MORE_OPENAI],
    "openai-live": _LIVE + _MORE_LIVE,
    **{name: [_short(m, "media", "payload") for m in messages] for name, messages in _TELEPHONY.items()},
}
"""By protocol or dialect of OpenAI Realtime."""
ACCEPTING = {
    "audiocodes": '{"type":"session.accepted","mediaFormat":"raw/lpcm16"}',
    "twilio": json.dumps(_TWILIO[1]),
    "pcm": '{"type":"ready"}',
    "elevenlabs": json.dumps(ELEVENLABS_FROM_AGENT[0]),
    "gemini": json.dumps({**_GEMINI[0], **_GEMINI[1]}),
    "deepgram": '{"type":"SettingsApplied"}',
    "genesys": json.dumps(_GENESYS[1]),
    "asterisk": json.dumps(_ASTERISK[0]),
    **dict.fromkeys(("openai", "voice-live", "xai"), json.dumps(_OPENAI[0])),
    "openai-live": json.dumps(_LIVE[1]),
    **{
        name: json.dumps(next(m for m in messages if "start" in m or "content-type" in m))
        for name, messages in _TELEPHONY.items()
    },
}
"""The messages after which both ends are in the call."""
