"""EventRouter: one handler for each type of event. One of no known type is counted, never fatal."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from tui.callbacks import safe_callback_execution
from tui.protocols.base import TelephonyEvent, TelephonyEventType

logger = logging.getLogger(__name__)

TelephonyHandler = Callable[[Any], object]
"""Gets the `TelephonyEvent` (or the mapping with a ``type``) it was registered for; plain or coroutine."""
RealtimeHandler = Callable[[Mapping[str, Any]], object]
"""Gets the decoded message of a realtime protocol; plain or coroutine."""


class EventRouter:
    """Maps telephony events (what a message means) and realtime events (by wire name) to their handlers.

    A handler that raises is reported (`tui.callbacks.errors`) and stops nothing.
    """

    def __init__(self) -> None:
        self.telephony_handlers: dict[TelephonyEventType, TelephonyHandler] = {}
        self.realtime_handlers: dict[str, RealtimeHandler] = {}
        self.unknown: Counter[str] = Counter()
        """Events of a type nobody knows, by that type."""

    def register_telephony_handler(self, event_type: TelephonyEventType, handler: TelephonyHandler) -> None:
        """Register the handler of a telephony event; it replaces an earlier one."""
        self.telephony_handlers[event_type] = handler

    def register_realtime_handler(self, event_type: str, handler: RealtimeHandler) -> None:
        """Register the handler of a realtime event by its wire name; it replaces an earlier one."""
        self.realtime_handlers[event_type] = handler

    async def handle_platform_event(self, data: TelephonyEvent | Mapping[str, Any]) -> None:
        """Run the handler of a telephony event."""
        name = data["type"] if isinstance(data, Mapping) else data.type
        event_type = self._get_platform_event_type(name)
        if event_type is None:
            self._count_unknown(name)
        elif handler := self.telephony_handlers.get(event_type):
            await safe_callback_execution(handler, data, f"{event_type} event")

    async def handle_realtime_event(self, data: Mapping[str, Any]) -> None:
        """Run the handler of a realtime event, named by its ``type``."""
        name = str(data.get("type", ""))
        if handler := self.realtime_handlers.get(name):
            await safe_callback_execution(handler, data, f"{name} event")
        else:
            self._count_unknown(name)

    def _count_unknown(self, name: str) -> None:
        self.unknown[name] += 1
        if self.unknown[name] == 1:
            logger.warning("no handler for event type %r", name)

    @staticmethod
    def _get_platform_event_type(name: object) -> TelephonyEventType | None:
        try:
            return TelephonyEventType(str(name))
        except ValueError:
            return None
