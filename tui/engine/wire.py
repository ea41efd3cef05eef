"""What crosses the pipes between screen and engine: commands down, frames up, and their framing.

A frame is four bytes of length (big-endian) and a msgpack list of items. Secrets travel in `Connect`, on a
pipe, never in argv.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from functools import cache

import msgspec

from tui.audio.devices import Device, Direction
from tui.audio.formats import AudioFormat
from tui.callbacks import CallbackStats
from tui.models.events import SessionEvent
from tui.models.target import Target
from tui.models.telemetry import Telemetry

MAX_FRAME_BYTES = 64 * 1024 * 1024


class _Item(msgspec.Struct, frozen=True, kw_only=True, tag_field="item"):
    pass


class Connect(_Item, frozen=True, tag="connect"):
    """Call the target; a call that is up is ended first."""

    target: Target


class Record(_Item, frozen=True, tag="record"):
    """Start or stop recording."""

    on: bool


class SetMuted(_Item, frozen=True, tag="mute"):
    """Mute or unmute the user."""

    muted: bool


class ChangeVolume(_Item, frozen=True, tag="volume"):
    """Playback louder or quieter by so much; 1 is the volume that leaves samples as they are."""

    by: float


class SpeakLine(_Item, frozen=True, tag="speak"):
    """Speak a caller line (its key, "1".."9") through the microphone's path."""

    key: str


class SendDtmf(_Item, frozen=True, tag="dtmf"):
    """Press keys."""

    digits: str


class SendText(_Item, frozen=True, tag="text"):
    """Take a turn in writing."""

    text: str


class SendInstructions(_Item, frozen=True, tag="instructions"):
    """Tell the agent how to behave from now on."""

    text: str


class Interrupt(_Item, frozen=True, tag="interrupt"):
    """Flush what is queued for playback."""


class HangUp(_Item, frozen=True, tag="hang_up"):
    """End the call."""


class SwitchDevice(_Item, frozen=True, tag="switch_device"):
    """Go on with another microphone or speaker, in mid-call: ``auto``, an index, or part of a name."""

    direction: Direction
    device: str


class PlayAudio(_Item, frozen=True, tag="play_audio"):
    """Play a stretch of sound through the speaker, beside any call; whatever such plays already is stopped.

    A WAV file; without ``path`` and ``wire`` it only stops. ``PlayingAudio`` tells how far it is.
    """

    clip: int = 0
    """Comes back in ``PlayingAudio``, so that whoever asked knows its own; `tui.bridge.Bridge.play` counts."""
    path: str = ""
    track: int | None = None
    """Which of the file's tracks (0: user, 1: agent); None: all of them, heard together."""
    wire: bytes = b""
    """In place of a file: samples as they were on the wire, in ``format``."""
    format: AudioFormat | None = None
    start_ms: float = 0.0
    end_ms: float | None = None
    speed: float = 1.0
    """0.25 to 4; other than 1 it changes the pitch too."""
    output: str = "auto"
    """As the option of that name; a file there is taken for ``auto``."""


class FindPeaks(_Item, frozen=True, tag="find_peaks"):
    """Ask for the outline of a WAV file; `Peaks` follow, as they are found."""

    path: str


class ListDevices(_Item, frozen=True, tag="list_devices"):
    """Ask for a `DeviceList`."""

    anew: bool = False
    """Look for devices that came or went: what is open is closed for that, and opened again."""


class Pause(_Item, frozen=True, tag="pause"):
    """The screen is about to stop reading (ctrl+z), or reads again: hold frames back meanwhile."""

    paused: bool


class TraceCallbacks(_Item, frozen=True, tag="trace_callbacks"):
    """Measure every registered callback from now on, or no longer; a `CallbackFigures` follows while it is on."""

    on: bool


class Shutdown(_Item, frozen=True, tag="shutdown"):
    """Say goodbye on the wire, close everything, end."""


