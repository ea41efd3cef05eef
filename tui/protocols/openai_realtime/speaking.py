"""Produces the responses of the agent's end, one at a time, with their events in the documented order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from typing import Protocol as Shape

import msgspec
from msgspec.structs import replace

from tui.audio.formats import AudioFormat
from tui.protocols.base import NewId, Outgoing
from tui.protocols.openai_realtime.configuration import Configuration
from tui.protocols.openai_realtime.items import Body, Item, Items

_ARGUMENTS_CHARS = 20
"""Number of characters of a function call's arguments in one delta; small, so that callers have to join
several deltas.
"""
_REQUESTS, _TOKENS = 1_000, 40_000
_USER_MS_PER_TOKEN, _AGENT_MS_PER_TOKEN, _CHARS_PER_TOKEN = 100, 50, 4


class MakeEvent(Shape):
    """A function that creates events from the agent."""

    def __call__(self, kind: str, summary: str, /, **members: Any) -> list[Outgoing]:
        """Returns the event with a new id; no event if the dialect does not have it."""


@dataclass(slots=True)
class _Response:
    response_id: str
    asked: Mapping[str, Any]
    """The caller's settings for this response."""
    format: AudioFormat | None
    """The audio format, fixed for the whole response; None if it is text-only."""
    stream_id: str | None = None
    item: Item | None = None
    text: str = ""
    output: list[Body] = field(default_factory=list)

    @property
    def is_apart(self) -> bool:
        """Whether the response is separate from the conversation, so that its items are not added to it."""
        return self.asked.get("conversation") == "none"

    @property
    def is_text(self) -> bool:
        return self.format is None

    @property
    def place(self) -> Body:
        """The ids to include in the response's events."""
        item_id = self.item.item_id if self.item else ""
        return {"response_id": self.response_id, "item_id": item_id, "output_index": 0}

    @property
    def part_place(self) -> Body:
        """The ids that events of the response's only content part contain."""
        return {**self.place, "content_index": 0}

    @property
    def words(self) -> str:
        """Prefix of the names of events that contain the response's text."""
        return "response.output_text" if self.is_text else "response.output_audio_transcript"

    def part(self, text: str) -> Body:
        """Returns the response's only content part."""
        return {"type": "text", "text": text} if self.is_text else {"type": "audio", "transcript": text}


