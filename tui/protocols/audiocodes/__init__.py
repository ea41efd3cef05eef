"""Implements both ends of the AudioCodes Bot API over WebSocket (VoiceAI Connect, Live Hub).

The caller's end acts as VoiceAI Connect (VAIC), the agent's end as the bot. The facts come from AudioCodes'
documentation of the WebSocket mode, from its SDK ac-bot-api 0.13.0 (src/websocket/types.ts and
bot-conversation.ts), and from Deepgram's and Rasa's integrations. Decisions where these sources are silent:

* Audio for a stream that is not open is played and reported, so that no agent audio is lost.
* ``playStream.stop`` means drain. Playback is flushed only by ``abortPrompts``, and by speech while barge-in
  is on.
* The fields of ``playStream.mark.set`` are not published, so all of them are sent back, with the type
  replaced.
"""

from __future__ import annotations

from tui.protocols.audiocodes.agent import AudioCodesAgent
from tui.protocols.audiocodes.caller import AudioCodesCaller
from tui.protocols.audiocodes.wire import DEFAULT_FORMAT, DEFAULT_OFFER, FORMATS
from tui.protocols.base import Protocol
from tui.protocols.log_rules import End, LogRules, Nearest, Pair, request, span
from tui.protocols.signs import Signs, first_message_of

__all__ = ["AUDIOCODES", "DEFAULT_FORMAT", "DEFAULT_OFFER", "FORMATS", "AudioCodesAgent", "AudioCodesCaller"]

_LOG_RULES = LogRules(
    runs=("chunk", "hypothesis", ".mark.set", ".mark.reached"),
    pairs=(
        Pair(
            End("caller", ("session.initiate", "session.resume")),
            End("agent", ("session.accepted", "session.error")),
        ),
        request("connection.validate", "connection.validated"),
        span("agent", "playStream.start", "playStream.stop", "streamId"),
        span("caller", "userStream.start", "userStream.stop"),
        span("agent", "userStream.started", "userStream.stopped"),
        span("agent", "userStream.speech.started", "userStream.speech.stopped"),
        Nearest(("playStream.chunk",), ("playStream.start",)),
        Nearest(("userStream.chunk",), ("userStream.start",)),
    ),
    audio_members=("audioChunk",),
)


AUDIOCODES = Protocol(
    name="audiocodes",
    title="AudioCodes Bot API",
    path="/audiocodes",
    caller=AudioCodesCaller,
    agent=AudioCodesAgent,
    formats=FORMATS,
    log=_LOG_RULES,
    signs=Signs(
        path_words=("audiocodes", "vaic"),
        path_endings={"/ws/telephony": "opusagent's AudioCodes endpoint"},
        first_message=first_message_of(
            "AudioCodes", ("session.accepted", "playStream.start", "userStream.started")
        ),
    ),
)
