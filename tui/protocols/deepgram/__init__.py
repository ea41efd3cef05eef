"""Implements both ends of the Deepgram Voice Agent (v1).

The facts come from deepgram-sdk 7.17.0 (agent/v1) and Deepgram's pages "Agent Keep Alive" and "Errors &
Warnings". Decisions where these sources are silent:

* A reply starts with its first audio, and ends with AgentAudioDone. If a reply is cut off, that message may
  be missing; UserStartedSpeaking or the next AgentStartedSpeaking then ends the reply.
* UserStartedSpeaking flushes unplayed audio. No message informs the agent how much was heard.
* Audio is sent without pauses, because KeepAlive alone did not keep a session open while the microphone was
  off.
* The Settings message always states both formats, because the pages disagree about the defaults.
"""

from __future__ import annotations

from collections.abc import Mapping

from tui.protocols.base import Protocol, bearer
from tui.protocols.deepgram.agent import DeepgramAgent
from tui.protocols.deepgram.caller import DeepgramCaller
from tui.protocols.deepgram.wire import FORMATS
from tui.protocols.log_rules import End, LogRules, Nearest, Pair, request
from tui.protocols.signs import Host, Signs, first_message_of

__all__ = ["DEEPGRAM", "FORMATS", "DeepgramAgent", "DeepgramCaller"]

_PATH = "/v1/agent/converse"
_JSON_WEB_TOKEN = "eyJ"
"""The beginning of every temporary token: ``{"`` in base64."""


def _headers(token: str, url: str) -> Mapping[str, str]:
    if token.startswith(_JSON_WEB_TOKEN):
        return bearer(token, url)
    return {"Authorization": f"Token {token}"} if token else {}


_LOG_RULES = LogRules(
    runs=("audio",),
    pairs=(
        request("Settings", "SettingsApplied"),
        request("UpdatePrompt", "PromptUpdated"),
        request("UpdateSpeak", "SpeakUpdated"),
        request("UpdateThink", "ThinkUpdated"),
        request("UpdateListen", "ListenUpdated"),
        Pair(
            End("agent", ("FunctionCallRequest",), "functions.0.id"), End("caller", ("FunctionCallResponse",), "id")
        ),
        Nearest(("AgentStartedSpeaking",), ("AgentAudioDone",), later=True),
    ),
)  # fmt: skip


DEEPGRAM = Protocol(
    name="deepgram",
    title="Deepgram Voice Agent",
    path=_PATH,
    caller=DeepgramCaller,
    agent=DeepgramAgent,
    formats=FORMATS,
    log=_LOG_RULES,
    signs=Signs(
        hosts=(Host("deepgram.com", "Deepgram", (_PATH,)),),
        path_words=("deepgram",),
        path_endings={"/agent/converse": "Deepgram's API"},
        first_message=first_message_of("Deepgram", ("Welcome",), request_id=str),
    ),
    headers=_headers,
    checked_by_opening=True,
    continuous=True,
    calls_tools=True,
    offers_tools=True,
)
