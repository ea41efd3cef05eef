"""The AudioCodes Bot API over WebSocket (VoiceAI Connect, Live Hub), both ends.

The caller's end stands in for VoiceAI Connect (VAIC), the agent's end for the bot. Facts are from AudioCodes'
documentation of the WebSocket mode, from its SDK ac-bot-api 0.13.0 (src/websocket/types.ts and
bot-conversation.ts), and from the integrations of Deepgram and Rasa. Where they are silent:

* Audio for a stream that is not open is played, and found fault with: nothing the agent says is lost unheard.
* ``playStream.stop`` means drain. Only ``abortPrompts``, and speech heard while barge-in is on, mean flush.
* ``playStream.mark.set`` has no published fields; it is sent back whole, with its type replaced.
"""

from __future__ import annotations

from tui.protocols.audiocodes.agent import AudioCodesAgent
from tui.protocols.audiocodes.caller import AudioCodesCaller
from tui.protocols.audiocodes.wire import DEFAULT_FORMAT, DEFAULT_OFFER, FORMATS
from tui.protocols.base import Protocol

__all__ = ["AUDIOCODES", "DEFAULT_FORMAT", "DEFAULT_OFFER", "FORMATS", "AudioCodesAgent", "AudioCodesCaller"]


AUDIOCODES = Protocol(
    name="audiocodes",
    title="AudioCodes Bot API",
    path="/audiocodes",
    caller=AudioCodesCaller,
    agent=AudioCodesAgent,
    formats=FORMATS,
    audio_members=("audioChunk",),
)
