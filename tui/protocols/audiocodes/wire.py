"""Definitions for both ends of the AudioCodes Bot API: formats, names and decoding."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tui.audio.formats import AudioFormat, Encoding
from tui.audio.wav import strip_wav_header
from tui.protocols.base import TelephonyEventType as Type
from tui.protocols.json_frames import Members, Message, cut

_CODINGS = {
    "lpcm16": AudioFormat(Encoding.PCM16, 16_000),
    "lpcm16_24": AudioFormat(Encoding.PCM16, 24_000),
    "lpcm16_8": AudioFormat(Encoding.PCM16, 8_000),
    "mulaw": AudioFormat(Encoding.MULAW, 8_000),
}
FORMATS: Mapping[str, AudioFormat] = {
    f"{container}/{name}": coding for container in ("raw", "wav") for name, coding in _CODINGS.items()
}
"""Audio formats by ``mediaFormat``; ``wav/*`` is the same audio after a WAV header."""
DEFAULT_OFFER = ("raw/lpcm16", "raw/lpcm16_24", "raw/lpcm16_8", "raw/mulaw")
DEFAULT_FORMAT = "raw/lpcm16"
"""The format that every known bot supports."""

_MAX_ACTIVITIES = 100
SPEECH = {
    "userStream.speech.started": (Type.SPEECH_STARTED, "user speech started"),
    "userStream.speech.stopped": (Type.SPEECH_STOPPED, "user speech stopped"),
    "userStream.speech.committed": (Type.SPEECH_COMMITTED, "user turn committed"),
}
"""Event type and log summary of messages that consist only of their type."""


def audio_of(message: Message, media: str) -> bytes:
    """Returns the samples of a chunk, without a WAV header. Stores the duration of the samples in the message."""
    audio, had_header = strip_wav_header(message.audio("audioChunk"))
    if had_header and media.startswith("raw/"):
        message.find("wav-header-in-raw", f"The audio ({media}) begins with a WAV header, which was removed.")
    message.audio_ms = FORMATS[media].duration_ms(len(audio))
    return audio


def best_alternative(message: Message) -> tuple[str, float | None]:
    """Returns the text and confidence of the first alternative.

    In messages of Deepgram's bridge, text and confidence are in the message itself.
    """
    if message.has("text") and not message.has("alternatives"):
        message.find(
            "text-without-alternatives", "The text is in the message itself; it should be in “alternatives”."
        )
        return message.text("text"), message.number("confidence")
    best = next(iter(message.objects("alternatives", required=True)), None)
    return (best.text("text", required=True), best.number("confidence")) if best else ("", None)


def mark_name(message: Message) -> str:
    """Returns the name of a mark.

    Tries several members, because the member that contains the name is not documented.
    """
    return next(filter(None, (message.ident(member) for member in ("name", "mark", "markId", "id"))), "")


def each_activity(message: Message, read: Callable[[Message, Members], str]) -> str:
    """Decodes the activities in order with ``read``; joins the summaries that ``read`` returns into one line."""
    activities = message.objects("activities", required=True)
    if len(activities) > _MAX_ACTIVITIES:
        text = (
            f"One message has {len(activities)} activities; all but the first {_MAX_ACTIVITIES} were ignored."
        )
        message.advise("too-many-activities", text)
    return "; ".join(read(message, activity) for activity in activities[:_MAX_ACTIVITIES]) or "no activity"


def is_message(activity: Members) -> bool:
    """Returns whether the activity is a text message rather than an event."""
    kind = activity.text("type", required=True).lower()
    return kind == "message" or (not kind and activity.has("text") and not activity.has("name"))


def event_name(activity: Members, known: Sequence[str]) -> str:
    """Returns the name of an event in the documented spelling; "" if the name is not in ``known``."""
    name = activity.text("name", required=True)
    if name in known:
        return name
    spelt = next((candidate for candidate in known if candidate.lower() == name.lower()), "")
    if spelt:
        activity.find("activity-name-case", f"The activity {name} is spelled {spelt} in the documentation.")
    else:
        activity.find(
            "unknown-activity", f"The activity {cut(name, 60) or 'without a name'} is not documented."
        )
    return spelt
