"""MessageHandler: decodes frames, and counts and reports frames that cannot be decoded.

The handlers are registered in a `CallbackManager`. The log handles every message and error; the router
handles session and audio events.
"""

from __future__ import annotations

import logging
import traceback
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

import msgspec

from tui.callbacks import CallbackManager, Registration
from tui.models.events import ErrorRaised
from tui.models.tally import is_round
from tui.protocols.base import Finding, Incoming, ProtocolError, TelephonyEvent, TelephonyEventType

logger = logging.getLogger(__name__)

_AUDIO = frozenset(
    {
        TelephonyEventType.PLAY_STREAM_START,
        TelephonyEventType.PLAY_STREAM_CHUNK,
        TelephonyEventType.PLAY_STREAM_STOP,
        TelephonyEventType.PLAY_STREAM_DISCARDED,
        TelephonyEventType.CLEAR,
        TelephonyEventType.MARK,
    }
)
_ERRORS = frozenset({TelephonyEventType.SESSION_ERROR, TelephonyEventType.AGENT_ERROR})
_FOLLOWED = frozenset({TelephonyEventType.CONFIG, TelephonyEventType.USER_STREAM_STOPPED})
"""Events that affect only the protocol's own state, which `receive` has already updated."""


class Received(msgspec.Struct, frozen=True):
    """A frame, its arrival time and its decoded message; ``incoming`` is None if it was not understood."""

    frame: str | bytes
    at_ns: int
    incoming: Incoming | None
    error: str = ""
    """Code of the `ProtocolError`, if there was one."""
    reason: str = ""
    """Text of the error, for display."""
    findings: tuple[Finding, ...] = ()


class News(StrEnum):
    """The kinds of handlers that can be registered."""

    MESSAGE = "message"
    SESSION = "session"
    AUDIO = "audio"
    ERROR = "error"


class MessageHandler:
    """Decodes frames with the protocol's ``receive``, and passes the results to handlers in order.

    Runs on one event loop.
    """

    def __init__(
        self, receive: Callable[[str | bytes], Incoming], callbacks: CallbackManager | None = None
    ) -> None:
        self._receive = receive
        self.callbacks = callbacks or CallbackManager()
        self.received = 0
        self.understood = 0
        """Number of frames whose message type the protocol knows."""
        self.undecodable: Counter[str] = Counter()
        """Number of frames that were not understood, by the code of their `ProtocolError`."""

    def add_message_handler(self, handler: Callable[[Received], object]) -> Registration:
        """Registers ``handler(received)`` for every frame, even if it is not understood.

        The handler runs before the session and audio handlers for the frame.
        """
        return self.callbacks.register_callback(News.MESSAGE, handler)

    def add_session_handler(self, handler: Callable[[TelephonyEvent], object]) -> Registration:
        """Registers ``handler(event)`` for events about the call and the user's speech."""
        return self.callbacks.register_callback(News.SESSION, handler)

    def add_audio_handler(self, handler: Callable[[TelephonyEvent], object]) -> Registration:
        """Registers ``handler(event)`` for events about playback."""
        return self.callbacks.register_callback(News.AUDIO, handler)

    def add_error_handler(self, handler: Callable[[ErrorRaised], object]) -> Registration:
        """Registers ``handler(error)`` for every error: from the agent, in a frame, or in the protocol's code.

        The handler must emit the error, which has no event number yet.
        """
        return self.callbacks.register_callback(News.ERROR, handler)

    async def handle_message(self, frame: str | bytes, at_ns: int) -> None:
        """Decodes one frame and calls the handlers. Never raises because of the frame's content."""
        self.received += 1
        try:
            incoming = self._receive(frame)
        except ProtocolError as error:
            await self._handle_undecodable(frame, at_ns, error)
            return
        except Exception as error:
            logger.exception("the protocol failed")
            await self._handle_error_message(_protocol_failed(error, at_ns))
            return
        self.understood += incoming.known
        await self.callbacks.trigger_callbacks(
            News.MESSAGE, Received(frame, at_ns, incoming, findings=incoming.findings)
        )
        for event in incoming.events:
            if event.type in _ERRORS:
                await self._handle_error_message(_agent_error(event, at_ns))
            elif event.type not in _FOLLOWED:
                news = News.AUDIO if event.type in _AUDIO else News.SESSION
                await self.callbacks.trigger_callbacks(news, event)

    async def _handle_undecodable(self, frame: str | bytes, at_ns: int, error: ProtocolError) -> None:
        self.undecodable[error.code] += 1
        await self.callbacks.trigger_callbacks(
            News.MESSAGE, Received(frame, at_ns, None, error.code, str(error), error.findings)
        )
        count = self.undecodable[error.code]
        if is_round(count):
            text = f"Unreadable message: {error}."
            await self._handle_error_message(
                ErrorRaised(at_ns=at_ns, source="protocol", code=error.code, message=text, count=count)
            )

    async def _handle_error_message(self, error: ErrorRaised) -> None:
        """Passes an error to the error handlers."""
        logger.warning("error received: %s - %s", error.code, error.message)
        await self.callbacks.trigger_callbacks(News.ERROR, error)


def _agent_error(event: TelephonyEvent, at_ns: int) -> ErrorRaised:
    code, text = event.code or "unknown", event.reason or event.text
    if event.type is TelephonyEventType.AGENT_ERROR and code != "unknown" and code not in text:
        text = f"{code}: {text}"
    return ErrorRaised(
        at_ns=at_ns,
        source="agent",
        code=code,
        message=text,
        fatal=event.fatal,
        answer_failed=event.answer_failed,
    )


def _protocol_failed(error: Exception, at_ns: int) -> ErrorRaised:
    """Returns the error event for an unexpected exception in a protocol, with the place in the code."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(where.filename).name}, line {where.lineno}"
    text = f"The protocol failed in {place}: {type(error).__name__}: {error}."
    return ErrorRaised(at_ns=at_ns, source="protocol", code="broken", message=text, fatal=True)
