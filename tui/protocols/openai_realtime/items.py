"""Stores the conversation of the agent's end: the items in order, with the audio of the latest items."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from tui.audio.formats import AudioFormat
from tui.protocols.json_frames import Members, cut
from tui.protocols.refused import Refused, invalid_type, invalid_value, missing

_MAX_ITEMS = 1_000
_MAX_AUDIO_BYTES = 32 * 1024 * 1024
_ROLES = {"user", "system", "assistant"}
_MEMBERS = {
    "message": ("role", "content"),
    "function_call": ("name", "call_id", "arguments"),
    "function_call_output": ("call_id", "output"),
}
_INPUT_PARTS = ("input_text", "input_audio", "input_image")
_OUTPUT_PARTS = ("output_text", "output_audio")

Body = dict[str, Any]


@dataclass(slots=True, eq=False)
class Item:
    """A conversation item. ``body`` is the item as it appears in events, without audio."""

    body: Body
    format: AudioFormat | None = None
    audio: bytearray = field(default_factory=bytearray)
    audio_bytes: int = 0
    """Size of the item's audio, even after the audio was discarded."""

    @property
    def item_id(self) -> str:
        """Id of the item."""
        return str(self.body["id"])

    def add_audio(self, audio: bytes) -> None:
        """Appends audio to the item."""
        self.audio += audio
        self.audio_bytes += len(audio)

    def with_audio(self) -> Body:
        """Returns the item with its audio, as ``conversation.item.retrieved`` contains it."""
        if not self.audio:
            return self.body
        first, *others = self.body.get("content") or [{"type": "output_audio"}]
        return {**self.body, "content": [{**first, "audio": bytes(self.audio)}, *others]}

    def truncate(self, end_ms: float) -> None:
        """Removes the audio after ``end_ms``, and the transcript. Raises `Refused`."""
        if self.body.get("role") != "assistant" or self.format is None:
            text = "Only audio of assistant messages can be truncated."
            raise Refused("invalid_value", text, "item_id")
        length_ms = self.format.duration_ms(self.audio_bytes)
        if not 0 <= end_ms <= length_ms:
            text = f"Audio content of {math.floor(length_ms)}ms is already shorter than {end_ms:.0f}ms."
            raise Refused("invalid_value", text, "audio_end_ms")
        kept_bytes = int(end_ms * self.format.bytes_per_second / 1000)
        kept_bytes -= kept_bytes % self.format.encoding.sample_bytes
        del self.audio[kept_bytes:]
        self.audio_bytes = kept_bytes
        self.body = {**self.body, "content": [{"type": "output_audio", "transcript": ""}]}


class Items:
    """The items of one conversation. If there are more than 1,000, the oldest is removed."""

    def __init__(self) -> None:
        self._items: list[Item] = []

    def find(self, item_id: str, what: str) -> Item:
        """Returns the item with this id. Raises `Refused`; ``what`` names the attempted action in the message."""
        item = self._named(item_id)
        if item is None:
            text = f"Error: cannot {what} the item with id '{cut(item_id, 60)}': it does not exist."
            raise Refused(f"item_{what}_invalid_item_id", text, "item_id")
        return item

    def add(self, item: Item) -> str | None:
        """Appends an item; returns the id of the item that was last before."""
        self._items.append(item)
        self._forget()
        return self.before(item)

    def insert(self, item: Item, after: str) -> str | None:
        """Inserts an item after the item named ``after`` (``root``: at the start; empty: at the end).

        Returns the id of the item before the inserted item. Raises `Refused`.
        """
        if self._named(item.item_id):
            text = f"Error adding item: an item with id '{cut(item.item_id, 60)}' already exists."
            raise Refused("item_create_duplicate_item_id", text, "item.id")
        at = len(self._items) if not after else 0
        if after not in ("", "root"):
            at = self._items.index(self.find(after, "follow")) + 1
        self._items.insert(at, item)
        self._forget()
        return self.before(item)

    def before(self, item: Item) -> str | None:
        """Returns the id of the item before ``item``."""
        at = self._items.index(item) if item in self._items else 0
        return self._items[at - 1].item_id if at else None

    @property
    def last_id(self) -> str | None:
        """Id of the last item."""
        return self._items[-1].item_id if self._items else None

    def delete(self, item_id: str) -> None:
        """Removes the item with this id. Raises `Refused`."""
        self._items.remove(self.find(item_id, "delete"))

    def _named(self, item_id: str) -> Item | None:
        return next((item for item in reversed(self._items) if item.item_id == item_id), None)

    def _forget(self) -> None:
        del self._items[:-_MAX_ITEMS]
        kept_bytes = 0
        for item in reversed(self._items):
            kept_bytes += len(item.audio)
            if kept_bytes > _MAX_AUDIO_BYTES:
                item.audio.clear()


def item_from(members: Members, item_id: str) -> Item:
    """Creates an item from the caller's message. Raises `Refused`."""
    kind = members.text("type")
    if kind not in _MEMBERS:
        raise invalid_value("item.type", f"one of {', '.join(_MEMBERS)}")
    shown = {"id": item_id, "object": "realtime.item", "type": kind, "status": "completed"}
    if kind == "message":
        _check_message(members)
        return Item({**shown, **{name: members.body[name] for name in _MEMBERS[kind]}})
    if not members.text("call_id"):
        raise missing("item.call_id")
    return Item({**shown, **{name: members.text(name) for name in _MEMBERS[kind]}})


def _check_message(members: Members) -> None:
    if members.text("role") not in _ROLES:
        raise invalid_value("item.role", "user, system or assistant")
    content = members.body.get("content")
    if not (isinstance(content, list) and all(isinstance(part, dict) for part in content)):
        raise invalid_type("item.content", "an array of objects")
    due = _OUTPUT_PARTS if members.body["role"] == "assistant" else _INPUT_PARTS
    for index, part in enumerate(content):
        if part.get("type") not in due:
            raise invalid_value(f"item.content[{index}].type", f"one of {', '.join(due)}")


def texts_of(item: Item) -> str:
    """Returns the text in a message item."""
    parts = (part.get("text") or part.get("transcript") for part in item.body.get("content", []))
    return " ".join(part for part in parts if isinstance(part, str))
