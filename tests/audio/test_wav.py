from __future__ import annotations

import contextlib
import os
import struct
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.audio.signals import tone
from tui.audio.formats import AudioFormat, Encoding, encode
from tui.audio.pcm import samples_of, to_float
from tui.audio.wav import AudioFileError, WavWriter, read_wav, strip_wav_header, wav_header


def riff(fmt: bytes, data: bytes, *, between: bytes = b"", data_bytes: int | None = None) -> bytes:
    body = b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt + between
    body += b"data" + struct.pack("<I", len(data) if data_bytes is None else data_bytes) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def fmt(tag: int, channels: int, rate: int, bits: int) -> bytes:
    frame_bytes = channels * bits // 8
    return struct.pack("<HHIIHH", tag, channels, rate, rate * frame_bytes, frame_bytes, bits)


def extensible(tag: int, channels: int, rate: int, bits: int) -> bytes:
    guid = struct.pack("<H", tag) + bytes.fromhex("000000001000800000aa00389b71")
    return fmt(0xFFFE, channels, rate, bits) + struct.pack("<HHI", 22, bits, 0) + guid


def saved(folder: Path, content: bytes) -> Path:
    path = folder / "sound.wav"
    path.write_bytes(content)
    return path


def error_of(path: Path) -> str:
    with pytest.raises(AudioFileError) as caught:
        read_wav(path, 16_000)
    return str(caught.value)


RAMP = np.arange(-1_000, 1_000, dtype="<i2")


@pytest.mark.parametrize("header", [fmt, extensible])
def test_16_bit_mono_comes_back_bit_for_bit(tmp_path: Path, header: object) -> None:
    make = extensible if header is extensible else fmt
    assert read_wav(saved(tmp_path, riff(make(1, 1, 8_000, 16), RAMP.tobytes())), 8_000) == RAMP.tobytes()


def test_other_widths_mean_the_same_sound(tmp_path: Path) -> None:
    wide = RAMP.astype("<i4") << 16
    packed = wide.view(np.uint8).reshape(-1, 4)[:, 1:].tobytes()
    for header, data in [
        (fmt(1, 1, 8_000, 24), packed),
        (extensible(1, 1, 8_000, 24), packed),
        (fmt(1, 1, 8_000, 32), wide.tobytes()),
        (fmt(3, 1, 8_000, 32), (RAMP / np.float32(32_768)).astype("<f4").tobytes()),
        (extensible(3, 1, 8_000, 64), (RAMP / 32_768).astype("<f8").tobytes()),
    ]:
        assert read_wav(saved(tmp_path, riff(header, data)), 8_000) == RAMP.tobytes()


def test_8_bit_is_unsigned(tmp_path: Path) -> None:
    pcm = read_wav(saved(tmp_path, riff(fmt(1, 1, 8_000, 8), bytes([0, 128, 255]))), 8_000)
    assert samples_of(pcm).tolist() == [-32_768, 0, 127 * 256]


@pytest.mark.parametrize(("tag", "encoding"), [(7, Encoding.MULAW), (6, Encoding.ALAW)])
def test_g711_files_are_read(tmp_path: Path, tag: int, encoding: Encoding) -> None:
    codes = encode(tone(8_000, 0.1), AudioFormat(encoding, 8_000))
    pcm = read_wav(saved(tmp_path, riff(fmt(tag, 1, 8_000, 8), codes)), 8_000)
    assert encode(pcm, AudioFormat(encoding, 8_000)) == codes


def test_channels_are_mixed_down(tmp_path: Path) -> None:
    stereo = np.column_stack([RAMP, RAMP * 3]).astype("<i2")
    pcm = read_wav(saved(tmp_path, riff(fmt(1, 2, 8_000, 16), stereo.tobytes())), 8_000)
    assert samples_of(pcm).tolist() == (RAMP * 2).tolist()


def surround(folder: Path, channels: list[float], header: bytes | None = None) -> list[int]:
    """Returns the mono samples of a file in which each channel has a constant level."""
    frames = np.tile(np.round(np.array(channels) * 32_768).clip(-32_768, 32_767), (10, 1)).astype("<i2")
    head = header or fmt(1, len(channels), 8_000, 16)
    samples: list[int] = samples_of(read_wav(saved(folder, riff(head, frames.tobytes())), 8_000)).tolist()
    return samples


