"""Implements both ends of OpenAI Live (GPT-Live): full-duplex sessions over one websocket.

The facts come from the types of the openai Python package 3.57.0 (types/live), Microsoft's "GPT-Live
reference" and OpenAI's guides "Live conversations" and "Voice websockets". Decisions where these sources are
silent or disagree:

* The agent's time passes only while the caller sends audio, so audio flows from ``session.started`` to
  ``session.close``, as silence while the microphone is off or muted. ``session.input_audio.mute`` is not
  sent, because no source says whether it stops the agent's time.
* The agent's audio is one continuous track, silence included, and no message starts, ends or interrupts a
  reply. A reply begins with sound and ends after half a second of silence, which the agent may send or omit.
* According to the SDK, audio chunks have a time range only for observers; Azure's pages always show a range.
  A range is used if present, and a gap between two ranges counts as omitted silence.
* Words arrive in fragments, and nothing marks the last fragment. Each of the agent's words belongs to the
  reply that was being spoken at the time of the word. The user's words form one line until a second passes
  without new words.
* OpenAI's path is /v1/live/sessions, Azure's /openai/v1/live.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from tui.protocols.base import Protocol, bearer
from tui.protocols.implied_replies import ENDS_AFTER_MS
from tui.protocols.log_rules import End, LogRules, Pair, request
from tui.protocols.openai_live.agent import LiveAgent
from tui.protocols.openai_live.caller import LiveCaller
from tui.protocols.openai_live.wire import DEFAULT_FORMAT, FORMATS
from tui.protocols.signs import Host, Signs, first_message_of

__all__ = ["DEFAULT_FORMAT", "FORMATS", "OPENAI_LIVE", "LiveAgent", "LiveCaller"]

_APPENDED = ("instructions", "thinking", "commentary")
_ENDINGS = ("/live/sessions", "/v1/live")


def _url_notice(url: str) -> str:
    if "model=" in urlsplit(url).query:
        return "OpenAI Live takes the model from --option model=NAME, not from the URL."
    return ""


_LOG_RULES = LogRules(
    runs=("input_audio.append", "output_audio.delta", "_transcript.delta"),
    pairs=(
        request("session.start", "session.started"),
        request("session.update", "session.updated"),
        request("session.close", "session.closed"),
        request("session.input_audio.mute", "session.input_audio.muted"),
        request("session.input_audio.unmute", "session.input_audio.unmuted"),
        Pair(
            End("agent", ("session.delegation.created",), "delegation.id"),
            End("caller", ("session.commentary.append", "session.thinking.append"), "delegation_id"),
        ),
        Pair(
            End("agent", ("response.event",), "event.item.call_id"),
            End("caller", ("response.item.create",), "item.call_id"),
        ),
        *(request(f"session.{what}.append", f"session.{what}.appended") for what in _APPENDED),
    ),
    audio_members=("delta", "audio"),
)


OPENAI_LIVE = Protocol(
    name="openai-live",
    title="OpenAI Live",
    path="/v1/live/sessions",
    other_paths=("/v1/live", "/openai/v1/live", "/openai/v1/live/sessions"),
    caller=LiveCaller,
    agent=LiveAgent,
    formats=FORMATS,
    log=_LOG_RULES,
    signs=Signs(
        hosts=(Host("openai.com", "OpenAI", _ENDINGS), Host("azure.com", "Azure OpenAI", _ENDINGS)),
        path_endings=dict.fromkeys(_ENDINGS, "OpenAI's API"),
        first_message=first_message_of("OpenAI Live", ("session.started",), session=dict),
    ),
    headers=bearer,
    url_notice=_url_notice,
    checked_by_opening=True,
    continuous=True,
    reply_ends_after_ms=ENDS_AFTER_MS,
    calls_tools=True,
    offers_tools=True,
)
