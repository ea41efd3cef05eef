"""Implements both ends of plain PCM over a websocket, which many home-made voice servers use. There is no standard.

A binary frame is 16-bit little-endian mono PCM, of any length, in either direction, at a rate that both sides
know. Text frames are control messages, mostly JSON whose ``type`` (or ``event``, ``action``, ``op``) names
the kind. This program understands common messages and shows all others as events. Decisions where practice
differs:

* No message accepts a call. User audio flows from the beginning, silence included, because servers use
  silence to find the end of a turn. The option ``end`` is for servers that expect a message instead.
* A reply ends at ``end``, ``stop``, ``eos`` or an empty frame. If none of these arrives, the reply ends when
  its audio runs out (`tui.protocols.implied_replies`). ``interrupt``, ``clear`` and ``cancel`` flush a reply.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tui.protocols.base import Protocol
from tui.protocols.implied_replies import ENDS_AFTER_MS
from tui.protocols.log_rules import LogRules, span
from tui.protocols.pcm.agent import PcmAgent
from tui.protocols.pcm.caller import PcmCaller
from tui.protocols.pcm.wire import DEFAULT_RATE, FORMATS
from tui.protocols.signs import Signs

__all__ = ["DEFAULT_RATE", "FORMATS", "PCM", "PcmAgent", "PcmCaller"]


def _first_message(message: Mapping[str, Any] | bytes) -> str:
    match message:
        case bytes():
            return "the agent's first message is binary"
        case {"type": "ready", "sample_rate": int()} | {"type": "ready", "output_sample_rate": int()}:
            return "the agent sent ready with a sample rate, as plain PCM servers do"
        case _:
            return ""


PCM = Protocol(
    name="pcm",
    title="Plain PCM",
    path="/pcm",
    caller=PcmCaller,
    agent=PcmAgent,
    formats=FORMATS,
    log=LogRules(
        # There is no standard, but for frequent messages, servers often use the names from other protocols.
        runs=("chunk", "delta", "append", "media", "hypothesis", "audio"),
        pairs=(span("caller", "start", "end"),),
        audio_members=("audio", "data"),
    ),
    signs=Signs(path_words=("pcm",), first_message=_first_message),
    accepted_on_open=True,
    continuous=True,
    reply_ends_after_ms=ENDS_AFTER_MS,
)