@pytest.mark.parametrize(
    ("channels", "mono"),
    [
        ([0.5, 0.25], 0.375),
        ([0, 0, 0.5], 0.5),
        ([0.25, 0.25, 0, 0, 0, 0], 0.3535),
        ([0, 0, 0.5, 0, 0, 0], 0.5),
        ([0, 0, 0, 0.9, 0, 0], 0.0),
        ([0, 0, 0, 0, 0.25, 0.5], 0.375),
        ([0.25, 0, 0.25, 0], 0.30175),
        ([0, 0, 0.25, 0.25, 0.25], 0.5),
        ([0.1] * 9, 0.1),
    ],
)
def test_more_channels_are_mixed_by_the_mono_row_of_bs_775(
    tmp_path: Path, channels: list[float], mono: float
) -> None:
    assert surround(tmp_path, channels) == pytest.approx([round(mono * 32_768)] * 10, abs=2)


def test_a_mix_that_would_clip_is_scaled_down(tmp_path: Path) -> None:
    assert surround(tmp_path, [0.5, 0.5, 0.9, 0, 0.5, 0.5]) == pytest.approx([32_767] * 10, abs=2)
    low_high = np.array([[0.0, 0.0, 0.9, 0.9]] * 2).T * 32_768
    six = np.zeros((4, 6))
    six[:, 0] = six[:, 2] = low_high[:, 0]
    pcm = samples_of(
        read_wav(saved(tmp_path, riff(fmt(1, 6, 8_000, 16), six.astype("<i2").tobytes())), 8_000)
    )
    assert pcm.tolist() == pytest.approx([0, 0, 32_767, 32_767], abs=2)


def test_a_channel_mask_places_the_channels(tmp_path: Path) -> None:
    """Left, right, low frequency (2.1); by default, three channels are left, right, center."""
    header = bytearray(extensible(1, 3, 8_000, 16))
    header[20:24] = struct.pack("<I", 0xB)
    assert surround(tmp_path, [0, 0, 0.5], bytes(header)) == [0] * 10
    header[20:24] = struct.pack("<I", 0x7)
    assert surround(tmp_path, [0, 0, 0.5], bytes(header)) == pytest.approx([16_384] * 10, abs=2)


def test_channels_that_cancel_each_other_out_are_reported(tmp_path: Path) -> None:
    values = samples_of(tone(8_000, 0.1))

    def advice(*channels: np.ndarray) -> list[str]:
        content = np.column_stack(channels).astype("<i2").tobytes()
        found: list[str] = []
        read_wav(saved(tmp_path, riff(fmt(1, len(channels), 8_000, 16), content)), 8_000, found.append)
        return found

    (sentence,) = advice(values, -values)
    assert sentence.startswith(
        "The 2 channels of sound.wav cancel each other out: their mix is nearly silent."
    )
    assert advice(values, values) == advice(values, values * 0) == advice(values) == []
    assert advice(values * 0, values * 0) == []
    assert advice(values, -values, values * 0) != []


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    assert error_of(tmp_path / "pipe.wav").endswith("pipe.wav is a pipe. Save its contents to a file first.")
    with pytest.raises(
        AudioFileError, match=r"Cannot write to .*pipe\.wav: nothing is reading from this pipe\."
    ):
        WavWriter(tmp_path / "pipe.wav", 8_000)


