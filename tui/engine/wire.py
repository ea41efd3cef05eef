"""The messages on the pipes between screen and engine: commands, items, and the frames that contain them.

A frame consists of four bytes for its length (big-endian) and a msgpack list of items. Secrets travel in
`Connect`, on a pipe, never in argv.
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


class PlayScenario(_Item, frozen=True, tag="play_scenario"):
    """Command: plays a scenario in the active call or, as part of `Connect`, in the new call."""

    path: str
    commands: tuple[str, ...] = ()
    """The shell commands of the scenario that the user allows."""
    synthesizer: str = ""
    """Name of the synthesizer for sentences, as in the settings; empty for the best installed synthesizer."""
    speech_model: str = ""
    """Model that recognizes the agent's words, as in the settings; empty for the installed model."""


class SteerScenario(_Item, frozen=True, tag="steer_scenario"):
    """Command: lets the user take over the call from the scenario, or lets the scenario continue."""

    by_hand: bool


class Connect(_Item, frozen=True, tag="connect"):
    """Command: calls the target, after ending an active call."""

    target: Target
    scenario: PlayScenario | None = None


class Record(_Item, frozen=True, tag="record"):
    """Command: opens or closes the microphone."""

    on: bool


class SetMuted(_Item, frozen=True, tag="mute"):
    """Command: mutes or unmutes the user."""

    muted: bool


class ChangeVolume(_Item, frozen=True, tag="volume"):
    """Command: adds ``by`` to the playback volume, which is a factor."""

    by: float


class SpeakLine(_Item, frozen=True, tag="speak"):
    """Command: plays the recorded line with this key ("1" to "9") in place of the microphone."""

    key: str


class SpeakSentence(_Item, frozen=True, tag="speak_sentence"):
    """Command: synthesizes a sentence and plays it in place of the microphone."""

    text: str
    synthesizer: str = ""
    """Name of the synthesizer to use, as in the settings; empty for the best installed synthesizer."""


class SendDtmf(_Item, frozen=True, tag="dtmf"):
    """Command: sends DTMF digits."""

    digits: str


class SendText(_Item, frozen=True, tag="text"):
    """Command: sends a typed turn."""

    text: str


class SendInstructions(_Item, frozen=True, tag="instructions"):
    """Command: replaces the agent's instructions during the call."""

    text: str


class Interrupt(_Item, frozen=True, tag="interrupt"):
    """Command: discards the agent's audio that has not been played."""


class HangUp(_Item, frozen=True, tag="hang_up"):
    """Command: ends the call."""


class SwitchDevice(_Item, frozen=True, tag="switch_device"):
    """Command: switches to another microphone or speaker during the call.

    ``device`` is ``auto``, an index or part of a name.
    """

    direction: Direction
    device: str


class PlayAudio(_Item, frozen=True, tag="play_audio"):
    """Command: plays part of a recording on the speaker, in addition to any call. Stops the previous recording.

    The recording is a WAV file (``path``) or ``wire``; without either, the command only stops playback.
    `PlayingAudio` reports the position.
    """

    clip: int = 0
    """Number of the request, which `tui.bridge.Bridge.play` assigns and `PlayingAudio` returns."""
    path: str = ""
    track: int | None = None
    """Track of the file (0: user, 1: agent); None plays all tracks together."""
    wire: bytes = b""
    """Samples as they were on the wire, in ``format``, to play instead of a file."""
    format: AudioFormat | None = None
    start_ms: float = 0.0
    end_ms: float | None = None
    speed: float = 1.0
    """Playback speed, 0.25 to 4; any value but 1 also changes the pitch."""
    output: str = "auto"
    """The output device, which takes the same values as the option ``output``; a file counts as ``auto``."""


class FindPeaks(_Item, frozen=True, tag="find_peaks"):
    """Command: requests the outline of a WAV file, which the engine sends in several `Peaks`."""

    path: str


class ListDevices(_Item, frozen=True, tag="list_devices"):
    """Command: requests a `DeviceList`."""

    anew: bool = False
    """Whether to rescan first for new and removed devices, which closes and reopens every open device."""


class Pause(_Item, frozen=True, tag="pause"):
    """Command: stops sending frames because the screen is suspended (ctrl+z), or resumes sending them."""

    paused: bool


class TraceCallbacks(_Item, frozen=True, tag="trace_callbacks"):
    """Command: turns the measurement of callbacks on or off. Measurements arrive as `CallbackFigures`."""

    on: bool


class Shutdown(_Item, frozen=True, tag="shutdown"):
    """Command: ends the call as its protocol requires, and exits."""


