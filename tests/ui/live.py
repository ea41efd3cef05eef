"""Shows the screen with an endless fake call, for visual checks: ``python -m tests.ui.live [crash]``."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

from tests.ui.fakes import FakeEngine, Script, a_call, devices, telemetry
from tui.app import Launch, OpusAgentApp, run_app
from tui.bridge import Bridge
from tui.engine.wire import Command, Connect, FrameItem, Shutdown
from tui.models.target import Target
from tui.targets import Targets


class LiveEngine(FakeEngine):
    """Plays the script repeatedly in real time, and writes received commands to a file."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.log_path = str(folder / "engine.log")
        self.frames = [devices()]
        self._folder = folder
        self._calls = 0
        self._script: Iterator[FrameItem] = iter(())
        self._began = time.monotonic()

    def send(self, command: Command) -> None:
        with (self._folder / "sent.txt").open("a") as file:
            file.write(f"{command}\n")
        if isinstance(command, Connect):
            self._calls += 1
            script = a_call(Script(self._folder / f"call{self._calls}.raw"))
            for _ in range(2000):
                script.after(20).message(
                    "userStream.chunk", {"audioChunk": "A" * 856}, sent=True, audio_ms=20
                )
                script.after(1).message("userStream.speech.hypothesis", {"text": "…"}, "and so on")
            self._script = iter(script.take())
        if isinstance(command, Shutdown):
            self.alive = False

    def drain(self) -> list[FrameItem]:
        frames = super().drain()
        for _ in range(3):
            item = next(self._script, None)
            if item is not None:
                frames.append(item)
        swing = math.sin((time.monotonic() - self._began) * 2)
        return [*frames, telemetry(-30 + 20 * swing, -25 - 15 * swing, queued_ms=400.0)]


def main() -> int:
    folder = Path(mkdtemp(prefix="opus-live-"))
    print(folder)
    engine = LiveEngine(folder)
    bridge = Bridge(engine, time.monotonic_ns)
    target = None if "connect" in sys.argv else Target(url="ws://127.0.0.1:1/audiocodes", title="made up")
    if "crash" in sys.argv:
        secret = "hunter2-local"

        def fail() -> None:
            raise RuntimeError(f"boom {len(secret)}")

        def drain() -> list[FrameItem]:
            if time.monotonic() - engine._began > 1.5:
                fail()
            return []

        engine.drain = drain  # type: ignore[method-assign]
    app = OpusAgentApp(
        bridge,
        target=target,
        targets=Targets(
            protocols=lambda: ("audiocodes", "twilio"),
            start_demo=lambda: Target(url="ws://127.0.0.1:1/demo", title="demo"),
        ),
        launch=Launch(start_engine=lambda: LiveEngine(folder)),
    )
    code = run_app(app)
    bridge.send(Shutdown())
    return code


if __name__ == "__main__":
    sys.exit(main())
