"""A virtual microphone and speaker that are the two channels of one sink, so that a recording contains both.

A private PulseAudio server has a two-channel null sink. Its left channel is remapped to the sink
``virtual_speaker`` and its right channel to the sink ``virtual_mic_feed``; the right channel of the monitor
is the source ``virtual_mic``. A recording of the monitor has both devices on one clock, sample for sample.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
Samples = NDArray[np.int16]

_SERVER = """\
.fail
load-module module-native-protocol-unix socket={folder}/pulse.sock auth-anonymous=1 auth-cookie-enabled=0
load-module module-null-sink sink_name=duplex rate={rate} channels=2 format=s16le channel_map=front-left,front-right \
norewinds=1
load-module module-remap-sink sink_name=virtual_speaker master=duplex rate={rate} channels=1 format=s16le \
channel_map=mono master_channel_map=front-left remix=no
load-module module-remap-sink sink_name=virtual_mic_feed master=duplex rate={rate} channels=1 format=s16le \
channel_map=mono master_channel_map=front-right remix=no
load-module module-remap-source source_name=virtual_mic master=duplex.monitor rate={rate} channels=1 format=s16le \
channel_map=mono master_channel_map=front-right remix=no
load-module module-remap-source source_name=cable master=duplex.monitor rate={rate} channels=1 format=s16le \
channel_map=mono master_channel_map=front-left remix=no
{delay}
set-default-sink virtual_speaker
set-default-source virtual_mic
"""

_CABLE = "cable.conf"
_ALSA = """\
pcm.virtual_mic     {{ type asym capture.pcm  {{ type pulse server "{server}" device "{microphone}" }} }}
pcm.virtual_speaker {{ type asym playback.pcm {{ type pulse server "{server}" device "{speaker}" }} }}
pcm.!default {{
  type asym
  capture.pcm  {{ type pulse server "{server}" device "{microphone}" }}
  playback.pcm {{ type pulse server "{server}" device "{speaker}" }}
}}
ctl.!default {{ type pulse server "{server}" }}
"""


_DELAY = """\
load-module module-ladspa-sink sink_name=late_speaker sink_master=virtual_speaker plugin=delay label=delay \
control={ms:g} rate={rate} channels=1 format=float32le channel_map=mono
"""


@contextmanager
def devices(late_ms: float = 0.0) -> Iterator[dict[str, str]]:
    """Starts the sound server in a separate folder; yields the environment in which its devices are visible.

    ``late_ms`` is an additional delay of the speaker that the sound server does not report. `with_cable`
    connects the speaker to the microphone.
    """
    with tempfile.TemporaryDirectory(prefix="call-bench-") as name:
        folder = Path(name)
        server = f"unix:{folder}/pulse.sock"
        delay = _DELAY.format(ms=late_ms, rate=RATE) if late_ms else ""
        if late_ms:
            _build_delay(folder)
        (folder / "server.pa").write_text(_SERVER.format(folder=folder, rate=RATE, delay=delay))
        speaker = "late_speaker" if late_ms else "virtual_speaker"
        for name, microphone in (("asound.conf", "virtual_mic"), (_CABLE, "cable")):
            configuration = _ALSA.format(server=server, microphone=microphone, speaker=speaker)
            (folder / name).write_text(configuration)
        shown = {
            "PULSE_SERVER": server,
            "PULSE_COOKIE": f"{folder}/cookie",
            "ALSA_CONFIG_PATH": f"{folder}/asound.conf",
        }
        own = {
            "PULSE_RUNTIME_PATH": f"{folder}/run",
            "PULSE_STATE_PATH": f"{folder}/state",
            "DBUS_SESSION_BUS_ADDRESS": "",
            "LADSPA_PATH": str(folder),
        }
        command = ["pulseaudio", "-n", "-F", f"{folder}/server.pa", "--daemonize=no", "--use-pid-file=no"]
        command += ["--exit-idle-time=-1", "--realtime=yes", "--high-priority=yes", "--log-target=stderr"]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, env={**os.environ, **shown, **own}, stdout=log, stderr=log)
        try:
            _wait_until_up(shown, folder / "log")
            yield shown
        finally:
            process.terminate()
            process.wait(5)


def with_cable(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns the environment for the same devices, with the same names, with a cable from speaker to microphone."""
    path = Path(environment["ALSA_CONFIG_PATH"]).with_name(_CABLE)
    return {**environment, "ALSA_CONFIG_PATH": str(path)}