Command = (
    Connect
    | Record
    | SetMuted
    | ChangeVolume
    | SpeakLine
    | SpeakSentence
    | SendDtmf
    | SendText
    | SendInstructions
    | Interrupt
    | HangUp
    | SwitchDevice
    | PlayScenario
    | SteerScenario
    | PlayAudio
    | FindPeaks
    | ListDevices
    | Pause
    | TraceCallbacks
    | Shutdown
)


class MessagesFile(_Item, frozen=True, tag="session_file"):
    """The file that contains the raw messages of the new session."""

    path: str
    session: str = ""
    """The folder in which the session is saved; empty if the session is not saved."""


class DeviceList(_Item, frozen=True, tag="devices"):
    """The sound devices, or the reason why there are none."""

    devices: tuple[Device, ...]
    problem: str = ""

    def usable(self, direction: Direction) -> list[Device]:
        """Returns the devices that can be used as the microphone ("input") or the speaker ("output")."""
        return [device for device in self.devices if device.channels(direction)]

    def spec_of(self, device: Device, direction: Direction) -> str:
        """Returns the setting that selects a device: its name, or its index if several devices have the name."""
        alone = [other.name for other in self.usable(direction)].count(device.name) == 1
        return device.name if alone else str(device.index)


class PlayingAudio(_Item, frozen=True, tag="playing_audio"):
    """The position in a recording that the speaker has reached. Only the latest position is sent."""

    clip: int
    """The ``clip`` of the `PlayAudio` command."""
    at_ms: float
    playing: bool
    problem: str = ""
    """Why the recording could not be played, in one sentence; empty if there is no problem."""


class Peaks(_Item, frozen=True, tag="peaks"):
    """A part of a WAV file's outline. Parts are sent in order."""

    path: str
    first_bin: int = 0
    bins: int = 0
    """Number of bins in the whole file."""
    bin_ms: float = 0.0
    tracks: tuple[bytes, ...] = ()
    """For each track, the loudest sample of every bin, on a scale from 0 to 255."""
    problem: str = ""
    """Why the file could not be read completely, in one sentence; empty if there is no problem."""


class CallbackFigures(_Item, frozen=True, tag="callbacks"):
    """The engine's callback measurements so far."""

    stats: tuple[CallbackStats, ...]


class EventItem(_Item, frozen=True, tag="event"):
    """An event of the session."""

    event: SessionEvent


class TelemetryItem(_Item, frozen=True, tag="telemetry"):
    """The latest telemetry."""

    telemetry: Telemetry


class ReadingSession(_Item, frozen=True, tag="reading_session"):
    """Reports how much of a saved session has been read."""

    share: float
    """From 0 to 1, where 1 means the whole session."""


FrameItem = (
    MessagesFile
    | DeviceList
    | PlayingAudio
    | Peaks
    | CallbackFigures
    | EventItem
    | TelemetryItem
    | ReadingSession
)

_encoder = msgspec.msgpack.Encoder()


def pack(items: Iterable[Command | FrameItem]) -> bytes:
    """Returns a frame that contains these items."""
    # The length comes first, because a pipe has no message boundaries and a read may end anywhere.
    body = _encoder.encode(list(items))
    return struct.pack(">I", len(body)) + body


class Unpacker:
    """Splits a stream of bytes, which may arrive in pieces of any size, into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Adds received bytes."""
        self._buffer += data

    def bodies(self) -> Iterator[bytes]:
        """Removes and yields the complete frames, without their length.

        Raises `ValueError` if a frame is too long.
        """
        while len(self._buffer) >= 4:
            (length,) = struct.unpack_from(">I", self._buffer)
            # Something else wrote to the pipe, so all following lengths would be wrong as well.
            if length > MAX_FRAME_BYTES:
                raise ValueError(f"a frame of {length} bytes exceeds the limit of {MAX_FRAME_BYTES}")
            if len(self._buffer) < 4 + length:
                return
            body = bytes(self._buffer[4 : 4 + length])
            del self._buffer[: 4 + length]
            yield body


def commands(body: bytes) -> list[Command]:
    """Decodes the commands in a frame. Raises `msgspec.DecodeError`."""
    return _command_decoder().decode(body)


def frame_items(body: bytes) -> list[FrameItem]:
    """Decodes the items in a frame. Raises `msgspec.DecodeError`."""
    return _frame_decoder().decode(body)


# Created on first use, because each process needs only one of them and the screen needs none of them for its first
# picture.


@cache
def _command_decoder() -> msgspec.msgpack.Decoder[list[Command]]:
    return msgspec.msgpack.Decoder(list[Command])


@cache
def _frame_decoder() -> msgspec.msgpack.Decoder[list[FrameItem]]:
    return msgspec.msgpack.Decoder(list[FrameItem])