Command = (
    Connect
    | Record
    | SetMuted
    | ChangeVolume
    | SpeakLine
    | SendDtmf
    | SendText
    | SendInstructions
    | Interrupt
    | HangUp
    | SwitchDevice
    | PlayAudio
    | FindPeaks
    | ListDevices
    | Pause
    | TraceCallbacks
    | Shutdown
)


class MessagesFile(_Item, frozen=True, tag="session_file"):
    """Where the raw messages of the session that begins now are kept."""

    path: str


class DeviceList(_Item, frozen=True, tag="devices"):
    """The sound devices, or what is wrong with them."""

    devices: tuple[Device, ...]
    problem: str = ""

    def usable(self, direction: Direction) -> list[Device]:
        """Those that can be the microphone ("input") or the speaker ("output")."""
        return [device for device in self.devices if device.channels(direction)]

    def spec_of(self, device: Device, direction: Direction) -> str:
        """What to ask for it by: its name, which holds the next time; an index only for names that come twice."""
        alone = [other.name for other in self.usable(direction)].count(device.name) == 1
        return device.name if alone else str(device.index)


class PlayingAudio(_Item, frozen=True, tag="playing_audio"):
    """How far `PlayAudio` is: what leaves the speaker now, on the file's own clock. Latest wins."""

    clip: int
    """Of the `PlayAudio`."""
    at_ms: float
    playing: bool
    problem: str = ""
    """One sentence where it could not be played."""


class Peaks(_Item, frozen=True, tag="peaks"):
    """A part of the outline of a WAV file, in order."""

    path: str
    first_bin: int = 0
    bins: int = 0
    """Of the whole file."""
    bin_ms: float = 0.0
    tracks: tuple[bytes, ...] = ()
    """Of each track the loudest sample of every bin, of full scale 255."""
    problem: str = ""
    """One sentence where it could not be read (on)."""


class CallbackFigures(_Item, frozen=True, tag="callbacks"):
    """What tracing has measured in the engine so far."""

    stats: tuple[CallbackStats, ...]


class EventItem(_Item, frozen=True, tag="event"):
    """One event of the session."""

    event: SessionEvent


class TelemetryItem(_Item, frozen=True, tag="telemetry"):
    """The newest telemetry."""

    telemetry: Telemetry


FrameItem = MessagesFile | DeviceList | PlayingAudio | Peaks | CallbackFigures | EventItem | TelemetryItem

_encoder = msgspec.msgpack.Encoder()


def pack(items: Iterable[Command | FrameItem]) -> bytes:
    """Returns one frame with these items."""
    body = _encoder.encode(list(items))
    return struct.pack(">I", len(body)) + body


class Unpacker:
    """Splits a byte stream, which arrives in pieces of any size, into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Add bytes that arrived."""
        self._buffer += data

    def bodies(self) -> Iterator[bytes]:
        """Yields the complete frames, without their length. Raises `ValueError` for one that is too long."""
        while len(self._buffer) >= 4:
            (length,) = struct.unpack_from(">I", self._buffer)
            # Something else wrote to the pipe, so every length that follows would be wrong as well.
            if length > MAX_FRAME_BYTES:
                raise ValueError(f"a frame of {length} bytes is over the limit of {MAX_FRAME_BYTES}")
            if len(self._buffer) < 4 + length:
                return
            body = bytes(self._buffer[4 : 4 + length])
            del self._buffer[: 4 + length]
            yield body


def commands(body: bytes) -> list[Command]:
    """Returns the commands of one frame. Raises `msgspec.DecodeError`."""
    return _command_decoder().decode(body)


def frame_items(body: bytes) -> list[FrameItem]:
    """Returns the items of one frame. Raises `msgspec.DecodeError`."""
    return _frame_decoder().decode(body)


# Made when they are first used: each process needs only one of them, and the screen none for its first picture.


@cache
def _command_decoder() -> msgspec.msgpack.Decoder[list[Command]]:
    return msgspec.msgpack.Decoder(list[Command])


@cache
def _frame_decoder() -> msgspec.msgpack.Decoder[list[FrameItem]]:
    return msgspec.msgpack.Decoder(list[FrameItem])
