"""MessageHandler: from a frame to what it means, with everything that goes wrong on the way counted.

Each kind of news has its handlers, kept in a `CallbackManager`: every message (the log), session and audio
events (the router), errors (whoever reports them).
"""

from __future__ import annotations

import logging
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from tui.callbacks import CallbackManager, Registration
from tui.protocols.base import Finding, Incoming, ProtocolError, TelephonyEvent, TelephonyEventType

logger = logging.getLogger(__name__)

_AUDIO = frozenset(
    {
        TelephonyEventType.PLAY_STREAM_START,
        TelephonyEventType.PLAY_STREAM_CHUNK,
        TelephonyEventType.PLAY_STREAM_STOP,
        TelephonyEventType.CLEAR,
        TelephonyEventType.MARK,
    }
)
_ERRORS = frozenset({TelephonyEventType.SESSION_ERROR, TelephonyEventType.AGENT_ERROR})


class Received(msgspec.Struct, frozen=True):
    """One frame as it arrived and as it was understood; ``incoming`` is None when it was not."""

    frame: str | bytes
    at_ns: int
    incoming: Incoming | None
    error: str = ""
    """Code of the `ProtocolError`, where there was one."""
    reason: str = ""
    """What it says, for a person."""
    findings: tuple[Finding, ...] = ()


class News(StrEnum):
    """What handlers can be added for."""

    MESSAGE = "message"
    SESSION = "session"
    AUDIO = "audio"
    ERROR = "error"


class MessageHandler:
    """Decodes frames with the protocol's ``receive`` and hands out what they mean, in order, on one loop."""

    def __init__(
        self, receive: Callable[[str | bytes], Incoming], callbacks: CallbackManager | None = None
    ) -> None:
        self._receive = receive
        self.callbacks = callbacks or CallbackManager()
        self.received = 0
        self.undecodable: Counter[str] = Counter()
        """Frames that were not understood, by the code of their `ProtocolError`."""

    def add_message_handler(self, handler: Callable[[Received], object]) -> Registration:
        """Call ``handler(received)`` for every frame, understood or not, before what it means is handed out."""
        return self.callbacks.register_callback(News.MESSAGE, handler)

    def add_session_handler(self, handler: Callable[[TelephonyEvent], object]) -> Registration:
        """Call ``handler(event)`` for what concerns the call and the user's speech."""
        return self.callbacks.register_callback(News.SESSION, handler)

    def add_audio_handler(self, handler: Callable[[TelephonyEvent], object]) -> Registration:
        """Call ``handler(event)`` for what concerns playback."""
        return self.callbacks.register_callback(News.AUDIO, handler)

    def add_error_handler(self, handler: Callable[[Mapping[str, Any]], object]) -> Registration:
        """Call ``handler(message)`` for every error, as ``{"type": …, "error": {"code": …, "message": …}}``."""
        return self.callbacks.register_callback(News.ERROR, handler)

    async def handle_message(self, frame: str | bytes, at_ns: int) -> None:
        """Understand one frame and tell the handlers. Never raises for what the far side sent."""
        self.received += 1
        try:
            incoming = self._receive(frame)
        except ProtocolError as error:
            await self._handle_undecodable(frame, at_ns, error)
            return
        except Exception as error:
            logger.exception("the protocol failed")
            await self._handle_error_message(_broken_protocol(error))
            return
        await self.callbacks.trigger_callbacks(
            News.MESSAGE, Received(frame, at_ns, incoming, findings=incoming.findings)
        )
        for event in incoming.events:
            if event.type in _ERRORS:
                await self._handle_error_message(
                    {
                        "type": event.type.value,
                        "fatal": event.fatal,
                        "error": {"code": event.code or "unknown", "message": event.reason or event.text},
                    }
                )
            news = News.AUDIO if event.type in _AUDIO else News.SESSION
            await self.callbacks.trigger_callbacks(news, event)

    async def _handle_undecodable(self, frame: str | bytes, at_ns: int, error: ProtocolError) -> None:
        self.undecodable[error.code] += 1
        await self.callbacks.trigger_callbacks(
            News.MESSAGE, Received(frame, at_ns, None, error.code, str(error), error.findings)
        )
        times = self.undecodable[error.code]
        if _is_round(times):
            await self._handle_error_message(
                {
                    "type": "undecodable",
                    "fatal": False,
                    "error": {
                        "code": error.code,
                        "message": f"A message cannot be read: {error}.",
                        "count": times,
                    },
                }
            )

    async def _handle_error_message(self, message: Mapping[str, Any]) -> None:
        """Process error messages through callbacks."""
        error = message.get("error") or {}
        logger.warning("error received: %s - %s", error.get("code", "unknown"), error.get("message", ""))
        await self.callbacks.trigger_callbacks(News.ERROR, message)


def _broken_protocol(error: Exception) -> dict[str, Any]:
    """What to say of a protocol that raises what it must not: where, and what."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(where.filename).name}, line {where.lineno}"
    message = f"The protocol itself is broken: {place}: {type(error).__name__}: {error}."
    return {"type": "broken-protocol", "fatal": True, "error": {"code": "broken", "message": message}}


def _is_round(times: int) -> bool:
    """1, 10, 100, …: a flood of the same mistake is reported a few times, with its count."""
    return str(times).strip("0") == "1"
