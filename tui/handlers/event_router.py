"""EventRouter: calls the handler for each type of event. Events without a handler are only logged."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from tui.callbacks import EventCallback, safe_callback_execution
from tui.protocols.base import TelephonyEvent, TelephonyEventType

logger = logging.getLogger(__name__)

_CONTEXTS = {event_type: f"{event_type} event" for event_type in TelephonyEventType}

TelephonyHandler = Callable[[Any], object]
"""A plain or coroutine function that handles a `TelephonyEvent` or a mapping with a ``type``."""


class EventRouter:
    """Calls the handler that is registered for a telephony event or a realtime event.

    Call all methods on one event loop.

    A telephony event says what a message means, in any protocol; `handle_platform_event` takes these events.
    A realtime event is a message under its wire name; `handle_realtime_event` takes these messages. The two
    kinds have separate handlers. An exception in a handler is reported (`tui.callbacks.errors`) and does not
    stop other handlers.
    """

    def __init__(self) -> None:
        self.telephony_handlers: dict[TelephonyEventType, TelephonyHandler] = {}
        self.realtime_handlers: dict[str, EventCallback] = {}
        self._missing: set[str] = set()
        """Types that were already logged as having no handler."""

    def register_telephony_handler(self, event_type: TelephonyEventType, handler: TelephonyHandler) -> None:
        """Sets the handler for a telephony event. Replaces an earlier handler."""
        self.telephony_handlers[event_type] = handler

    def register_realtime_handler(self, event_type: str, handler: EventCallback) -> None:
        """Sets the handler for realtime events with this wire name. Replaces an earlier handler."""
        self.realtime_handlers[event_type] = handler

    async def handle_platform_event(self, data: TelephonyEvent | Mapping[str, Any]) -> None:
        """Calls the handler for a telephony event."""
        name = data.type if isinstance(data, TelephonyEvent) else data["type"]
        known = isinstance(name, TelephonyEventType)  # the usual case
        event_type = name if known else self._get_platform_event_type(name)
        if event_type is not None and (handler := self.telephony_handlers.get(event_type)):
            await safe_callback_execution(handler, data, _CONTEXTS[event_type])
        else:
            self._warn_once(str(name))

    async def handle_realtime_event(self, data: Mapping[str, Any]) -> None:
        """Calls the handler for a realtime event, according to its ``type``."""
        name = str(data.get("type", ""))
        if handler := self.realtime_handlers.get(name):
            await safe_callback_execution(handler, data, f"{name} event")
        else:
            self._warn_once(name)

    def _warn_once(self, name: str) -> None:
        if name not in self._missing:
            self._missing.add(name)
            logger.warning("no handler for event type %r", name)

    @staticmethod
    def _get_platform_event_type(name: object) -> TelephonyEventType | None:
        try:
            return TelephonyEventType(str(name))
        except ValueError:
            return None
