"""Implements both ends of ElevenLabs Agents over WebSocket.

The facts come from ElevenLabs' schema (elevenlabs/packages, packages/types/schemas/agent.asyncapi.yaml), its
client (packages/client/src/utils/WebSocketConnection.ts), its Python package 2.78.0
(conversational_ai/conversation.py) and its page "Client events". Decisions where these sources are silent:

* No message marks the start or end of a reply. A reply starts with its first audio. A reply ends when its
  audio runs out (`tui.protocols.implied_replies`), when it is interrupted, or when the words of the next
  reply arrive. The agent sends the words of a reply with the reply's first audio. Words that arrive before
  any audio belong to the next reply.
* User audio flows from acceptance to hang-up, as with the SDKs, because the agent needs silence to detect
  turns.
* An interruption without an ``event_id`` is assumed to cover all audio received so far.
* No message informs the agent that the user flushed playback; later audio is played as a new reply.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

from tui.protocols.base import Protocol
from tui.protocols.elevenlabs.agent import ElevenLabsAgent
from tui.protocols.elevenlabs.caller import ElevenLabsCaller
from tui.protocols.elevenlabs.wire import DEFAULT_FORMAT, FORMATS, INITIATION, METADATA
from tui.protocols.implied_replies import ENDS_AFTER_MS
from tui.protocols.log_rules import End, LogRules, Pair, request
from tui.protocols.signs import Host, Signs, first_message_of

__all__ = ["DEFAULT_FORMAT", "ELEVENLABS", "FORMATS", "ElevenLabsAgent", "ElevenLabsCaller"]


def _headers(token: str, url: str) -> Mapping[str, str]:
    return {"xi-api-key": token} if token else {}


def _url_notice(url: str) -> str:
    parts = urlsplit(url)
    if not (parts.hostname or "").endswith("elevenlabs.io") or parse_qs(parts.query).get("agent_id"):
        return ""
    return "ElevenLabs needs the agent in the URL: add ?agent_id=ID."


_LOG_RULES = LogRules(
    runs=("audio", "user_audio_chunk"),
    pairs=(
        request(INITIATION, METADATA),
        Pair(
            End("agent", ("client_tool_call",), "client_tool_call.tool_call_id"),
            End("caller", ("client_tool_result",), "tool_call_id"),
        ),
        Pair(End("agent", ("ping",), "ping_event.event_id"), End("caller", ("pong",), "event_id")),
    ),
    audio_members=("audio_event.audio_base_64", "user_audio_chunk"),
)


ELEVENLABS = Protocol(
    name="elevenlabs",
    title="ElevenLabs Agents",
    path="/v1/convai/conversation",
    caller=ElevenLabsCaller,
    agent=ElevenLabsAgent,
    formats=FORMATS,
    log=_LOG_RULES,
    signs=Signs(
        hosts=(Host("elevenlabs.io", "ElevenLabs", ("/v1/convai/conversation",)),),
        path_words=("convai", "elevenlabs"),
        first_message=first_message_of("ElevenLabs", (METADATA,)),
    ),
    headers=_headers,
    token_subprotocols=("bearer.",),
    url_notice=_url_notice,
    continuous=True,
    calls_tools=True,
    reply_ends_after_ms=ENDS_AFTER_MS,
)
