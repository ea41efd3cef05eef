"""DeviceCare: keeps a call's devices working through stalls, sound server failures and device switches.

PortAudio does not report a stream that stalls: the stream stays "active", raises no error and sets no flag
(measured by suspending a PulseAudio source). A stream whose sound server has exited ends, and PortAudio calls
the finished callback. A `Watchdog` therefore judges each device by the times of its callbacks, and
`DeviceCare` acts on the result.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from typing import Protocol

from tui.audio import devices
from tui.audio.calibration import KnownDevices, Timing
from tui.audio.devices import AudioDeviceError, Device
from tui.audio.in_thread import driver_hangs, in_thread
from tui.audio.load import SAFE_LATENCY, AutoLatency, CallbackLoad
from tui.audio.microphone import Microphone
from tui.audio.speaker import Speaker
from tui.callbacks import spawn
from tui.models import events as e
from tui.models.sound.pending import PendingEvents

LEAST_STALL_MS = 500.0
STALL_BLOCKS = 10
BLIND_MS = 200.0
"""Longest interval between two checks from which a stall may be concluded.

After a longer interval, the whole program, including PortAudio's thread, may have been late or suspended."""
FIRST_RETRY_S, LAST_RETRY_S = 0.5, 8.0
_FIRST_BLOCK_POLL_S, _FIRST_BLOCK_POLLS = 0.02, 25


class Health(StrEnum):
    """Health of a device."""

    WORKS = "works"
    STALLED = "stalled"
    """No callback for half a second or ten blocks, whichever is longer."""
    VANISHED = "vanished"
    """The device's stream ended without having been stopped."""


_CONDITIONS = {Health.STALLED: e.Condition.STALLED, Health.VANISHED: e.Condition.VANISHED}
_NAMES = {"capture": "microphone", "playback": "speaker"}
_STALLED_HINT = "Trying to reopen the device. It may be suspended, unplugged or in use by another program."
_GONE_HINT = "Searching for the device by name until it is back."
_HANGS_HINT = "The device will be reopened when the sound system has finished an earlier request."


class Watchdog:
    """Judges the health of one device. Times are monotonic, in ns."""

    def __init__(self, block_ms: float) -> None:
        self.health = Health.WORKS
        self.since_ns = 0
        """Time at which the device last worked; meaningful only while it does not work."""
        self._looked_ns: int | None = None
        self._saw_ns = 0
        """Start of the current run of uninterrupted checks."""
        self._limit_ns = int(max(LEAST_STALL_MS, STALL_BLOCKS * block_ms) * 1_000_000)
        self._retry_ns = 0
        self._retry_s = FIRST_RETRY_S

    def look(self, now_ns: int, callback_ns: int, *, vanished: bool) -> bool:
        """Judges the device by its last callback or, before the first callback, by its opening.

        Returns whether the health changed.
        """
        if self._looked_ns is not None and now_ns - self._looked_ns > BLIND_MS * 1_000_000:
            self._saw_ns = now_ns
        self._looked_ns = now_ns
        if vanished:
            health = Health.VANISHED
        elif self.health is Health.WORKS:
            silent_ns = now_ns - max(callback_ns, self._saw_ns)
            health = Health.STALLED if silent_ns >= self._limit_ns else Health.WORKS
        else:
            # Only a new callback ends a stall; a pause between two checks is not evidence.
            health = Health.STALLED if now_ns - callback_ns >= self._limit_ns else Health.WORKS
        if health is self.health:
            return False
        if self.health is Health.WORKS:
            self.since_ns = callback_ns
            self._retry_s = FIRST_RETRY_S
            self._retry_ns = now_ns + int(self._retry_s * 1e9)
        self.health = health
        return True

    def forget(self) -> None:
        """Resets the state, because the device is not in use."""
        self.health = Health.WORKS

    def retry_due(self, now_ns: int) -> bool:
        """Returns whether to reopen the device now.

        Each time the result is True, the wait before the next attempt doubles, up to 8 s.
        """
        if self.health is Health.WORKS or now_ns < self._retry_ns:
            return False
        self._retry_s = min(self._retry_s * 2, LAST_RETRY_S)
        self._retry_ns = now_ns + int(self._retry_s * 1e9)
        return True