def test_a_pipe_gets_a_wav_of_unknown_length(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    with WavWriter(tmp_path / "pipe", 8_000) as writer:
        writer.write(RAMP.tobytes())
        writer.write(RAMP.tobytes())
    content = os.read(reader, 100_000)
    assert read_wav(saved(tmp_path, content), 8_000) == RAMP.tobytes() * 2
    stalled = WavWriter(tmp_path / "pipe", 8_000)
    with pytest.raises(AudioFileError, match="the program that reads it is not keeping up"):
        stalled.write(bytes(10_000_000))
    stalled.close()
    os.close(reader)


def test_a_device_is_written_to_and_a_link_is_followed(tmp_path: Path) -> None:
    with WavWriter("/dev/null", 8_000) as writer:
        writer.write(RAMP.tobytes())
    assert Path("/dev/null").is_char_device()
    target = tmp_path / "target.wav"
    target.write_text("before")
    target.chmod(0o604)
    (tmp_path / "link.wav").symlink_to(target)
    with WavWriter(tmp_path / "link.wav", 8_000) as writer:
        writer.write(RAMP.tobytes())
    assert read_wav(target, 8_000) == RAMP.tobytes()
    assert (target.stat().st_mode & 0o777, (tmp_path / "link.wav").is_symlink()) == (0o604, True)


def test_another_rate_is_resampled(tmp_path: Path) -> None:
    pcm = read_wav(saved(tmp_path, riff(fmt(1, 1, 44_100, 16), tone(44_100, 0.5))), 16_000)
    assert len(pcm) == 16_000
    assert np.abs(to_float(pcm) - to_float(tone(16_000, 0.5)))[800:-800].max() < 0.001


def test_other_chunks_are_skipped(tmp_path: Path) -> None:
    odd = b"LIST" + struct.pack("<I", 3) + b"abc\0"
    content = riff(fmt(1, 1, 8_000, 16), RAMP.tobytes(), between=odd) + b"id3 \x02\0\0\0xx"
    assert read_wav(saved(tmp_path, content), 8_000) == RAMP.tobytes()


@pytest.mark.parametrize("claimed_bytes", [0, 0xFFFF_FFFF, 1_000_000])
def test_a_file_that_was_never_finished_is_read_as_far_as_it_goes(tmp_path: Path, claimed_bytes: int) -> None:
    content = riff(fmt(1, 1, 8_000, 16), RAMP.tobytes() + b"\x01", data_bytes=claimed_bytes)
    assert read_wav(saved(tmp_path, content), 8_000) == RAMP.tobytes()


@pytest.mark.filterwarnings("error")
def test_wild_floats_do_no_harm(tmp_path: Path) -> None:
    wild = np.array([np.nan, np.inf, -np.inf, 1e300, 0.5], "<f8")
    pcm = read_wav(saved(tmp_path, riff(fmt(3, 1, 8_000, 64), wild.tobytes())), 8_000)
    assert samples_of(pcm).tolist() == [0, 32_767, -32_768, 32_767, 16_384]


@given(
    channels=st.integers(1, 3),
    width=st.sampled_from([1, 2, 3, 4]),
    frames=st.integers(1, 40),
    seed=st.integers(0, 99),
)
@settings(deadline=None)
def test_whatever_the_standard_library_writes_is_read(
    tmp_path_factory: pytest.TempPathFactory, channels: int, width: int, frames: int, seed: int
) -> None:
    path = tmp_path_factory.mktemp("wav") / "sound.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, width, 8_000, 0, "NONE", ""))
        file.writeframes(np.random.default_rng(seed).bytes(channels * width * frames))
    assert len(read_wav(path, 8_000)) == frames * 2


def test_what_cannot_be_read_gets_a_sentence(tmp_path: Path) -> None:
    missing = tmp_path / "missing.wav"
    assert error_of(missing) == f"{missing} does not exist."
    assert error_of(tmp_path) == f"{tmp_path} cannot be read: Is a directory."
    path = saved(tmp_path, b"")
    assert error_of(path) == f"{path} is empty."
    assert error_of(saved(tmp_path, b"noise" + bytes(100))) == f"{path} is not a WAV file."
    assert error_of(saved(tmp_path, riff(fmt(1, 1, 8_000, 16), b""))) == (
        f"{path} is a WAV file that contains no samples."
    )
    for content, sentence in (
        (riff(fmt(1, 0, 8_000, 16), bytes(64)), "its header states 0 channels at 8000 Hz"),
        (riff(fmt(1, 1, 0, 16), bytes(64)), "its header states 1 channels at 0 Hz"),
        (riff(b"\1\0", b"ab"), "format chunk is truncated"),
        (riff(fmt(1, 1, 8_000, 16), b"")[:36], "its format or data chunk is missing"),
    ):
        assert sentence in error_of(saved(tmp_path, content))


@given(st.binary(max_size=200), st.integers(0, 60))
@settings(deadline=None)
def test_no_file_makes_the_reader_fail_otherwise(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, cut: int
) -> None:
    whole = riff(extensible(1, 1, 8_000, 16), RAMP[:8].tobytes())
    path = saved(tmp_path_factory.mktemp("wav"), whole[:cut] + noise)
    with contextlib.suppress(AudioFileError):
        assert len(read_wav(path, 8_000)) >= 2


def test_a_written_file_is_whole_after_every_write(tmp_path: Path) -> None:
    path = tmp_path / "out.wav"
    writer = WavWriter(path, 24_000)
    assert "contains no samples" in error_of(path)
    for written in (500, 1_000, 2_000):
        writer.write(RAMP[writer.frames : written].tobytes())
        with wave.open(str(path), "rb") as file:
            assert file.getparams()[:4] == (1, 2, 24_000, written)
            assert file.readframes(written) == RAMP[:written].tobytes()
    writer.close()
    writer.close()
    assert read_wav(path, 24_000) == RAMP.tobytes()


def test_what_cannot_be_written_gets_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(AudioFileError, match=r"Cannot write to .*: No such file or directory"):
        WavWriter(tmp_path / "no" / "out.wav", 8_000)
    with (
        WavWriter(tmp_path / "out.wav", 8_000) as writer,
        pytest.raises(ValueError, match="is not a whole number of 16-bit"),
    ):
        writer.write(b"\0")


def test_a_full_disk_gets_a_sentence() -> None:
    if not Path("/dev/full").exists():
        return
    with pytest.raises(AudioFileError, match="Cannot write to /dev/full"):
        WavWriter("/dev/full", 8_000)


@pytest.mark.parametrize(
    ("kind", "samples"),
    [("WAV", "IMA_ADPCM"), ("WAV", "MS_ADPCM")]
    + [(kind, None) for kind in ("FLAC", "OGG", "MP3", "AIFF", "RF64", "CAF", "AU")],
)
def test_other_sound_files_are_read_with_the_package_for_them(
    tmp_path: Path, kind: str, samples: str | None
) -> None:
    path = tmp_path / f"line.{kind.lower()}"
    left = np.sin(np.arange(8_000) * 0.1).astype(np.float32) * 0.5
    soundfile.write(path, np.column_stack([left, left * 0.5]), 16_000, subtype=samples, format=kind)
    values = np.frombuffer(read_wav(path, 16_000), "<i2") / 32_768
    assert np.abs(values[500:7_500] - 0.75 * left[500:7_500]).max() < 0.03, "both channels, mixed down"


@pytest.mark.parametrize(
    ("kind", "shown"), [("FLAC", "a FLAC"), ("OGG", "an Ogg"), ("MP3", "an MP3"), ("AIFF", "an AIFF")]
)
def test_other_sound_files_without_it_name_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, shown: str
) -> None:
    path = tmp_path / "line"
    soundfile.write(path, np.zeros(1_600, np.float32), 16_000, format=kind)
    monkeypatch.setitem(sys.modules, "soundfile", None)
    assert error_of(path) == f"{path} is {shown} file: convert it to WAV, or run `pip install soundfile`."


