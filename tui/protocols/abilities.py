"""Determines what a protocol lets the user do in a call besides speaking.

An action is available if the protocol's caller end implements it instead of inheriting it from
`tui.protocols.defaults`.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from tui.protocols.registry import BUILT_IN, protocol_named

if TYPE_CHECKING:
    from tui.protocols.base import Protocol

NO_KEYS = "{} does not support pressing keys"
NO_TYPED_TURNS = "{} does not support typed turns"
NO_INSTRUCTIONS = "{} does not support changing instructions during a call"


class Lacking(NamedTuple):
    """Reasons why the protocol does not support an action, without a full stop; "" if it may support the action."""

    keypad: str = ""
    write: str = ""
    instructions: str = ""


@cache
def lacking(protocol: str) -> Lacking:
    """Returns why a protocol does not support certain actions.

    Only built-in protocols are checked, because checking others would run third-party code.
    """
    return lacking_in(protocol_named(protocol)) if protocol in BUILT_IN else Lacking()


def lacking_in(protocol: Protocol) -> Lacking:
    """Returns why the protocol does not support certain actions.

    If a function creates the caller's end, the end's class is not known before the call, and every action
    counts as supported.
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
    from tui.protocols.defaults import CallerDefaults  # not needed before the first call

    return getattr(caller, method, None) is getattr(CallerDefaults, method)