class Caredfor(Protocol):
    """Interface of a microphone or speaker for `DeviceCare`."""

    @property
    def device(self) -> Device | None:
        """The device to use; None for silence or a file."""

    @property
    def callback_ns(self) -> int | None:
        """Time of the last callback of the stream; before the first callback, time of its opening.

        None while no stream should be open.
        """

    @property
    def vanished(self) -> bool:
        """Whether the device's stream ended without having been stopped."""

    async def drop(self) -> None:
        """Closes the stream temporarily.

        Until `reopen` is called, playback waits and captured audio is replaced by silence.
        """

    def take_busy_ns(self) -> int:
        """Returns the longest duration of the device's callback since the previous call, in ns."""

    async def reopen(self, device: Device) -> None:
        """Opens a device in place of the dropped stream. After `AudioDeviceError`, no stream is open."""


class DeviceCare:
    """Watches, reopens and switches devices. Runs on the engine's loop.

    Events go to ``pending``. ``on_opened`` is called when a device has been opened, even if it is the same
    device as before.
    """

    def __init__(
        self,
        *,
        block_ms: int,
        auto_latency: bool,
        pending: PendingEvents,
        on_opened: Callable[[], None],
        known: KnownDevices | None = None,
    ) -> None:
        self._known = known or KnownDevices(block_ms)
        self._dogs = {path: Watchdog(block_ms) for path in _NAMES}
        self._load = CallbackLoad(block_ms)
        self._auto_latency = AutoLatency() if auto_latency else None
        self._pending = pending
        self._on_opened = on_opened
        self._lock = asyncio.Lock()
        # Allows one change at a time for both devices. Refreshing the device list requires terminating
        # PortAudio, which ends all streams of the process, so a refresh and an opening must never overlap.
        self._recovering: set[str] = set()
        self._closed = False

    def poll(self, cared: dict[str, Caredfor], now_ns: int) -> None:
        """Judges the open devices, reports changes, and starts reopening a device if necessary."""
        if self._lock.locked():
            return  # streams closed during a change have neither stalled nor vanished
        for path, one in cared.items():
            dog, callback_ns = self._dogs[path], one.callback_ns
            if path in self._recovering:
                continue
            before = dog.health
            if callback_ns is None:
                dog.forget()
                self._report_end(path, one, before, dog, "is no longer in use", now_ns)
                continue
            if dog.look(now_ns, callback_ns, vanished=one.vanished):
                self._report_change(path, one, before, dog, now_ns)
            if dog.retry_due(now_ns):
                self._recovering.add(path)
                spawn(self._recover(path, cared), f"recover {_NAMES[path]}")

    def timing(self, microphone: Microphone, speaker: Speaker) -> Timing | None:
        """Returns the timing accuracy of the devices in use; None if there are no devices."""
        capture, playback = (one.device.name if one.device else None for one in (microphone, speaker))
        return self._known.timing(capture, playback, speaker.latency_ms)

    def callback_load(self, cared: dict[str, Caredfor], now_ns: int) -> float | None:
        """Returns the longest callback of the last second as a share of a block's length.

        Returns None if no callback ran.
        """
        busy_ns = [one.take_busy_ns() for one in cared.values() if one.callback_ns is not None]
        return self._load.worst(now_ns, busy_ns)

    def step_latency(self, speaker: Speaker | None, now_ns: int) -> None:
        """With ``--latency auto``, reopens the speaker with a larger buffer if playback stutters with a small one."""
        if self._auto_latency is None or speaker is None or speaker.device is None:
            return
        if self._auto_latency.look(now_ns, speaker.underflows):
            self._auto_latency = None
            speaker.latency = SAFE_LATENCY
            buffer_ms = float(SAFE_LATENCY) * 1000
            text = (
                f"Playback stuttered at low latency; the buffer is now {buffer_ms:.0f} ms (--latency auto)."
            )
            self._pending.notice(text, of_call=True)
            spawn(self.open_again(speaker), "open speaker with more latency")

    async def switch(self, one: Caredfor, device: Device) -> bool:
        """Switches to another device; returns whether that device is now in use.

        If the new device cannot be opened, the previous one stays in use.
        """
        async with self._lock:
            if self._closed:
                return False
            before = one.device
            # The lock covers both close and open, so that the watchdog does not mistake the gap between them
            # for a stall.
            switched = await self._try(one, device)
            # The previous device had to be closed first, because many sound cards cannot be opened twice.
            if not switched and before is not None:
                await self._try_again(one, before)
            self._on_opened()
            return switched

    async def rescan(self, cared: dict[str, Caredfor]) -> None:
        """Makes PortAudio list the devices again. Open streams are closed and reopened."""
        async with self._lock:
            concerned = [one for one in cared.values() if one.callback_ns is not None]
            try:
                await self._refresh(concerned)
            except AudioDeviceError as error:
                self._pending.error("device", str(error))
            for one in concerned:
                if one.device is not None and not self._closed:
                    await self._try_again(one, one.device)

    async def open_again(self, one: Caredfor) -> None:
        """Reopens the device to apply changed settings."""
        async with self._lock:
            if one.device is not None and not self._closed and await self._try(one, one.device):
                self._on_opened()

    async def close(self) -> None:
        """Waits for a change in progress to finish, and prevents further changes.

        Call it at the end of the call.
        """
        self._closed = True
        async with self._lock:
            pass

    async def _recover(self, path: str, cared: dict[str, Caredfor]) -> None:
        """Reopens a stalled or vanished device.

        A vanished device can be found only by listing the devices again, which closes every stream.
        """
        try:
            async with self._lock:
                vanished = self._dogs[path].health is Health.VANISHED
                if self._closed or (vanished and not cared[path].vanished):
                    return  # reopening the other device has brought this one back too
                concerned = [one for one in cared.values() if one.callback_ns is not None]
                # Refreshing terminates PortAudio, which ends all streams, so the other device must be
                # reopened too.
                if vanished:
                    await self._refresh(concerned)
                for one in concerned if vanished else [cared[path]]:
                    if one.device is not None and not self._closed:
                        await one.reopen(await in_thread(partial(_again, one.device)))
                await self._wait_for_block(cared[path])
                self._on_opened()
        except AudioDeviceError:
            pass  # the loss of the device has been reported; another attempt follows
        finally:
            self._recovering.discard(path)

    async def _refresh(self, concerned: list[Caredfor]) -> None:
        for one in concerned:
            await one.drop()
        await in_thread(devices.refresh_devices)

    async def _try_again(self, one: Caredfor, device: Device) -> None:
        """Reopens a device that worked before. If that fails, the watchdog tries again later."""
        try:
            await one.reopen(await in_thread(partial(_again, device)))
        except AudioDeviceError as error:
            if not driver_hangs():  # a hanging driver has been reported already
                self._pending.error("device", str(error))

    async def _try(self, one: Caredfor, device: Device) -> bool:
        try:
            await one.reopen(device)
        except AudioDeviceError as error:
            self._pending.error("device", str(error))
            return False
        return True

    async def _wait_for_block(self, one: Caredfor) -> None:
        """Waits up to half a second for the first block.

        Without the wait, a device that was just opened would seem to have stalled.
        """
        before_ns = one.callback_ns
        for _ in range(_FIRST_BLOCK_POLLS):
            if self._closed or one.callback_ns != before_ns:
                return
            await asyncio.sleep(_FIRST_BLOCK_POLL_S)

    def _report_change(self, path: str, one: Caredfor, before: Health, dog: Watchdog, now_ns: int) -> None:
        away_s = (now_ns - dog.since_ns) / 1e9
        # Without the driver, it is unknown whether the device exists.
        gone, hint = ("is not responding", _HANGS_HINT) if driver_hangs() else ("has disappeared", _GONE_HINT)
        now = {
            Health.WORKS: f"works again after {away_s:.1f} s",
            Health.STALLED: "is back, but delivers no audio",
            Health.VANISHED: gone,
        }
        self._report_end(path, one, before, dog, now[dog.health], now_ns)
        if dog.health is not Health.WORKS:
            what = f"{gone}."
            if dog.health is Health.STALLED:
                what, hint = f"has stalled: no audio for {away_s:.1f} s.", _STALLED_HINT
            self._pending.add(
                e.ConditionChanged(
                    at_ns=now_ns,
                    condition=_CONDITIONS[dog.health],
                    path=path,
                    text=f"{_title(path, one)} {what}",
                    hint=hint,
                    since_ns=dog.since_ns,
                )
            )

    def _report_end(
        self, path: str, one: Caredfor, before: Health, dog: Watchdog, what: str, now_ns: int
    ) -> None:
        if before is not Health.WORKS:
            self._pending.add(
                e.ConditionChanged(
                    at_ns=now_ns,
                    condition=_CONDITIONS[before],
                    path=path,
                    active=False,
                    text=f"{_title(path, one)} {what}.",
                    since_ns=dog.since_ns,
                )
            )


def _title(path: str, one: Caredfor) -> str:
    return f"The {_NAMES[path]} ({one.device.name if one.device else 'none'})"


def _again(device: Device) -> Device:
    """Returns the device with this name and direction from the current list. Raises `AudioDeviceError`."""
    direction: devices.Direction = "input" if device.input_channels else "output"
    listed = [other for other in devices.list_devices() if other.name == device.name]
    if not listed:
        raise AudioDeviceError(f"{device.name} was not found.")
    # Devices are matched by name, because indexes differ between lists.
    return next((other for other in listed if other.channels(direction)), listed[0])
