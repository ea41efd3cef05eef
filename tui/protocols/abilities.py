"""Defines what the user can do in a call besides speaking, by protocol.

This follows from the caller's end, which implements only what its protocol has (`tui.protocols.defaults`).
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from tui.protocols.base import Protocol
from tui.protocols.defaults import CallerDefaults
from tui.protocols.registry import BUILT_IN, protocol_named

NO_KEYS = "{} has no way to press keys"
NO_TYPED_TURNS = "{} has no typed turns"
NO_INSTRUCTIONS = "{} does not support changing instructions during a call"


class Lacking(NamedTuple):
    """Why each action is unavailable, without a full stop; "" if it is available or this is not known yet."""

    keypad: str = ""
    write: str = ""
    instructions: str = ""


@cache
def lacking(protocol: str) -> Lacking:
    """Returns what the protocol with that name lacks.

    Only built-in protocols are checked, because checking others would run third-party code.
    """
    return lacking_in(protocol_named(protocol)) if protocol in BUILT_IN else Lacking()


def lacking_in(protocol: Protocol) -> Lacking:
    """Returns what the protocol lacks.

    If a function creates the caller's end, its abilities are known only during the call.
    """
    caller = protocol.caller
    if not isinstance(caller, type):
        return Lacking()
    return Lacking(
        keypad=NO_KEYS.format(protocol.title) if _is_default(caller, "dtmf") else "",
        write=NO_TYPED_TURNS.format(protocol.title) if _is_default(caller, "user_text") else "",
        instructions="" if hasattr(caller, "update_instructions") else NO_INSTRUCTIONS.format(protocol.title),
    )


def _is_default(caller: type, method: str) -> bool:
    return getattr(caller, method, None) is getattr(CallerDefaults, method)
