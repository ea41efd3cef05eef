"""What the caller's end remembers of the agent's responses, and of the replies (items that sound) in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from tui.audio.formats import AudioFormat
from tui.protocols.base import TelephonyEventType as Type
from tui.protocols.json_frames import Message, cut, strip_wav_header
from tui.protocols.openai_realtime.wire import ident

_Kept = TypeVar("_Kept")

_MAX_REMEMBERED = 100
"""Of each kind; the oldest is forgotten."""
_MAX_CONTENT_INDEX = 1_000
_MAX_TEXT_CHARS = 20_000
"""Of partial words; the message that completes them has them all."""


@dataclass(slots=True, eq=False)
class Response:
    """One response of the agent; it may bring several replies."""

    response_id: str
    format: AudioFormat
    active: bool
    """The agent is still making it."""
    cut: bool = False
    """Nothing of it is to be heard any more."""


@dataclass(slots=True, eq=False)
class Reply:
    """One item with the agent's words; its id is the play stream's."""

    item_id: str
    response: Response
    content_index: int = 0
    started: bool = False
    """Whether playback was told of it."""
    done: bool = False
    """Whether all its audio has come."""
    heard: bool = False
    cut: bool = False
    truncated: bool = False
    """Whether the agent was told what of it was heard."""
    dropped: bool = False
    """Whether audio of it came too late to be played."""
    received_bytes: int = 0
    text: str = ""
    text_final: bool = True

    @property
    def is_playing(self) -> bool:
        """Whether the user may still be hearing it."""
        return self.started and not self.heard

    @property
    def received_ms(self) -> float:
        """How much of it was there to be heard."""
        return self.response.format.duration_ms(self.received_bytes)

    def add_text(self, delta: str) -> str:
        """More words; all of them so far."""
        self.text = (self.text + delta)[:_MAX_TEXT_CHARS]
        self.text_final = False
        return self.text


class Answers:
    """All of them; those that sound are heard one after another."""

    def __init__(self) -> None:
        self._responses: dict[str, Response] = {}
        self._replies: dict[str, Reply] = {}

    @property
    def active(self) -> list[Response]:
        """The responses the agent is making."""
        return [response for response in self._responses.values() if response.active]

    @property
    def playing(self) -> list[Reply]:
        """The replies the user may still be hearing, the newest last."""
        return [reply for reply in self._replies.values() if reply.is_playing]

    def begin(self, response_id: str, media: AudioFormat, *, active: bool = True) -> Response:
        """The agent has begun a response."""
        response = Response(response_id, media, active)
        self._responses.pop(response_id, None)
        _remember(self._responses, response_id, response)
        return response

    def response(self, response_id: str) -> Response | None:
        """The response of that id; without an id the newest active one."""
        if response_id:
            return self._responses.get(response_id)
        return next(reversed(self.active), None)

    def reply(self, item_id: str) -> Reply | None:
        """The reply of that id."""
        return self._replies.get(item_id)

    def replies_of(self, response: Response) -> list[Reply]:
        """What has come of a response."""
        return [reply for reply in self._replies.values() if reply.response is response]

    def reply_for(self, message: Message, media: AudioFormat) -> Reply:
        """The reply that a message with a piece of one belongs to; a response nobody began has ``media``."""
        response_id = ident(message, "response_id", required=True)
        item_id = ident(message, "item_id", required=True)
        known = self._replies.get(item_id)
        response = known.response if known else self.response(response_id)
        if response is None:
            text = f"{message.kind()} is for {cut(response_id, 60) or 'no response'}, which never began."
            message.find("delta-without-response", text)
            response = self.begin(response_id, media, active=False)
        reply = self._reply_in(response, item_id)
        reply.content_index = int(min(max(message.number("content_index") or 0, 0), _MAX_CONTENT_INDEX))
        return reply

    def play(self, message: Message, media: AudioFormat) -> str:
        """What to do with a piece of audio; the summary of it."""
        reply = self.reply_for(message, media)
        media = reply.response.format
        audio, had_header = strip_wav_header(message.audio("delta"))
        message.audio_ms = media.duration_ms(len(audio))
        summary = f"agent audio {message.audio_ms:.0f} ms"
        if had_header:
            message.find("wav-header-in-delta", "A WAV header stands in the audio; it was taken off.")
        if not audio:
            return summary
        if reply.cut or reply.response.cut:
            reply.dropped = True
            message.event(Type.PLAY_STREAM_DISCARDED, stream_id=reply.item_id, format=media, audio=audio)
            return f"{summary}, too late: cut off"
        self._start(message, reply)
        reply.received_bytes += len(audio)
        message.event(Type.PLAY_STREAM_CHUNK, stream_id=reply.item_id, format=media, audio=audio)
        return summary

    def stop(self, message: Message, reply: Reply, reason: str = "") -> None:
        """No more audio of a reply is due."""
        if reply.started and not reply.done:
            message.event(Type.PLAY_STREAM_STOP, stream_id=reply.item_id, reason=reason)
        reply.done = True

    def _start(self, message: Message, reply: Reply) -> None:
        if reply.done:
            message.find("audio-after-done", f"Audio came for {cut(reply.item_id, 60)}, which was complete.")
        if reply.started:
            return
        for other in self._replies.values():
            if other.started and not other.done:
                text = f"Audio of {cut(reply.item_id, 60)} came before {cut(other.item_id, 60)} was complete."
                message.find("overlapping-play-streams", text)
                self.stop(message, other, reason="overlapped")
        reply.started, reply.done = True, False
        message.event(Type.PLAY_STREAM_START, stream_id=reply.item_id, format=reply.response.format)

    def _reply_in(self, response: Response, item_id: str) -> Reply:
        name = item_id or response.response_id or "reply"
        reply = self._replies.get(name)
        if reply is None:
            reply = Reply(name, response)
            _remember(self._replies, name, reply)
        return reply


def _remember(known: dict[str, _Kept], name: str, value: _Kept) -> None:
    known[name] = value
    if len(known) > _MAX_REMEMBERED:
        del known[next(iter(known))]
