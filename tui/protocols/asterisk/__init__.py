"""Implements both ends of Asterisk's ``chan_websocket``, through which Asterisk dials the user's server.

The facts come from the driver (asterisk/asterisk, channels/chan_websocket.c at 0607f2c), from Asterisk's
documentation ("WebSocket", with SET_MEDIA_DIRECTION, which the driver at that commit does not have), and from
galcymedia 0.1.1. Decisions where these sources are silent, or where timing matters:

* Control messages are JSON unless ``control=plain`` is set: Asterisk defaults to plain text, which is
  deprecated and which most servers cannot read.
* Asterisk takes a frame from its queue every 20 ms. The user's audio, which flows in real time, serves as the
  clock.
* A mark, or the end of a buffered reply, is acknowledged once this program has played the audio before it.
* No message marks the start or end of a reply. A reply ends when its audio runs out or FLUSH_MEDIA arrives.
* Marks that are reached during a pause (PAUSE_MEDIA) are acknowledged when the pause ends.
"""

from __future__ import annotations

from tui.protocols.asterisk.agent import AsteriskAgent
from tui.protocols.asterisk.caller import AsteriskCaller
from tui.protocols.asterisk.wire import COMMANDS, FORMATS
from tui.protocols.base import Protocol
from tui.protocols.implied_replies import ENDS_AFTER_MS
from tui.protocols.log_rules import End, LogRules, Pair, span
from tui.protocols.signs import Signs, first_message_of

__all__ = ["ASTERISK", "FORMATS", "AsteriskAgent", "AsteriskCaller"]

_ID = "correlation_id"


ASTERISK = Protocol(
    name="asterisk",
    title="Asterisk WebSocket",
    path="/asterisk",
    caller=AsteriskCaller,
    agent=AsteriskAgent,
    formats=FORMATS,
    log=LogRules(
        runs=("audio", "MARK_MEDIA", "MEDIA_MARK_PROCESSED"),
        pairs=(
            Pair(End("agent", ("MARK_MEDIA",), _ID), End("caller", ("MEDIA_MARK_PROCESSED",), _ID)),
            Pair(
                End("agent", ("STOP_MEDIA_BUFFERING",), _ID),
                End("caller", ("MEDIA_BUFFERING_COMPLETED",), _ID),
            ),
            Pair(End("agent", ("GET_STATUS",)), End("caller", ("STATUS",))),
            Pair(End("agent", ("REPORT_QUEUE_DRAINED",)), End("caller", ("QUEUE_DRAINED",))),
            span("agent", "START_MEDIA_BUFFERING", "STOP_MEDIA_BUFFERING"),
            span("caller", "MEDIA_XOFF", "MEDIA_XON"),
        ),
    ),
    signs=Signs(path_words=("asterisk",), first_message=first_message_of("Asterisk", COMMANDS, "command")),
    has_words=False,
    accepted_on_open=True,
    continuous=True,
    reply_ends_after_ms=ENDS_AFTER_MS,
)
