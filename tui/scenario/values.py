"""The notations in scenario files: durations, shares, signs of the agent, and moments to act."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Self

from tui.models.filter.language import parse
from tui.models.filter.patterns import FilterError, Pattern, pattern_of
from tui.models.filter.terms import Filter
from tui.text.strict import SettingsError, Written, did_you_mean, quoted
from tui.units import NS_PER_MS

_UNITS_MS = {"ms": 1.0, "s": 1_000.0, "m": 60_000.0}
_DURATION = r"(\d+(?:\.\d+)?)\s*(ms|s|m)"
_LONGEST_MS = 3_600_000.0


class Duration(float, Written):
    """A duration in milliseconds, written with its unit."""

    EXPECTED = 'a duration with its unit, such as "600ms", "2s" or "1m"'

    @classmethod
    def read(cls, text: str) -> Self:
        """Parses a duration such as "600ms" or "2s". Raises `ValueError`, `SettingsError`."""
        found = re.fullmatch(_DURATION, text.strip())
        if found is None:
            raise ValueError(text)
        duration = cls(float(found[1]) * _UNITS_MS[found[2]])
        if duration > _LONGEST_MS:
            raise SettingsError(f"{quoted(text)} is longer than an hour.")
        return duration

    @property
    def ns(self) -> int:
        """The duration in nanoseconds."""
        return round(self * NS_PER_MS)

    def __str__(self) -> str:
        return f"{float(self):g} ms" if self < 1_000 else f"{self / 1_000:g} s"

    __repr__ = __str__


class Percent(float, Written):
    """A share, 0..1, written as a percentage."""

    EXPECTED = 'a share from "0%" to "100%"'

    @classmethod
    def read(cls, text: str) -> Self:
        """Parses a percentage such as "5%" into a share. Raises `ValueError`."""
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", text.strip())
        if found is None or float(found[1]) > 100:
            raise ValueError(text)
        return cls(float(found[1]) / 100)


class FaultKind(str, Written):
    """A connection fault."""

    DROP = "drop"
    DELAY = "delay"
    STALL = "stall"
    REORDER = "reorder"
    KINDS = (DROP, DELAY, STALL, REORDER)
    EXPECTED = "one of " + ", ".join(map(quoted, KINDS))

    @classmethod
    def read(cls, text: str) -> Self:
        """Returns the fault with that name. Raises `SettingsError`."""
        if text not in cls.KINDS:
            raise SettingsError(f"Unknown fault {quoted(text)}{did_you_mean(text, cls.KINDS)}")
        return cls(text)


class SignKind(StrEnum):
    """Actions and states of the agent that a step can expect.

    The values are the words used in scenario files.
    """

    SPEAKS = "agent speaks"
    STOPS = "agent stops"
    ANSWERS = "agent answers"
    """The agent speaks or writes after the caller's turn, and again after each tool call."""
    KEEPS_SPEAKING = "agent keeps speaking"
    KEEPS_SILENT = "agent keeps silent"
    TOOL = "tool"
    TRANSCRIPT = "transcript"
    MESSAGE = "message"
    MARK = "mark"
    TRANSFER = "transfer"
    HANG_UP = "hang-up"

    @property
    def argument(self) -> str:
        """Description of the text that follows the sign's words; empty if no text may follow."""
        return _ARGUMENTS.get(self, "")

    @property
    def lasts(self) -> bool:
        """Whether the sign is a state that must last (``for``) rather than an event (``within``)."""
        return self in (SignKind.KEEPS_SPEAKING, SignKind.KEEPS_SILENT)


_ARGUMENTS = {
    SignKind.TOOL: "the name of a tool",
    SignKind.TRANSCRIPT: "text or a /regular expression/",
    SignKind.MESSAGE: "a filter, as in the event log",
    SignKind.MARK: "the name of a mark",
}


class Sign(Written):
    """An action of the agent that can be heard or seen."""

    EXPECTED = "one of " + ", ".join(
        quoted(" ".join((kind, *kind.argument.upper().split()[-1:]))) for kind in SignKind
    )

    def __init__(self, kind: SignKind, text: str = "") -> None:
        self.kind = kind
        self.text = text
        self.pattern: Pattern | None = pattern_of(text, 1) if kind is SignKind.TRANSCRIPT else None
        self.filter: Filter | None = parse(text) if kind is SignKind.MESSAGE else None

    @classmethod
    def read(cls, text: str) -> Self:
        """Parses a sign such as "agent speaks". Raises `SettingsError`."""
        words = " ".join(text.split())
        kind = next((kind for kind in SignKind if words == kind or words.startswith(f"{kind} ")), None)
        if kind is None:
            raise SettingsError(f"{quoted(text)} cannot be expected{did_you_mean(words, SignKind)}")
        argument = words[len(kind) :].strip()
        if kind.argument and not argument:
            raise SettingsError(f"{quoted(kind)} needs {kind.argument} after it.")
        if argument and not kind.argument:
            raise SettingsError(f"{quoted(kind)} cannot be followed by {quoted(argument)}. Remove it.")
        try:
            return cls(kind, argument)
        except FilterError as error:
            raise SettingsError(str(error)) from error

    def __str__(self) -> str:
        return f"{self.kind} {self.text}".rstrip()

    __repr__ = __str__


class When(Written):
    """A moment to act: a sign of the agent, or the end of the previous step, plus an offset."""

    EXPECTED = 'a moment, such as "now", "agent speaks" or "agent speaks + 600ms"'

    def __init__(self, sign: Sign | None, offset: Duration) -> None:
        self.sign = sign
        """The sign to wait for; None means the end of the previous step."""
        self.offset = offset

    @classmethod
    def read(cls, text: str) -> Self:
        """Parses a moment such as "agent speaks + 600ms". Raises `SettingsError`."""
        found = re.fullmatch(rf"(.*?)(?:\+\s*({_DURATION}))?", text.strip())
        assert found is not None  # this pattern matches any line
        words, offset = found[1].strip(), Duration.read(found[2]) if found[2] else Duration(0)
        if words == "now":
            return cls(None, offset)
        sign = Sign.read(words)
        if sign.kind.lasts or sign.kind in (SignKind.ANSWERS, SignKind.HANG_UP, SignKind.TRANSFER):
            raise SettingsError(f"A step cannot wait for {quoted(sign.kind)}.")
        return cls(sign, offset)

    def __str__(self) -> str:
        words = str(self.sign) if self.sign else "now"
        return f"{words} + {self.offset}" if self.offset else words

    __repr__ = __str__
