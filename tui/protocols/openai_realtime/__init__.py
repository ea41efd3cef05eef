"""Implements both ends of the OpenAI Realtime API over WebSocket (GA, Azure, and the old beta names on input).

The caller's end acts as an ordinary client, the agent's end as the server. The facts come from the types of
the openai Python package 3.54.0 (types/realtime; beta from 1.109.1), its azure.py, OpenAI's guide "Realtime
conversations" and Microsoft's pages on realtime audio over websockets. Decisions where these sources are
silent:

* Audio of a response that was never announced, or of a reply that was already complete, is played and
  reported as a finding.
* While ``session.update`` is unanswered, an error without an ``event_id`` counts as the answer.
* Only one request for an answer is sent at a time. A request made while a response is active is sent once the
  response has ended. So is a request that was refused because a response was active.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from tui.protocols.base import Protocol, bearer
from tui.protocols.log_rules import End, LogRules, Nearest, Pair, request, span
from tui.protocols.openai_realtime.agent import OpenAIAgent
from tui.protocols.openai_realtime.caller import OpenAICaller
from tui.protocols.openai_realtime.dialects import DIALECTS, dialect_of
from tui.protocols.openai_realtime.wire import DEFAULT_FORMAT, FORMATS
from tui.protocols.signs import Host, Signs

__all__ = ["DEFAULT_FORMAT", "FORMATS", "OPENAI_REALTIME", "OpenAIAgent", "OpenAICaller", "connect_url"]

_AZURE_GA_PATH = "/openai/v1/realtime"
_AZURE_PREVIEW_PATH = "/openai/realtime"
_JSON_WEB_TOKEN = "eyJ"
"""The beginning of every JSON Web Token: ``{"`` in base64."""


def connect_url(url: str, model: str) -> str:
    """Adds the model to the URL's query, unless the query names a model or a call to attach to."""
    parts = urlsplit(url)
    query = parse_qsl(parts.query, keep_blank_values=True)
    if not model or {"model", "deployment", "call_id"} & {name for name, _ in query}:
        return url
    name = "deployment" if _is_azure(url) and parts.path == _AZURE_PREVIEW_PATH else "model"
    added = urlencode({name: model})
    return urlunsplit(parts._replace(query=f"{parts.query}&{added}" if parts.query else added))


def _headers(token: str, url: str) -> Mapping[str, str]:
    # Azure accepts its own keys in a separate header, and Entra tokens in the usual one.
    is_azure = _is_azure(url) or dialect_of(url) == "azure-voice-live"
    if token and is_azure and not token.startswith(_JSON_WEB_TOKEN):
        return {"api-key": token}
    return bearer(token, url)


def _url_notice(url: str) -> str:
    names = {name for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True)}
    if _is_azure(url) and urlsplit(url).path == _AZURE_GA_PATH and "api-version" in names:
        return f"Azure returns 401 if api-version is given at {_AZURE_GA_PATH}; leave it out."
    return ""


def _is_azure(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host.endswith(".azure.com")


_COMMIT = ("input_audio_buffer.commit", "input_audio_buffer.committed")
_DELTAS = (
    "response.output_audio",
    "response.output_audio_transcript",
    "response.output_text",
    "response.audio",
    "response.audio_transcript",
    "response.text",
    "response.function_call_arguments",
)
_LOG_RULES = LogRules(
    runs=(".delta", ".append"),
    pairs=(
        request("session.update", "session.updated"),
        request("input_audio_buffer.clear", "input_audio_buffer.cleared"),
        request("output_audio_buffer.clear", "output_audio_buffer.cleared"),
        request("conversation.item.truncate", "conversation.item.truncated", "item_id"),
        request("conversation.item.delete", "conversation.item.deleted", "item_id"),
        request("conversation.item.retrieve", "conversation.item.retrieved", "item_id", "item.id"),
        span("agent", "input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped", "item_id"),
        span("agent", "response.created", "response.done", "response.id"),
        span("agent", "response.output_item.added", "response.output_item.done", "item.id"),
        span("agent", "response.content_part.added", "response.content_part.done", "item_id"),
        span("agent", "conversation.item.added", "conversation.item.done", "item.id"),
        Pair(
            End("agent", ("response.function_call_arguments.done",), "call_id"),
            End("caller", ("conversation.item.create",), "item.call_id"),
        ),
        request("conversation.item.create", "conversation.item.added", "item.id"),
        Nearest(("input_audio_buffer.append",), _COMMIT, later=True),
        Nearest(_COMMIT, ("input_audio_buffer.append",)),
        *(Nearest((f"{name}.delta",), (f"{name}.done",), later=True) for name in _DELTAS),
        *(Nearest((f"{name}.done",), (f"{name}.delta",)) for name in _DELTAS),
    ),
    audio_members=("delta", "audio"),
)


def _first_message(message: Mapping[str, Any] | bytes) -> str:
    match message:
        case {"type": "session.created" as kind}:
            return f"the agent sent the first message, {kind}, as only OpenAI's agents do"
        case _:
            return ""


OPENAI_REALTIME = Protocol(
    name="openai",
    title="OpenAI Realtime",
    path="/v1/realtime",
    other_paths=tuple(dialect.path for dialect in DIALECTS.values() if dialect.path),
    caller=OpenAICaller,
    agent=OpenAIAgent,
    formats=FORMATS,
    log=_LOG_RULES,
    signs=Signs(
        hosts=(
            Host("openai.com", "OpenAI", ("/realtime",)),
            Host("azure.com", "Azure OpenAI", ("/realtime",)),
            Host("x.ai", "xAI", ("/realtime",)),
        ),
        path_words=("openai",),
        path_endings={"/voice-live/realtime": "Azure Voice Live", "/realtime": "OpenAI's API"},
        first_message=_first_message,
    ),
    headers=_headers,
    token_subprotocols=("openai-insecure-api-key.",),
    dialled_url=lambda url, options: connect_url(url, options.get("model", "")),
    realtime_functions=True,
    url_notice=_url_notice,
)
