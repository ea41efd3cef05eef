"""Builds the page: static parts, data and audio in one self-contained file."""

from __future__ import annotations

import importlib.util
import io
import re
import zlib
from base64 import b64encode
from hashlib import sha256
from importlib.resources import files
from typing import NamedTuple

import msgspec
import numpy as np

from tui.audio.peaks import outline_of
from tui.audio.wav import WavFile
from tui.models.turns.figures import Thresholds
from tui.models.turns.turns import Turn
from tui.report import sections
from tui.report.content import Content, EventRow, TimelineMark, read_content
from tui.report.floor import floor_section
from tui.report.markup import text, together
from tui.saving.reading import SavedSession
from tui.saving.saved_audio import SavedAudio
from tui.text.json_text import json_of
from tui.text.visible import one_line

_MAX_TEXT_CHARS = 400


class PageTurn(msgspec.Struct, array_like=True, frozen=True):
    """A turn on the timeline."""

    number: int
    began_s: float | None
    user_ended_s: float | None
    agent_began_s: float | None
    agent_ended_s: float | None
    user_text: str
    agent_text: str


class PageData(msgspec.Struct):
    """Data for the page's script. Times are in seconds from the first event."""

    length_s: float
    turns: list[PageTurn]
    marks: list[TimelineMark]
    rows: list[EventRow]
    starts_s: float = 0.0
    """Time of the first sample."""
    opens_s: float | None = None
    """Time that the page shows when it is opened; None for the beginning."""
    bin_s: float | None = None
    """Duration covered by one peak; None without tracks."""
    user: str = ""
    """The peaks, one byte each, in base64."""
    agent: str = ""
    sound: str = ""
    """Media type of the audio."""


_DEFAULT = Thresholds()


def render(saved: SavedSession, thresholds: Thresholds = _DEFAULT, *, with_audio: bool = True) -> bytes:
    """Returns the report of a session as HTML.

    The waveform is always included; ``with_audio`` adds the audio.
    """
    return page_of(read_content(saved), saved.audio, thresholds, with_audio=with_audio)


def page_of(
    content: Content,
    audio: SavedAudio | None,
    thresholds: Thresholds = _DEFAULT,
    *,
    with_audio: bool = True,
) -> bytes:
    """Works like `render`, for content that has already been read."""
    sound = sound_of(audio) if with_audio and audio and audio.frames else ReportAudio("", b"")
    style, script = (_part(f"page.{kind}") for kind in ("css", "js"))
    values = {
        "title": text(
            one_line(
                f"{content.record.title or 'Session'} {sections.local_time(content.record.started_utc)}", 200
            )
        ),
        "style_hash": _hash(style),
        "script_hash": _hash(script),
        "style": style,
        "script": script,
        "header": sections.header(content),
        "verdict": together(sections.failed_step(content), sections.verdict_line(content, thresholds)),
        "marks": sections.marks_and_notes(content),
        "figures": sections.figures(content, thresholds),
        "turns": sections.turns_table(content, thresholds),
        "floor": floor_section(content, thresholds),
        "transcript": sections.transcript(content),
        "troubles": sections.troubles(content),
        "data": packed(json_of(_data(content, audio, sound.kind))),
        "sound": packed(sound.content) if sound.content else "",
    }
    page = re.sub(r"\$([a-z_]+)", lambda match: values[match[1]], _part("page.html"))
    return page.encode()


def packed(content: bytes) -> str:
    """Returns the content compressed with deflate and encoded in base64, which is safe inside HTML."""
    return b64encode(zlib.compress(content, 9)).decode()


def _data(content: Content, audio: SavedAudio | None, sound: str) -> PageData:
    turns = [_turn(content, turn) for turn in content.metrics.turns]
    length_s = content.seconds(content.ended_ns)
    data = PageData(length_s=length_s, turns=turns, marks=content.marks, rows=content.rows, sound=sound)
    if content.failed_step:
        data.opens_s = content.seconds(content.failed_step.began_ns)
    if audio and audio.frames:
        data.starts_s = content.seconds(audio.starts_ns)
        data.length_s = max(length_s, content.seconds(audio.ns_at(audio.frames)))
        user, agent = bytearray(), bytearray()
        with WavFile(audio.path) as file:
            for outline in outline_of(file, audio.frames):
                data.bin_s = outline.bin_ms / 1000
                user += outline.tracks[0]
                agent += outline.tracks[1]
        data.user, data.agent = (b64encode(peaks).decode() for peaks in (user, agent))
    return data


def _turn(content: Content, turn: Turn) -> PageTurn:
    instants = (turn.began_ns, turn.user_ended_ns, turn.agent_began_ns, turn.agent_ended_ns)
    began, user_ended, agent_began, agent_ended = (
        None if at_ns is None else content.seconds(at_ns) for at_ns in instants
    )
    words = (
        one_line(words.replace("\n", " "), _MAX_TEXT_CHARS) for words in (turn.user_text, turn.agent_text)
    )
    return PageTurn(turn.number, began, user_ended, agent_began, agent_ended, *words)


def _part(name: str) -> str:
    return files("tui.report").joinpath(name).read_text("utf-8")


def _hash(content: str) -> str:
    return f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'"


_OPUS_RATES = (8_000, 12_000, 16_000, 24_000, 48_000)
_FRAMES_AT_ONCE = 48_000


class ReportAudio(NamedTuple):
    """Both tracks in one audio file."""

    kind: str
    """Media type of the file."""
    content: bytes


def sound_of(audio: SavedAudio) -> ReportAudio:
    """Returns the tracks as one stereo file, with the user on the left and the agent on the right.

    Opus files are a tenth of the size of WAV files; WAV files keep every sample.
    """
    if audio.rate in _OPUS_RATES and importlib.util.find_spec("soundfile"):
        return ReportAudio("audio/ogg", _opus(audio))
    return ReportAudio("audio/wav", audio.wav())


def _opus(audio: SavedAudio) -> bytes:
    import soundfile  # an extra; importing it takes 20 ms

    content = io.BytesIO()
    with soundfile.SoundFile(content, "w", audio.rate, 2, format="OGG", subtype="OPUS") as file:
        for first in range(0, audio.frames, _FRAMES_AT_ONCE):
            pair = audio.read(first, _FRAMES_AT_ONCE)
            file.write(np.stack([np.frombuffer(track, "<i2") for track in pair], axis=1))
    return content.getvalue()
