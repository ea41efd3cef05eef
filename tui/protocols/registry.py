"""The wire protocols this program speaks."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tui.protocols.audiocodes import AUDIOCODES
from tui.protocols.base import Protocol

_ALL = (AUDIOCODES,)

PROTOCOLS: Mapping[str, Protocol] = MappingProxyType({protocol.name: protocol for protocol in _ALL})
"""By name, in the order they are offered."""


def protocol_named(name: str) -> Protocol:
    """The protocol of that name; `ValueError` with the known names otherwise."""
    try:
        return PROTOCOLS[name]
    except KeyError:
        raise ValueError(f"There is no protocol {name!r}; known are {', '.join(PROTOCOLS)}.") from None
