"""DeviceCare: keeps the devices of a call at work, through stalls, lost servers and changes of mind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from tui.audio import devices
from tui.audio.devices import AudioDeviceError, Device
from tui.audio.watchdog import Health, Watchdog
from tui.callbacks import spawn
from tui.models import events as e
from tui.models.sound.capture import audio_error

_CONDITIONS = {Health.STALLED: e.Condition.STALLED, Health.VANISHED: e.Condition.VANISHED}
_NAMES = {"capture": "microphone", "playback": "speaker"}
_HINTS = {
    Health.STALLED: "It is opened again until it goes on. Suspended, unplugged, or held by another program?",
    Health.VANISHED: "It is looked for by its name until it is back.",
}
_STEP_S, _PATIENCE_STEPS = 0.02, 25


class Caredfor(Protocol):
    """A microphone or a speaker that can be a device."""

    @property
    def device(self) -> Device | None:
        """The device it is to use; None: it has none."""
        ...

    @property
    def callback_ns(self) -> int | None:
        """When its stream last called back, or was opened; None while no stream is open."""
        ...

    @property
    def vanished(self) -> bool:
        """Whether its stream ended by itself."""
        ...

    async def drop(self) -> None:
        """Give back the stream; sound waits, or is silence, meanwhile."""
        ...

    def take_busy_ns(self) -> int:
        """The longest that its callback took since the last call."""
        ...

    async def reopen(self, device: Device) -> None:
        """Go on with this device. Raises `AudioDeviceError`; then there is no stream."""
        ...


class DeviceCare:
    """Watches, reopens and switches. On the engine's loop; news goes to ``tell``, ``opened`` is told of success."""

    def __init__(
        self,
        *,
        block_ms: int,
        tell: Callable[[e.SessionEvent], None],
        opened: Callable[[], None],
        clock_ns: Callable[[], int],
    ) -> None:
        self._dogs = {path: Watchdog(block_ms) for path in _NAMES}
        self._tell = tell
        self._opened = opened
        self._clock_ns = clock_ns
        self._lock = asyncio.Lock()
        self._recovering: set[str] = set()
        self._closed = False

    def poll(self, cared: dict[str, Caredfor], now_ns: int) -> None:
        """Look after whatever of capture and playback is open now."""
        if self._lock.locked():
            return  # what is closed just now was closed here
        for path, one in cared.items():
            dog, callback_ns = self._dogs[path], one.callback_ns
            if path in self._recovering:
                continue
            before = dog.health
            if callback_ns is None:
                dog.forget()
                self._tell_end(path, one, before, dog, "is no longer in use", now_ns)
                continue
            if dog.look(now_ns, callback_ns, vanished=one.vanished):
                self._tell_change(path, one, before, dog, now_ns)
            if dog.retry_due(now_ns):
                self._recovering.add(path)
                spawn(self._recover(path, cared), f"recover {_NAMES[path]}")

    async def switch(self, one: Caredfor, device: Device) -> bool:
        """Use another device; gives whether it is used now. Where that fails all stays as it was."""
        async with self._lock:
            if self._closed:
                return False
            before = one.device
            switched = await self._try(one, device)
            if not switched and before is not None:
                await self._try_again(one, before)
            self._opened()
            return switched

    async def look_again(self, cared: dict[str, Caredfor]) -> None:
        """Have PortAudio list the devices anew: what is open is closed for that, and opened again."""
        async with self._lock:
            concerned = [one for one in cared.values() if one.callback_ns is not None]
            await self._list_anew(concerned)
            for one in concerned:
                if one.device is not None and not self._closed:
                    await self._try_again(one, one.device)

    async def open_again(self, one: Caredfor) -> None:
        """Open the same device once more, with the settings it has now."""
        async with self._lock:
            if one.device is not None and not self._closed and await self._try(one, one.device):
                self._opened()

    async def close(self) -> None:
        """The call is over: look for nothing any more, and wait until what is under way has come to its end."""
        self._closed = True
        async with self._lock:
            pass

    async def _recover(self, path: str, cared: dict[str, Caredfor]) -> None:
        """Open the device again. One that vanished can only be found with every stream closed."""
        try:
            async with self._lock:
                vanished = self._dogs[path].health is Health.VANISHED
                if self._closed or (vanished and not cared[path].vanished):
                    return  # it came back with the other one
                concerned = [one for one in cared.values() if one.callback_ns is not None]
                if vanished:
                    await self._list_anew(concerned)
                for one in concerned if vanished else [cared[path]]:
                    if one.device is not None and not self._closed:
                        await one.reopen(await asyncio.to_thread(_again, one.device))
                await self._called_back(cared[path])
                self._opened()
        except AudioDeviceError:
            pass  # it is told already that the device has gone; the next attempt comes
        finally:
            self._recovering.discard(path)

    async def _list_anew(self, concerned: list[Caredfor]) -> None:
        for one in concerned:
            await one.drop()
        await asyncio.to_thread(devices.refresh_devices)

    async def _try_again(self, one: Caredfor, device: Device) -> None:
        """Open it again; where that fails the watchdog goes on trying."""
        try:
            await one.reopen(await asyncio.to_thread(_again, device))
        except AudioDeviceError as error:
            self._tell_problem(error)

    async def _try(self, one: Caredfor, device: Device) -> bool:
        try:
            await one.reopen(device)
        except AudioDeviceError as error:
            self._tell_problem(error)
            return False
        return True

    def _tell_problem(self, error: AudioDeviceError) -> None:
        self._tell(audio_error(self._clock_ns(), "device", str(error)))

    async def _called_back(self, one: Caredfor) -> None:
        """Wait a moment for the first block, so that a device is not said to stall that has just begun."""
        before_ns = one.callback_ns
        for _ in range(_PATIENCE_STEPS):
            if self._closed or one.callback_ns != before_ns:
                return
            await asyncio.sleep(_STEP_S)

    def _tell_change(self, path: str, one: Caredfor, before: Health, dog: Watchdog, now_ns: int) -> None:
        away_s = (now_ns - dog.since_ns) / 1e9
        now = {
            Health.WORKS: f"works again after {away_s:.1f} s",
            Health.STALLED: "is there again, but no sound passes",
            Health.VANISHED: "does not only stall",
        }
        self._tell_end(path, one, before, dog, now[dog.health], now_ns)
        if dog.health is not Health.WORKS:
            what = f"has stalled: no sound passed for {away_s:.1f} s."
            if dog.health is Health.VANISHED:
                what = "has gone."
            self._tell(
                e.ConditionChanged(
                    at_ns=now_ns,
                    condition=_CONDITIONS[dog.health],
                    path=path,
                    text=f"{_called(path, one)} {what}",
                    hint=_HINTS[dog.health],
                    since_ns=dog.since_ns,
                )
            )

    def _tell_end(
        self, path: str, one: Caredfor, before: Health, dog: Watchdog, what: str, now_ns: int
    ) -> None:
        if before is not Health.WORKS:
            self._tell(
                e.ConditionChanged(
                    at_ns=now_ns,
                    condition=_CONDITIONS[before],
                    path=path,
                    active=False,
                    text=f"{_called(path, one)} {what}.",
                    since_ns=dog.since_ns,
                )
            )


def _called(path: str, one: Caredfor) -> str:
    return f"The {_NAMES[path]} ({one.device.name if one.device else 'none'})"


def _again(device: Device) -> Device:
    """The device of that name and direction as it is listed now. Raises `AudioDeviceError`."""
    direction: devices.Direction = "input" if device.input_channels else "output"
    listed = [other for other in devices.list_devices() if other.name == device.name]
    if not listed:
        raise AudioDeviceError(f"{device.name} is not there.")
    return next((other for other in listed if other.channels(direction)), listed[0])
