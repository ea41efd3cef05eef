"""Finds wire protocols in this package, in installed packages, and in single files.

Importing this module imports no protocol and nothing outside the standard library.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from tui.files import path_of

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from tui.protocols.base import Protocol

BUILT_IN: Mapping[str, str] = {
    "audiocodes": "tui.protocols.audiocodes:AUDIOCODES",
    "twilio": "tui.protocols.twilio:TWILIO",
    "openai": "tui.protocols.openai_realtime:OPENAI_REALTIME",
    "openai-live": "tui.protocols.openai_live:OPENAI_LIVE",
    "pcm": "tui.protocols.pcm:PCM",
    "elevenlabs": "tui.protocols.elevenlabs:ELEVENLABS",
    "gemini": "tui.protocols.gemini_live:GEMINI_LIVE",
    "deepgram": "tui.protocols.deepgram:DEEPGRAM",
    "genesys": "tui.protocols.genesys:GENESYS",
    "telnyx": "tui.protocols.telephony.telnyx:TELNYX",
    "plivo": "tui.protocols.telephony.plivo:PLIVO",
    "exotel": "tui.protocols.telephony.exotel:EXOTEL",
    "vonage": "tui.protocols.telephony.vonage:VONAGE",
    "signalwire": "tui.protocols.telephony.signalwire:SIGNALWIRE",
    "asterisk": "tui.protocols.asterisk:ASTERISK",
}
"""The location of each built-in protocol, by name, in the order in which the protocols are offered."""
ENTRY_POINTS = "opusagent_tui.protocols"
"""The entry point group in which packages register protocols."""


class ProtocolUnavailable(ValueError):
    """Raised if a protocol does not exist or cannot be used. The message is one sentence with the reason."""


def names() -> tuple[str, ...]:
    """Returns the names of all protocols: first of built-in protocols, then of installed packages.

    Imports no protocol. A broken package is reported only when its protocol is requested.
    """
    return (*BUILT_IN, *_installed())


def is_known(name: str) -> bool:
    """Returns whether a protocol with this name exists.

    Searches installed packages only if the protocol is not built in.
    """
    return name in BUILT_IN or name in _installed()


def protocol_named(name_or_path: str) -> Protocol:
    """Returns a protocol by its name or, if the text ends in ``.py``, from a file. Raises `ProtocolUnavailable`.

    Each call runs the file again. A package cannot replace a built-in protocol.
    """
    if name_or_path.endswith(".py"):
        return _from_file(path_of(name_or_path))
    if location := BUILT_IN.get(name_or_path):
        module, _, constant = location.partition(":")
        return _checked(getattr(import_module(module), constant), location)
    if entry_point := _installed().get(name_or_path):
        return _from_package(entry_point)
    raise ProtocolUnavailable(unknown(name_or_path, names()))


def unknown(name: str, known: Sequence[str]) -> str:
    """Returns the error sentence for an unknown protocol, which suggests the most similar name."""
    from difflib import get_close_matches  # takes 5 ms

    meant = get_close_matches(name, known, n=1)
    hint = f" Did you mean {meant[0]!r}?" if meant else ""
    return f"Unknown protocol {name!r}.{hint} Choose from {', '.join(known)}, or name your own FILE.py."


def by_path() -> Mapping[str, Protocol]:
    """Returns the built-in protocols that the local agent serves, by `Protocol.path`."""
    from tui.protocols.base import no_agent

    protocols = [protocol_named(name) for name in BUILT_IN]
    return {protocol.path: protocol for protocol in protocols if protocol.agent is not no_agent}


# Sources.


def _installed() -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points  # takes 20 ms

    found = entry_points(group=ENTRY_POINTS)
    return {entry_point.name: entry_point for entry_point in found if entry_point.name not in BUILT_IN}


def _from_package(entry_point: EntryPoint) -> Protocol:
    from tui.user_code import words_of

    package = f" of the package {entry_point.dist.name}" if entry_point.dist else ""
    where = f"The protocol {entry_point.name!r}{package} ({entry_point.value})"
    try:
        value = entry_point.load()
    except (Exception, SystemExit) as error:
        raise ProtocolUnavailable(f"{where} cannot be loaded: {words_of(error)}.") from error
    return _checked(value, where)


def _from_file(path: Path) -> Protocol:
    from tui.protocols.base import Protocol
    from tui.user_code import UserCodeError, run_file

    try:
        module = run_file(path, "protocol file")
    except UserCodeError as error:
        raise ProtocolUnavailable(str(error)) from error
    found = {id(value): value for value in vars(module).values() if isinstance(value, Protocol)}
    if len(found) != 1:
        named = ", ".join(sorted(str(protocol.name) for protocol in found.values()))
        count = f"has {len(found)} Protocols ({named})" if found else "has no Protocol"
        raise ProtocolUnavailable(
            f"{path} {count}; it must define exactly one at the top level, as in NAME = Protocol(…)."
        )
    return _checked(found.popitem()[1], str(path))


# Checks.


def _checked(value: object, where: str) -> Protocol:
    from tui.protocols.base import Protocol

    if not isinstance(value, Protocol):
        raise ProtocolUnavailable(f"{where} is {type(value).__name__}, not a Protocol.")
    fault = next(_faults(value), "")
    if fault:
        raise ProtocolUnavailable(f"{where} is not a complete protocol: {fault}.")
    return value


def _faults(protocol: Protocol) -> Iterator[str]:
    from tui.audio.formats import AudioFormat
    from tui.protocols.base import INTERFACE, AgentEnd, CallerEnd, no_agent

    if protocol.interface not in (0, INTERFACE):
        yield (
            f"it is written for version {protocol.interface} of the protocol interface, but this program "
            f"has version {INTERFACE} (tui/protocols/README.md)"
        )
    # msgspec structs do not check the types of their fields on construction.
    for member in ("name", "title", "path"):
        value: object = getattr(protocol, member)
        if not (isinstance(value, str) and value):
            yield f"its {member} is {value!r}; expected text"
        elif member == "path" and not value.startswith("/"):
            yield f"its path {value!r} does not begin with /"
    formats: object = protocol.formats
    if not (
        isinstance(formats, Mapping) and all(isinstance(known, AudioFormat) for known in formats.values())
    ):
        yield "its formats are not a mapping from names to AudioFormat"
    for member in ("caller", "agent", "headers", "url_notice"):
        if not callable(getattr(protocol, member)):
            yield f"its {member} is not callable"
    yield from _wrong_members(protocol)
    yield from _missing(protocol.caller, CallerEnd)
    if protocol.agent is not no_agent:
        yield from _missing(protocol.agent, AgentEnd)


def _wrong_members(protocol: Protocol) -> Iterator[str]:
    import msgspec

    from tui.protocols.log_rules import LogRules
    from tui.protocols.signs import Signs

    try:
        msgspec.convert(msgspec.to_builtins(protocol.log), LogRules)
    except (msgspec.ValidationError, TypeError) as error:
        yield f"its log is not a valid LogRules: {error}"
    try:
        # Not converted to builtins first, because signs contain a function.
        msgspec.convert(msgspec.structs.asdict(protocol.signs), Signs)
    except (msgspec.ValidationError, TypeError) as error:
        yield f"its signs are not valid Signs: {error}"


def _missing(end: Callable[..., object], shape: type) -> Iterator[str]:
    """Yields the methods that a class lacks. A function is not checked, because its result is not known yet."""
    due = (name for name in vars(shape) if not name.startswith("_"))
    lacks = [name for name in due if not hasattr(end, name)] if isinstance(end, type) else []
    if lacks:
        yield f"{end.__name__} has no {', '.join(lacks)}"
