"""Formats figures for the screen and for reports. A value that was not measured is shown as a dash, never as 0."""

from __future__ import annotations

VERDICTS = {"good": "✓", "slow": "~", "bad": "✗"}
"""Glyphs for verdicts on a latency, distinguishable without color."""


def milliseconds(value: float | None) -> str:
    """Formats a time in ms, with one decimal below 10 ms. None becomes a dash."""
    if value is None:
        return "–"
    sign, value = "−" if value < 0 else "", abs(value)
    return f"{sign}{value:.1f} ms" if value < 10 else f"{sign}{value:.0f} ms"


def seconds(length_ms: float | None) -> str:
    """Formats a duration in seconds, with one decimal. None becomes a dash."""
    return "–" if length_ms is None else f"{length_ms / 1000:.1f} s"


def count(value: float) -> str:
    """Formats a count in at most six characters. Counts below 10,000 are exact."""
    if not abs(value) >= 10_000:
        return f"{value:,.0f}"
    if abs(value) < 1e9:
        return f"{value / 1000:.0f}k" if abs(value) < 1e6 else f"{value / 1e6:.1f}M"
    return f"{value:.1e}"


def counted(number: int, noun: str) -> str:
    """Returns a number and a noun, which is in the plural unless the number is 1."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def clock(seconds: float | None) -> str:
    """Formats a duration as minutes and seconds, such as 1:05, or as hours, minutes and seconds."""
    if seconds is None:
        return "–:––"
    minutes, rest = divmod(max(int(seconds), 0), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def since(at_ns: int, start_ns: int) -> str:
    """Formats a time since the session's start, in seconds, such as +1.250."""
    return f"{(at_ns - start_ns) / 1e9:+.3f}"


def size(count: int) -> str:
    """Formats a number of bytes in at most five characters; empty for 0."""
    if count <= 0:
        return ""
    if count < 10_000:
        return str(count)
    return f"{count / 1000:.0f}k" if count < 1_000_000 else f"{count / 1e6:.1f}M"