def test_a_sound_file_without_a_sample_is_refused_whoever_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "empty.aiff"
    soundfile.write(path, np.zeros((0, 1), np.float32), 16_000, format="AIFF")
    assert error_of(path) == f"{path} is a sound file that contains no samples."


def test_without_it_the_sentence_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "soundfile", None)
    path = saved(tmp_path, riff(fmt(2, 1, 8_000, 4), bytes(64)))
    assert error_of(path) == (
        f"{path} contains 4-bit type 0x0002 samples: convert it to 16-bit PCM, or run `pip install soundfile`."
    )


def test_what_not_even_that_reads_is_said(tmp_path: Path) -> None:
    path = saved(tmp_path, riff(fmt(0x1234, 1, 8_000, 4), bytes(64)))
    assert error_of(path).startswith(f"{path} cannot be read: ")


@pytest.mark.parametrize("encoding", list(Encoding))
def test_a_wav_header_is_removed(encoding: Encoding) -> None:
    header = wav_header(AudioFormat(encoding, 8_000))
    assert len(header) == 44
    assert strip_wav_header(header + b"samples!") == (b"samples!", True)


def test_chunks_around_the_samples_of_a_wav_are_removed() -> None:
    fmt, listed = wav_header(AudioFormat(Encoding.PCM16, 8_000))[12:36], b"LIST\x03\x00\x00\x00abc\x00"
    wav = b"RIFF____WAVE" + listed + fmt + b"data\x04\x00\x00\x00abcd" + listed
    assert strip_wav_header(wav) == (b"abcd", True)


def test_a_wrong_length_in_a_wav_header_loses_nothing() -> None:
    fmt = wav_header(AudioFormat(Encoding.PCM16, 8_000))[12:36]
    wav = b"RIFF____WAVE" + fmt + b"data\x02\x00\x00\x00abcdefgh"
    assert strip_wav_header(wav) == (b"abcdefgh", True)


@pytest.mark.parametrize(
    "audio", [b"", b"RIFF", b"RIFFxxxxAVI ", b"RIFF____WAVE", b"RIFF____WAVEfmt \xff\xff\xff\xff"]
)
def test_what_only_begins_like_a_wav_stays_whole(audio: bytes) -> None:
    assert strip_wav_header(audio) == (audio, False)
