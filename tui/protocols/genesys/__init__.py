"""Implements both ends of Genesys Audio Connector (AudioHook protocol 2): Genesys Cloud and the voice bot.

The facts come from purecloudlabs/audiohook-reference-implementation (the client, its types and its signature
builder), GenesysCloudBlueprints/audioconnector-server-reference-implementation, and pipecat 1.14
(serializers/genesys.py). Decisions where these sources are silent or disagree:

* A signature covers the components in the order in which Genesys Cloud sends them, and is valid for ten
  seconds.
* Audio messages are limited to five per second on average and 25 at once, according to secondhand reports
  about Genesys' limits page. Messages beyond these limits are reported as a finding and answered with error
  429. Their audio is still played, so that the rest of the call can be tested.
* ``playback_started`` is sent with the first audio of a reply, and ``playback_completed`` when the playback
  queue is empty.
* The user audio that was sent, which flows in real time, is the clock for pings, positions and rates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tui.protocols.base import Protocol
from tui.protocols.genesys.agent import GenesysAgent
from tui.protocols.genesys.caller import GenesysCaller, split_token
from tui.protocols.genesys.wire import FORMATS
from tui.protocols.implied_replies import ENDS_AFTER_MS
from tui.protocols.log_rules import End, LogRules, Pair, request, span
from tui.protocols.signs import Signs, sent

__all__ = ["FORMATS", "GENESYS", "GenesysAgent", "GenesysCaller"]


def _headers(token: str, url: str) -> Mapping[str, str]:
    return {"X-API-KEY": split_token(token)[0]} if token else {}


def _first_message(message: Mapping[str, Any] | bytes) -> str:
    match message:
        case {"version": "2", "clientseq": int(), "type": str() as kind}:
            return sent(kind, "AudioHook")
        case _:
            return ""


GENESYS = Protocol(
    name="genesys",
    title="Genesys Audio Connector",
    path="/genesys",
    caller=GenesysCaller,
    agent=GenesysAgent,
    formats=FORMATS,
    log=LogRules(
        runs=("audio", "ping", "pong"),
        pairs=(
            request("open", "opened"),
            Pair(End("caller", ("ping",), "seq"), End("agent", ("pong",), "clientseq")),
            request("close", "closed"),
            span("caller", "playback_started", "playback_completed"),
            Pair(End("agent", ("pause",)), End("caller", ("paused",))),
            Pair(End("agent", ("resume",)), End("caller", ("resumed",))),
        ),
    ),
    signs=Signs(path_words=("genesys", "audiohook", "audioconnector"), first_message=_first_message),
    headers=_headers,
    checked_by_opening=True,
    continuous=True,
    reply_ends_after_ms=ENDS_AFTER_MS,
)
