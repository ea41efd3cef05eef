"""Creates the header of the detail pane: kind, time, size and facts about the audio of an event."""

from __future__ import annotations

from collections.abc import Iterator

from tui.models.events import MessageLogged
from tui.models.log.describe import describe
from tui.models.log.event_log import EventLog, Row
from tui.models.message.audio import MAX_PLAYED_S, MessageAudio
from tui.text import numbers
from tui.text.visible import one_line


def title(log: EventLog, row: Row) -> str:
    """Returns the kind of an event and, for a message, its direction."""
    event = log.event(row)
    what = describe(event)
    kind = one_line(what.kind, 80)
    return f"{what.arrow} {event.direction.value} {kind}" if isinstance(event, MessageLogged) else kind


def facts(log: EventLog, row: Row) -> Iterator[str]:
    """Yields a line with the number, time and size of an event.

    For a run of messages, also yields a line about the run.
    """
    event = log.event(row)
    parts = [f"#{event.number}", f"{numbers.since(event.at_ns, log.events[0].at_ns)} s"]
    if isinstance(event, MessageLogged):
        parts.append(f"{event.size_bytes:,} bytes")
        if event.audio_ms:
            parts.append(f"{event.audio_ms:g} ms of audio")
        if not event.known:
            parts.append("unknown to the protocol")
    yield " · ".join(parts)
    if row.count > 1:
        yield f"newest of {row.count:,} in a row, {row.audio_ms / 1000:.2f} s, {row.size_bytes:,} bytes"


def audio_line(sound: MessageAudio | None, row: Row) -> str:
    """Returns a line with the format, level and clipping of the audio, and the key that plays it.

    The length of the audio is in `facts`.
    """
    if sound is None:
        return "audio: not saved, or not found in the message"
    parts = [str(sound.format)]
    level = sound.loudness()
    if level is not None:
        parts.append(f"peak {level.peak_dbfs:z.1f} dBFS, RMS {level.rms_dbfs:z.1f}")
        clipped = level.clipped_samples
        parts.append(f"✗ clipped, {clipped:,} samples" if clipped else "not clipped")
        measured_ms = level.measured_samples * 1000 / sound.format.rate
        if measured_ms < sound.ms - 1:
            parts.append(f"level of the first {measured_ms / 1000:g} s")
    if row.count == 1:
        parts.append("p plays it")
    elif row.audio_ms <= MAX_PLAYED_S * 1000:
        parts.append("p plays the run")
    else:
        parts.append(f"p plays the first {MAX_PLAYED_S} s of the run")
    return " · ".join(parts)
