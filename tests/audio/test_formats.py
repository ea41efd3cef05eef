from __future__ import annotations

import contextlib
import math
import random
import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.audio.formats import AudioFormat, Encoding, StreamDecoder, encode

MULAW = AudioFormat(Encoding.MULAW, 8_000)
ALAW = AudioFormat(Encoding.ALAW, 8_000)
PCM = AudioFormat(Encoding.PCM16, 16_000)
EVERY_SAMPLE = list(range(-32_768, 32_768))
EVERY_SAMPLE_PCM = struct.pack(f"<{len(EVERY_SAMPLE)}h", *EVERY_SAMPLE)
EVERY_CODE = bytes(range(256))


def mulaw_code(sample: int) -> int:
    value = sample >> 2
    magnitude = min(abs(value) + 33, 8159)
    exponent = int(math.log2(magnitude)) - 5
    return ((exponent << 4) | ((magnitude >> (exponent + 1)) & 15)) ^ (0x7F if value < 0 else 0xFF)


def alaw_code(sample: int) -> int:
    value = sample >> 3
    magnitude = -value - 1 if value < 0 else value
    ends = (0x1F, 0x3F, 0x7F, 0xFF, 0x1FF, 0x3FF, 0x7FF, 0xFFF)
    segment = next(number for number, end in enumerate(ends) if magnitude <= end)
    code = (segment << 4) | ((magnitude >> max(segment, 1)) & 15)
    return code ^ (0x55 if value < 0 else 0xD5)


@pytest.mark.parametrize(("audio_format", "code"), [(MULAW, mulaw_code), (ALAW, alaw_code)])
def test_every_sample_is_encoded_as_the_standard_does(
    audio_format: AudioFormat, code: Callable[[int], int]
) -> None:
    assert encode(EVERY_SAMPLE_PCM, audio_format) == bytes(map(code, EVERY_SAMPLE))


@pytest.mark.parametrize("audio_format", [MULAW, ALAW], ids=str)
def test_a_code_survives_decoding_and_encoding(audio_format: AudioFormat) -> None:
    again = encode(StreamDecoder(audio_format).feed(EVERY_CODE), audio_format)
    # Mu-law has two zeros; the negative zero is decoded as the positive.
    assert again == (EVERY_CODE.replace(b"\x7f", b"\xff") if audio_format is MULAW else EVERY_CODE)


@pytest.mark.parametrize(
    ("audio_format", "code", "sample"),
    [(MULAW, 0xFF, 0), (MULAW, 0x80, 32_124), (MULAW, 0x00, -32_124), (ALAW, 0xD5, 8), (ALAW, 0xAA, 32_256)],
)
def test_known_codes_mean_known_samples(audio_format: AudioFormat, code: int, sample: int) -> None:
    assert struct.unpack("<h", StreamDecoder(audio_format).feed(bytes([code]))) == (sample,)


@pytest.mark.filterwarnings("ignore:'audioop' is deprecated")
def test_every_code_is_decoded_as_by_the_standard_library_up_to_python_3_12() -> None:
    with contextlib.suppress(ImportError):
        import audioop

        assert StreamDecoder(MULAW).feed(EVERY_CODE) == audioop.ulaw2lin(EVERY_CODE, 2)
        assert StreamDecoder(ALAW).feed(EVERY_CODE) == audioop.alaw2lin(EVERY_CODE, 2)


def test_pcm_passes_unchanged() -> None:
    assert encode(EVERY_SAMPLE_PCM, PCM) is EVERY_SAMPLE_PCM


@pytest.mark.parametrize("audio_format", [PCM, MULAW, ALAW], ids=str)
def test_half_a_sample_cannot_be_encoded(audio_format: AudioFormat) -> None:
    with pytest.raises(ValueError, match="is not a whole number of 16-bit samples"):
        encode(b"\0\0\0", audio_format)


@given(st.binary(max_size=400), st.randoms(use_true_random=False))
def test_pcm_is_decoded_the_same_however_it_was_cut(wire: bytes, cuts: random.Random) -> None:
    decoder, decoded, rest = StreamDecoder(PCM), b"", wire
    while rest:
        size = cuts.randint(0, 7)
        decoded += decoder.feed(rest[:size])
        assert len(decoded) % 2 == 0
        rest = rest[size:]
    assert decoded == wire[: len(wire) & ~1]
    assert decoder.flush_remainder() == len(wire) % 2
    assert decoder.flush_remainder() == 0


def test_g711_never_has_half_a_sample() -> None:
    decoder = StreamDecoder(MULAW)
    assert len(decoder.feed(b"\xff\xff\xff")) == 6
    assert decoder.flush_remainder() == 0


def test_a_format_knows_the_duration_of_its_bytes() -> None:
    assert PCM.duration_ms(640) == 20
    assert MULAW.duration_ms(160) == 20
    assert str(PCM) == "pcm16 16 kHz"
