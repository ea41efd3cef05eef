"""Tracks the agent's responses, the replies in them, and the caller's requests for answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

from tui.audio.formats import AudioFormat
from tui.audio.wav import strip_wav_header
from tui.protocols.base import NewId
from tui.protocols.base import TelephonyEventType as Type
from tui.protocols.json_frames import Message, cut
from tui.protocols.openai_realtime import wire

_Kept = TypeVar("_Kept")

_ACTIVE_RESPONSE = "conversation_already_has_active_response"
_MAX_REMEMBERED = 100
"""Maximum number of remembered responses and replies; older entries are forgotten."""
_MAX_CONTENT_INDEX = 1_000
_MAX_PARTS = 16
_MAX_TEXT_CHARS = 20_000
"""Maximum length of the partial text kept for a content part; the final message has all of it."""


@dataclass(slots=True, eq=False)
class Response:
    """A response of the agent, which may contain several replies."""

    response_id: str
    format: AudioFormat
    active: bool
    """Whether the agent is still producing the response."""
    cut: bool = False
    """Whether the remaining audio of the response must not be played."""
    in_conversation: bool = True
    """False for an out-of-band response, which may speak at the same time as a response in the conversation."""


@dataclass(slots=True, eq=False)
class ReplyItem:
    """An item with speech or text of the agent. The id of the item is also the id of the play stream."""

    item_id: str
    response: Response
    content_index: int = 0
    """Index of the content part with the audio; the other parts are text."""
    started: bool = False
    """Whether playback was started."""
    done: bool = False
    """Whether all audio of the reply has arrived."""
    closed_here: bool = False
    """Whether the reply counts as done only because another reply began.

    Later audio for it is then not a violation.
    """
    heard: bool = False
    cut: bool = False
    truncated: bool = False
    """Whether the agent was informed of how much was heard."""
    dropped: bool = False
    """Whether any audio of the reply arrived too late to be played."""
    received_bytes: int = 0
    texts: dict[int, str] = field(default_factory=dict)
    """The partial text so far of each content part whose final text has not arrived, by index."""
    written: set[int] = field(default_factory=set)
    """The content parts that are text."""

    @property
    def is_playing(self) -> bool:
        """Whether the user may still hear the reply."""
        return self.started and not self.heard

    @property
    def received_ms(self) -> float:
        """Duration of the received audio."""
        return self.response.format.duration_ms(self.received_bytes)

    def add_text(self, part: int, delta: str) -> str:
        """Adds to the text of a content part; returns the text so far."""
        if part in self.texts or len(self.texts) < _MAX_PARTS:
            self.texts[part] = (self.texts.get(part, "") + delta)[:_MAX_TEXT_CHARS]
        return self.texts.get(part, delta)


class Responses:
    """The responses in one call, and the caller's requests for answers.

    The agent refuses a request for an answer while a response is active in the conversation. Therefore only
    one request is sent at a time. A request is in flight until the agent begins a response or refuses the
    request. Later requests wait until the response has ended, and so does a request that was refused because
    of an active response.
    """

    def __init__(self) -> None:
        self._responses: dict[str, Response] = {}
        self._replies: dict[str, ReplyItem] = {}
        self._owed = False
        self._request_id = ""
        """The event id of the last request for an answer."""
        self._in_flight = False
        """Whether the agent has neither begun a response to that request nor refused it."""
        self._items_since = False
        """Whether an item was sent after the last request, so that the answer may not take the item into account."""

    def item_sent(self) -> None:
        """Records that an item was added to the conversation and needs an answer."""
        self._items_since = True

    def owe(self) -> None:
        """Records that an answer must be requested, unless the request in flight already covers all items."""
        if not self._in_flight or self._items_since:
            self._owed = True

    def take_request(self, new_id: NewId) -> str:
        """Returns the event id for the request to send now; "" if no request is needed or it has to wait."""
        if not self._owed or self._in_flight or self.active:
            return ""
        self._owed, self._in_flight, self._items_since = False, True, False
        self._request_id = new_id()
        return self._request_id

    def refused(self, event_id: str, code: str) -> bool:
        """Handles an error; returns whether the agent refused the request only because a response was active.

        Not every server states which message an error answers.
        """
        if not self._request_id or event_id not in ("", self._request_id):
            return False
        self._in_flight = False
        if code != _ACTIVE_RESPONSE:
            return False
        self._owed = True
        return True

    @property
    def active(self) -> list[Response]:
        """The responses that the agent is producing."""
        return [response for response in self._responses.values() if response.active]

    @property
    def playing(self) -> list[ReplyItem]:
        """The replies that the user may still hear, newest last."""
        return [reply for reply in self._replies.values() if reply.is_playing]

    def begin(
        self, response_id: str, media: AudioFormat, *, active: bool = True, in_conversation: bool = True
    ) -> Response:
        """Adds a response that the agent has begun."""
        if active:
            self._in_flight = False
        response = Response(response_id, media, active, in_conversation=in_conversation)
        self._responses.pop(response_id, None)
        _remember(self._responses, response_id, response)
        return response

    def end(self, response: Response | None) -> bool:
        """Records the end of a response; returns whether the response was active. None is an unknown response."""
        self._in_flight = False  # the server may have omitted the start of the response
        was_active = response is not None and response.active
        if response is not None:
            response.active = False
        return was_active

    def response(self, response_id: str) -> Response | None:
        """Returns the response with this id; for an empty id, the newest active response."""
        if response_id:
            return self._responses.get(response_id)
        return next(reversed(self.active), None)

    def reply(self, item_id: str) -> ReplyItem | None:
        """Returns the reply with this id; None if it is unknown."""
        return self._replies.get(item_id)

    def replies_of(self, response: Response) -> list[ReplyItem]:
        """Returns the replies of a response."""
        return [reply for reply in self._replies.values() if reply.response is response]

    def reply_for(self, message: Message, media: AudioFormat) -> ReplyItem:
        """Returns the reply to which a message belongs.

        ``media`` is the format to assume if the response was not announced.
        """
        response_id = wire.ident(message, "response_id", required=True)
        item_id = wire.ident(message, "item_id", required=True)
        known = self._replies.get(item_id)
        response = known.response if known else self.response(response_id)
        if response is None:
            named = cut(response_id, 60)
            text = f"“{message.kind()}” " + (
                f"is for {named}, which never began." if named else "names no response."
            )
            message.find("delta-without-response", text)
            response = self.begin(response_id, media, active=False)
        return self._reply_in(response, item_id)

    def play(self, message: Message, media: AudioFormat) -> str:
        """Plays the audio in a message, or discards it if the reply was cut off; returns the log summary."""
        reply = self.reply_for(message, media)
        media = reply.response.format
        audio, had_header = strip_wav_header(message.audio("delta"))
        message.audio_ms = media.duration_ms(len(audio))
        summary = f"agent audio {message.audio_ms:.0f} ms"
        if had_header:
            message.find("wav-header-in-delta", "The audio starts with a WAV header, which was removed.")
        if not audio:
            return summary
        if reply.cut or reply.response.cut:
            reply.dropped = True
            message.event(Type.PLAY_STREAM_DISCARDED, stream_id=reply.item_id, format=media, audio=audio)
            return f"{summary}, too late: cut off"
        self._start(message, reply)
        reply.content_index = part_of(message)
        reply.received_bytes += len(audio)
        message.event(Type.PLAY_STREAM_CHUNK, stream_id=reply.item_id, format=media, audio=audio)
        return summary

    def stop(self, message: Message, reply: ReplyItem, reason: str = "") -> None:
        """Records that no more audio of a reply follows."""
        if reply.started and not reply.done:
            message.event(Type.PLAY_STREAM_STOP, stream_id=reply.item_id, reason=reason)
        reply.done = True

    def _start(self, message: Message, reply: ReplyItem) -> None:
        if reply.done and not reply.closed_here:
            message.find(
                "audio-after-done", f"Audio arrived for {cut(reply.item_id, 60)} after it was complete."
            )
        if reply.started:
            return
        for other in self._replies.values():
            if other.started and not other.done:
                if reply.response.in_conversation and other.response.in_conversation:
                    text = f"Audio for {cut(reply.item_id, 60)} arrived before {cut(other.item_id, 60)} was complete."
                    message.find("overlapping-play-streams", text)
                self.stop(message, other, reason="overlapped")
                other.closed_here = True
        reply.started, reply.done = True, False
        message.event(Type.PLAY_STREAM_START, stream_id=reply.item_id, format=reply.response.format)

    def _reply_in(self, response: Response, item_id: str) -> ReplyItem:
        name = item_id or response.response_id or "reply"
        reply = self._replies.get(name)
        if reply is None:
            reply = ReplyItem(name, response)
            _remember(self._replies, name, reply)
        return reply


def part_of(message: Message) -> int:
    """Returns the index of the content part to which a message refers."""
    return int(min(max(message.number("content_index") or 0, 0), _MAX_CONTENT_INDEX))


def _remember(known: dict[str, _Kept], name: str, value: _Kept) -> None:
    known[name] = value
    if len(known) > _MAX_REMEMBERED:
        del known[next(iter(known))]