class Speaking:
    """Produces the events of the current response."""

    def __init__(self, event: MakeEvent, new_id: NewId, items: Items, configuration: Configuration) -> None:
        self.has_spoken = False
        self.heard_ms = 0.0
        """Duration of the user audio that the model received, in milliseconds."""
        self.conversation_id = f"conv_{new_id()}"
        self._event = event
        self._new_id = new_id
        self._items = items
        self._configuration = configuration
        self._response: _Response | None = None
        self._made = 0
        self._words_chars = 0

    @property
    def response_id(self) -> str | None:
        """Id of the current response; None between responses."""
        return self._response.response_id if self._response else None

    @property
    def stream_id(self) -> str | None:
        """Stream id of the current response; None before it speaks."""
        return self._response.stream_id if self._response else None

    @property
    def format(self) -> AudioFormat | None:
        """The audio format of the current or next response; None if it is text-only."""
        return self._response.format if self._response else self._format_for({})

    def setting(self, name: str) -> Any:
        """Returns a setting of the current response or, if it is not set there, of the session."""
        asked = self._response.asked.get(name) if self._response else None
        return self._configuration.body[name] if asked is None else asked

    def begin(self, asked: Mapping[str, Any]) -> list[Outgoing]:
        """Begins a response. ``asked`` are the caller's settings for the response. The content follows later."""
        self._response = response = _Response(f"resp_{self._new_id()}", asked, self._format_for(asked))
        self._made += 1
        return self._event("response.created", "response begins", response=self._body(response))

    def start(self, stream_id: str, text: str) -> list[Outgoing]:
        """Begins to speak, in the response that the caller requested or in a new one."""
        frames = self.stop("turn_detected") if self.stream_id is not None else []
        frames += [] if self._response else self.begin({})
        response = self._response
        assert response is not None
        shown = {"type": "message", "role": "assistant", "content": []}
        frames += self._add_item(response, f"item_{self._new_id()}", shown)
        response.stream_id, response.text = stream_id, text
        part = response.part("")
        frames += self._event("response.content_part.added", "part begins", **response.part_place, part=part)
        if text:
            kind = f"{response.words}.delta"
            frames += self._event(kind, f"agent: {text}", **response.part_place, delta=text)
        return frames

    def audio(self, stream_id: str, audio: bytes) -> list[Outgoing]:
        """Returns messages with audio of the current reply; none for a text response or another stream."""
        response = self._response
        if not audio or response is None or response.stream_id != stream_id or response.format is None:
            return []
        assert response.item is not None
        self.has_spoken = True
        response.item.format = media = response.format
        response.item.add_audio(audio)
        audio_ms = media.duration_ms(len(audio))
        summary = f"agent audio {audio_ms:.0f} ms"
        deltas = self._event("response.output_audio.delta", summary, **response.part_place, delta=audio)
        return [replace(delta, audio_ms=audio_ms) for delta in deltas]

    def stop(self, interrupted: str = "") -> list[Outgoing]:
        """Completes the response, or ends it early for the reason ``interrupted``."""
        response, self._response = self._response, None
        if response is None:
            return []
        frames = [] if response.item is None else self._stop_item(response, interrupted)
        return frames + self._end(response, interrupted)

    def call_tool(self, name: str, arguments: Mapping[str, Any]) -> list[Outgoing]:
        """Calls a function, in the response that the caller requested or in a new one."""
        frames = self.stop("turn_detected") if self.stream_id is not None else []
        frames += [] if self._response else self.begin({})
        response, self._response = self._response, None
        assert response is not None
        text, call_id = msgspec.json.encode(arguments).decode(), f"call_{self._new_id()}"
        shown = {"type": "function_call", "name": name, "call_id": call_id, "arguments": ""}
        frames += self._add_item(response, f"item_{self._new_id()}", shown)
        place, kind = {**response.place, "call_id": call_id}, "response.function_call_arguments"
        for at in range(0, len(text), _ARGUMENTS_CHARS):
            piece = text[at : at + _ARGUMENTS_CHARS]
            frames += self._event(f"{kind}.delta", f"arguments {piece}", **place, delta=piece)
        summary = f"call {name}({text})"
        frames += self._event(f"{kind}.done", summary, **place, name=name, arguments=text)
        frames += self._item_done(response, summary, status="completed", arguments=text)
        response.text = text
        return frames + self._end(response, "")

    # The parts of a response.

    def _add_item(self, response: _Response, item_id: str, members: Body) -> list[Outgoing]:
        shown = {"id": item_id, "object": "realtime.item", "status": "in_progress", **members}
        response.item = Item(shown)
        index = {"response_id": response.response_id, "output_index": 0}
        begins = self._event("response.output_item.added", f"{members['type']} begins", **index, item=shown)
        if response.is_apart:
            return begins
        place = {"previous_item_id": self._items.add(response.item), "item": shown}
        return begins + self._event("conversation.item.added", f"{members['type']} added", **place)

    def _stop_item(self, response: _Response, interrupted: str) -> list[Outgoing]:
        text, place = response.text, response.part_place
        words, is_text = f"{response.words}.done", response.is_text
        said = {"text" if is_text else "transcript": text}
        frames = [] if is_text else self._event("response.output_audio.done", "audio complete", **place)
        frames += self._event(words, f"agent: {text}", **place, **said)
        part = response.part(text)
        frames += self._event("response.content_part.done", "part complete", **place, part=part)
        status = "incomplete" if interrupted else "completed"
        content = [{"type": f"output_{part['type']}", **said}]
        return frames + self._item_done(response, f"message {status}", status=status, content=content)

    def _item_done(self, response: _Response, summary: str, **members: Any) -> list[Outgoing]:
        item = response.item
        assert item is not None
        item.body = {**item.body, **members}
        response.output.append(item.body)
        place = {"response_id": response.response_id, "output_index": 0}
        done = self._event("response.output_item.done", summary, **place, item=item.body)
        if response.is_apart or item.body["status"] == "incomplete":
            return done
        previous = self._items.before(item)
        kind = "conversation.item.done"
        return self._event(kind, summary, previous_item_id=previous, item=item.body) + done

    def _end(self, response: _Response, interrupted: str) -> list[Outgoing]:
        status = "cancelled" if interrupted else "completed"
        usage = self._usage(response)
        details = {"type": status, **({"reason": interrupted} if interrupted else {})}
        body = {**self._body(response), "status": status, "status_details": details, "usage": usage}
        limits = [
            _limit("requests", _REQUESTS, self._made % _REQUESTS, 0.06),
            _limit("tokens", _TOKENS, usage["total_tokens"] % _TOKENS, 1.2),
        ]
        summary = " ".join(filter(None, ("response", status, interrupted)))
        return [
            *self._event("response.done", summary, response=body),
            *self._event("rate_limits.updated", "rate limits", rate_limits=limits),
        ]

    def _body(self, response: _Response) -> Body:
        session, asked = self._configuration.body, response.asked
        metadata = asked.get("metadata")
        output = session["audio"]["output"]
        return {
            "id": response.response_id,
            "object": "realtime.response",
            "status": "in_progress",
            "status_details": None,
            "output": response.output,
            "conversation_id": None if response.is_apart else self.conversation_id,
            "output_modalities": ["text" if response.is_text else "audio"],
            "max_output_tokens": session["max_output_tokens"],
            "audio": {"output": {"format": output["format"], "voice": output["voice"]}},
            "metadata": metadata if isinstance(metadata, dict) else None,
            "usage": None,
        }

    def _format_for(self, asked: Mapping[str, Any]) -> AudioFormat | None:
        modalities = asked.get("output_modalities")
        if not isinstance(modalities, list):
            modalities = self._configuration.body["output_modalities"]
        return None if modalities == ["text"] else self._configuration.output_format

    def _usage(self, response: _Response) -> Body:
        """Returns invented token counts, in proportion to the duration of the audio."""
        item = response.item
        said_ms = item.format.duration_ms(item.audio_bytes) if item and item.format else 0.0
        context_chars = len(self._configuration.body["instructions"]) + self._words_chars
        self._words_chars += len(response.text)
        text_in, audio_in = context_chars // _CHARS_PER_TOKEN, int(self.heard_ms / _USER_MS_PER_TOKEN)
        text_out, audio_out = len(response.text) // _CHARS_PER_TOKEN, int(said_ms / _AGENT_MS_PER_TOKEN)
        cached = {"text_tokens": 0, "audio_tokens": 0, "image_tokens": 0}
        return {
            "total_tokens": text_in + audio_in + text_out + audio_out,
            "input_tokens": text_in + audio_in,
            "output_tokens": text_out + audio_out,
            "input_token_details": {
                "text_tokens": text_in,
                "audio_tokens": audio_in,
                "image_tokens": 0,
                "cached_tokens": 0,
                "cached_tokens_details": cached,
            },
            "output_token_details": {"text_tokens": text_out, "audio_tokens": audio_out},
        }


def _limit(name: str, limit: int, used: int, reset_seconds: float) -> Body:
    return {"name": name, "limit": limit, "remaining": limit - used, "reset_seconds": reset_seconds}
