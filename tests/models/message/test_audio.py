from __future__ import annotations

import json
import math
import struct
from base64 import b64encode
from pathlib import Path

import msgspec
import pytest

from tui.audio.formats import AudioFormat, Encoding
from tui.models import events as e
from tui.models.log.event_log import EventLog
from tui.models.message.audio import MAX_PLAYED_S, EventAudio, MessageAudio
from tui.protocols.log_rules import LogRules
from tui.protocols.registry import protocol_named

MULAW = AudioFormat(Encoding.MULAW, 8_000)
ALAW = AudioFormat(Encoding.ALAW, 8_000)
SENT, RECEIVED = e.Direction.SENT, e.Direction.RECEIVED


class Call:
    """A log and its raw messages."""

    def __init__(self, protocol: str, log_rules: LogRules | None = None) -> None:
        self.log, self.raws = EventLog(), dict[int, bytes]()
        self.audio = EventAudio(self.log, lambda event: self.raws.get(event.offset))
        self.add(
            e.SessionStarted(
                at_ns=0,
                session_id="s",
                started_utc="",
                target="ws://x",
                protocol=protocol,
                log_rules=log_rules,
            )
        )

    def add(self, event: e.SessionEvent) -> None:
        self.log.apply(msgspec.structs.replace(event, number=len(self.log.events) + 1))

    def message(
        self, raw: bytes | dict[str, object], audio_ms: float = 0, way: e.Direction = RECEIVED
    ) -> int:
        kept = raw if isinstance(raw, bytes) else json.dumps(raw).encode()
        offset = len(self.raws)
        self.raws[offset] = kept
        self.add(
            e.MessageLogged(
                at_ns=0, direction=way, kind="k", size_bytes=len(kept), offset=offset, audio_ms=audio_ms
            )
        )
        return len(self.log.events) - 1

    def sound(
        self, raw: bytes | dict[str, object], audio_ms: float = 20, way: e.Direction = RECEIVED
    ) -> MessageAudio:
        """Returns the audio of another message."""
        sound = self.audio.of(self.message(raw, audio_ms, way))
        assert sound is not None
        return sound


def base64(size_bytes: int, byte: int = 0) -> str:
    return b64encode(bytes([byte]) * size_bytes).decode()


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000])
def test_the_rate_follows_from_the_length_of_the_audio(rate: int) -> None:
    sound = Call("audiocodes").sound({"audioChunk": base64(rate // 25)})
    assert (sound.format, sound.ms) == (AudioFormat(Encoding.PCM16, rate), 20)


def test_the_audio_of_a_protocol_file_is_where_it_says() -> None:
    call = Call("./mine.py", LogRules(audio_members=("sound.wave",)))
    assert call.sound({"sound": {"wave": base64(320)}}, 10).format == AudioFormat(Encoding.PCM16, 16_000)
    assert call.audio.of(call.message({"audio": base64(320)}, 10)) is None


def test_twilio_is_mulaw_and_its_silence_is_quiet() -> None:
    sound = Call("twilio").sound({"event": "media", "media": {"payload": base64(160, 0xFF)}})
    assert sound.format == MULAW
    found = sound.loudness()
    assert found is not None
    assert (found.peak_dbfs, found.measured_samples) == (-90, 160)


def test_a_binary_frame_of_any_rate() -> None:
    sound = Call("pcm").sound(bytes(2 * 11_025), 1000)
    assert sound.format == AudioFormat(Encoding.PCM16, 11_025)


def test_mulaw_and_alaw_are_distinguished_by_what_was_agreed() -> None:
    call = Call("openai")
    call.message(
        {"type": "session.update", "session": {"audio": {"input": {"format": {"type": "audio/pcma"}}}}}
    )
    assert call.sound({"audio": base64(160)}, way=SENT).format == ALAW
    call.add(e.ReplyStarted(at_ns=0, reply="r", format=str(MULAW)))
    assert call.sound({"delta": base64(160)}).format == MULAW
    again = call.sound({"audio": base64(160)}, way=SENT)
    assert again.format == ALAW, "the agent's reply says nothing of the user's audio"


def test_a_protocol_that_is_not_ours_is_not_run(tmp_path: Path) -> None:
    file = tmp_path / "theirs.py"
    file.write_text("raise SystemExit('run')")
    call = Call(str(file))
    assert call.audio.of(call.message({"audio": base64(640)}, 20)) is not None
    assert call.audio.of(call.message({"sound": base64(640)}, 20)) is None


def test_a_message_without_audio_or_not_kept_has_none() -> None:
    call = Call("audiocodes")
    assert call.audio.of(0) is None
    assert call.audio.of(call.message({"type": "mark"})) is None
    assert call.audio.of(call.message({"audioChunk": "(856 characters)"}, 20)) is None
    index = call.message({"audioChunk": base64(640)}, 20)
    call.raws.clear()
    assert call.audio.of(index) is None


def test_a_run_is_one_piece_and_ends_where_the_format_changes() -> None:
    call = Call("audiocodes")
    run = [call.message({"audioChunk": base64(640, byte)}, 20) for byte in (1, 2, 3)]
    run.append(call.message({"audioChunk": base64(960)}, 20))
    sound = call.audio.of_run(run)
    assert sound is not None
    assert sound.wire == bytes([1]) * 640 + bytes([2]) * 640 + bytes([3]) * 640
    assert call.audio.of_run([]) is None


def test_a_long_run_is_played_in_part() -> None:
    call = Call("audiocodes")
    index = call.message({"audioChunk": base64(32_000 * 25)}, 25_000)
    sound = call.audio.of_run([index] * 3)
    assert sound is not None
    assert sound.ms == MAX_PLAYED_S * 1000


@pytest.mark.parametrize(
    ("protocol", "options", "order"),
    [
        ("telnyx", {}, ">"),
        ("telnyx", {"byte_order": "little"}, "<"),
        ("signalwire", {}, "<"),
        ("signalwire", {"byte_order": "big"}, ">"),
    ],
)
def test_samples_are_put_in_order(protocol: str, options: dict[str, str], order: str) -> None:
    """The session contains the rules that result from its call's options."""
    log_of = protocol_named(protocol).log_of
    assert log_of
    tone = [0] * 160 + [round(9_000 * math.sin(index / 6)) for index in range(160)]
    call = Call(protocol, log_of(options) if options else None)
    media = {"payload": b64encode(struct.pack(f"{order}320h", *tone)).decode()}
    indexes = [call.message({"event": "media", "media": media}, 20) for _ in range(2)]
    for sound in (call.audio.of(indexes[0]), call.audio.of_run(indexes)):
        assert sound is not None
        assert sound.wire[:640] == struct.pack("<320h", *tone)