def _build_delay(folder: Path) -> None:
    source = Path(__file__).with_name("delay.c")
    command = ["cc", "-shared", "-fPIC", "-O2", "-o", f"{folder}/delay.so", str(source)]
    subprocess.run(command, check=True, capture_output=True)


def _wait_until_up(environment: Mapping[str, str], log: Path) -> None:
    for _ in range(100):
        asked = subprocess.run(["pactl", "info"], env={**os.environ, **environment}, capture_output=True)
        if asked.returncode == 0:
            return
        time.sleep(0.05)
    raise RuntimeError(f"the sound server did not come up:\n{log.read_text(errors='replace')}")


class Tracks:
    """The audio of both devices, sample for sample, and the monotonic time at which each frame was due."""

    def __init__(self, speaker: Samples, microphone: Samples, origin_ns: int) -> None:
        self.speaker = speaker
        self.microphone = microphone
        self.origin_ns = origin_ns
        """When frame 0 was due, to within a block of the recorder (5 ms). Differences within tracks are exact."""

    def ns_of(self, frame: float) -> int:
        """Returns the time at which a frame was due."""
        return self.origin_ns + round(frame * 1e9 / RATE)

    def frame_of(self, at_ns: int) -> int:
        """Returns the frame that was due at this time."""
        return round((at_ns - self.origin_ns) * RATE / 1e9)


class Recorder:
    """Records both devices for the duration of a ``with`` block; `tracks` returns the recording afterwards."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = {**os.environ, **environment}
        self._chunks: list[tuple[int, bytes]] = []

    def __enter__(self) -> Recorder:
        command = ["parec", "--device=duplex.monitor", "--format=s16le", f"--rate={RATE}", "--channels=2"]
        command += ["--channel-map=front-left,front-right", "--raw", "--latency-msec=5"]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=self._environment
        )
        self._thread = threading.Thread(target=self._read, name="recorder")
        self._thread.start()
        while not self._chunks:
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(5)
        self._thread.join()

    def _read(self) -> None:
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        while chunk := os.read(descriptor, 1 << 16):
            self._chunks.append((time.monotonic_ns(), chunk))

    def tracks(self) -> Tracks:
        """Returns the complete recording."""
        frames, origins = 0, []
        for arrived_ns, chunk in self._chunks:
            # A chunk is delivered when its first frame is due: never before, often later.
            origins.append(arrived_ns - round(frames * 1e9 / RATE))
            frames += len(chunk) // 4
        both = np.frombuffer(b"".join(chunk for _, chunk in self._chunks), "<i2")
        both = both[: len(both) // 2 * 2].reshape(-1, 2)
        return Tracks(both[:, 0].copy(), both[:, 1].copy(), min(origins))


def speak(environment: Mapping[str, str], samples: Samples) -> subprocess.Popen[bytes]:
    """Starts playing samples into the microphone."""
    command = ["pacat", "--playback", "--device=virtual_mic_feed", "--format=s16le", f"--rate={RATE}"]
    command += ["--channels=1", "--raw", "--latency-msec=500"]
    with tempfile.TemporaryFile() as file:
        file.write(samples.astype("<i2").tobytes())
        file.seek(0)
        return subprocess.Popen(
            command, stdin=file, stderr=subprocess.DEVNULL, env={**os.environ, **environment}
        )
