"""Implements both ends of Gemini Live (BidiGenerateContent).

The facts come from Google's SDK google-genai 3.6.1 (types.py, live.py, _live_converters.py) and its pages
"Start and manage live sessions" and "Limits for sessions". Decisions where these sources are silent or
disagree:

* The path contains v1beta on Google's page, v1 in the SDK and v1beta1 on Vertex AI; ephemeral tokens need
  v1alpha and a different method. The caller's end uses the URL as given; the agent's end serves all these
  paths.
* No message marks the start of a reply. A reply starts with its first audio and ends with the first
  ``generationComplete``, ``turnComplete`` or ``interrupted``.
* Words arrive in fragments, which are shown as they arrive. Words become final when the turn is complete; the
  user's words also become final when the agent speaks.
* User audio flows from setup to hang-up, as silence while the microphone is off.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from tui.protocols.base import Protocol, bearer
from tui.protocols.gemini_live.agent import GeminiAgent
from tui.protocols.gemini_live.caller import GeminiCaller
from tui.protocols.gemini_live.wire import FORMATS
from tui.protocols.log_rules import End, LogRules, Nearest, Pair, request, span
from tui.protocols.signs import Host, Signs, sent

__all__ = ["FORMATS", "GEMINI_LIVE", "GeminiAgent", "GeminiCaller"]

_METHOD = "BidiGenerateContent"
_DEVELOPER, _VERTEX = "/ws/google.ai.generativelanguage", "/ws/google.cloud.aiplatform"
_PATHS = (
    f"{_DEVELOPER}.v1.GenerativeService.{_METHOD}",
    f"{_DEVELOPER}.v1beta.GenerativeService.{_METHOD}",
    f"{_DEVELOPER}.v1alpha.GenerativeService.{_METHOD}",
    f"{_DEVELOPER}.v1alpha.GenerativeService.{_METHOD}Constrained",
    f"{_VERTEX}.v1.LlmBidiService/{_METHOD}",
    f"{_VERTEX}.v1beta1.LlmBidiService/{_METHOD}",
)


def _headers(token: str, url: str) -> Mapping[str, str]:
    if token.startswith("auth_tokens/"):
        return {"Authorization": f"Token {token}"}
    if (urlsplit(url).hostname or "").endswith("aiplatform.googleapis.com"):
        return bearer(token, url)
    return {"x-goog-api-key": token} if token else {}


def _first_message(message: Mapping[str, Any] | bytes) -> str:
    match message:
        case {"setupComplete": dict()}:
            return sent("setupComplete", "Gemini Live")
        case _:
            return ""


_LOG_RULES = LogRules(
    runs=(".audio", ".outputTranscription", ".interimInputTranscription", ".inputTranscription"),
    pairs=(
        request("setup", "setupComplete"),
        Pair(
            End("agent", ("toolCall",), "toolCall.functionCalls.0.id"),
            End("caller", ("toolResponse",), "toolResponse.functionResponses.0.id"),
        ),
        span("caller", "realtimeInput.activityStart", "realtimeInput.activityEnd"),
        Nearest(
            ("serverContent.modelTurn",),
            ("serverContent.generationComplete", "serverContent.interrupted", "serverContent.turnComplete"),
            later=True,
        ),
    ),
    audio_members=("serverContent.modelTurn.parts.0.inlineData.data", "realtimeInput.audio.data"),
)


GEMINI_LIVE = Protocol(
    name="gemini",
    title="Gemini Live",
    path="/gemini",
    other_paths=_PATHS,
    caller=GeminiCaller,
    agent=GeminiAgent,
    formats=FORMATS,
    log=_LOG_RULES,
    signs=Signs(
        hosts=(Host("googleapis.com", "Google", (_METHOD.lower(), f"{_METHOD.lower()}constrained")),),
        path_words=("gemini", _METHOD.lower(), f"{_METHOD.lower()}constrained"),
        first_message=_first_message,
    ),
    headers=_headers,
    checked_by_opening=True,
    continuous=True,
    calls_tools=True,
    offers_tools=True,
)
