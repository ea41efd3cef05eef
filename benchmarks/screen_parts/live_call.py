"""Measures CPU time and memory of the real program in tmux at 120x40, on virtual devices, in a saved call."""

from __future__ import annotations

import asyncio
import base64
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL

from benchmarks.measuring import Measured, megabytes, processor_s, resident_bytes
from tests.e2e.terminal import PROGRAM, ROOT, Terminal, virtual_audio
from tests.session.scripted import Peer, agent
from tui.assets import caller_lines, prompts
from tui.audio.wav import WavWriter, read_wav

SIZE = (120, 40)
RATE = 16_000
CHUNK_BYTES = 640
"""Size of a chunk of 20 ms, which makes 50 messages a second."""
MAX_QUIET, MAX_LIVE, MAX_HEADLESS = 0.04, 0.18, 0.03
MAX_RESIDENT_BYTES = 150e6
SETTLE_S = 5.0
WATCH_S, QUICK_WATCH_S = 30.0, 8.0
CALL_S, QUICK_CALL_S = 180.0, 15.0


@dataclass(frozen=True)
class Share:
    """Share of a core over a period."""

    screen: float
    engine: float

    def measured(self, what: str, limit: float) -> Measured:
        """Returns the row for the sum of both processes."""
        both = self.screen + self.engine
        return Measured(
            f"{what}: screen and engine",
            f"{both:.1%} of a core (screen {self.screen:.1%}, engine {self.engine:.1%})",
            f"{limit:.0%}",
            both <= limit,
        )


def measure(*, quick: bool) -> Iterator[Measured]:
    """Yields the CPU shares with capture off, in a busy call and in a headless call, and the final memory."""
    yield from asyncio.run(_measure(quick=quick))


async def _measure(*, quick: bool) -> list[Measured]:
    watch_s, call_s = (QUICK_WATCH_S, QUICK_CALL_S) if quick else (WATCH_S, CALL_S)
    with tempfile.TemporaryDirectory() as folder, virtual_audio(Path(folder, "audio"), RATE) as sound:
        places = {"XDG_CONFIG_HOME": folder, "XDG_DATA_HOME": folder}
        async with (
            agent(_listens_and_talks) as url,
            _called(Path(folder), {**sound, **places}, url) as terminal,
        ):
            quiet = await _share(terminal, watch_s)
            terminal.press("r")
            await _seen(terminal, "mic on")
            with _spoken(sound, Path(folder, "words.wav")):
                await asyncio.sleep(SETTLE_S)
                live = await _share(terminal, watch_s)
                await asyncio.sleep(max(call_s - watch_s, 0))
            screen, engine = (resident_bytes(terminal.process(module)) for module in ("tui", "tui.engine"))
    resident = [
        ("screen", screen, "tui.app"),
        ("engine", engine, "tui.engine.engine, tui.session.live, sounddevice"),
    ]
    async with agent(_listens_and_talks) as url:
        headless = await _headless_share(url, watch_s)
    return [
        Measured(
            "a headless call of the same kind (`call`), the agent talking",
            f"{headless:.1%} of a core",
            f"{MAX_HEADLESS:.0%}",
            headless <= MAX_HEADLESS,
        ),
        quiet.measured("a session with capture off, the agent silent", MAX_QUIET),
        live.measured("a live call, 50 messages a second each way, the log followed", MAX_LIVE),
        *(
            Measured(
                f"resident after {(call_s + SETTLE_S) / 60:.1f} minutes of that call: {process}",
                f"{megabytes(held)} ({megabytes(_after_import(modules))} when loaded)",
                megabytes(MAX_RESIDENT_BYTES),
                held <= MAX_RESIDENT_BYTES,
            )
            for process, held, modules in resident
        ),
    ]


@asynccontextmanager
async def _called(folder: Path, environment: dict[str, str], url: str) -> AsyncIterator[Terminal]:
    """Runs the program in a call with this agent; yields the terminal after the greeting."""
    terminal = Terminal(folder, environment, SIZE)
    terminal.run("connect", url, "--protocol", "audiocodes")
    try:
        await _seen(terminal, "active")
        await asyncio.sleep(SETTLE_S)
        yield terminal
        terminal.press("q", "Enter")  # in a call, the program asks for confirmation
        await asyncio.to_thread(terminal.wait_for, "EXIT 0")
    finally:
        terminal.kill()


async def _headless_share(url: str, watch_s: float) -> float:
    """Returns the share of a core that ``call`` uses while the agent talks endlessly."""
    command = [*PROGRAM, "call", url, "--protocol", "audiocodes", "--say", "1", "--no-save"]
    process = await asyncio.create_subprocess_exec(
        *command, "--max-turn", "600", cwd=ROOT, stdout=DEVNULL, stderr=DEVNULL
    )  # fmt: skip
    try:
        await asyncio.sleep(2 * SETTLE_S)  # meanwhile, the line is played and the agent answers
        before, began = processor_s(process.pid), time.perf_counter()
        await asyncio.sleep(watch_s)
        return (processor_s(process.pid) - before) / (time.perf_counter() - began)
    finally:
        process.terminate()
        await process.wait()


async def _seen(terminal: Terminal, text: str) -> None:
    await asyncio.to_thread(terminal.wait_for, text)


async def _share(terminal: Terminal, watch_s: float) -> Share:
    """Returns the share of a core that screen and engine use in this period."""
    pids = terminal.process("tui"), terminal.process("tui.engine")
    before, began = [processor_s(pid) for pid in pids], time.perf_counter()
    await asyncio.sleep(watch_s)
    took_s = time.perf_counter() - began
    return Share(*((processor_s(pid) - then) / took_s for pid, then in zip(pids, before, strict=True)))


async def _listens_and_talks(peer: Peer) -> None:
    """Stays silent until the user speaks, then talks endlessly in real time."""
    await peer.accept()
    await peer.until("userStream.start")
    await peer.send({"type": "userStream.started"})
    await peer.send({"type": "playStream.start", "streamId": "1", "mediaFormat": "raw/lpcm16"})
    talking = asyncio.ensure_future(_talk(peer))
    try:
        await peer.until("session.end")
    finally:
        talking.cancel()


async def _talk(peer: Peer) -> None:
    speech = b"".join(read_wav(prompt.path, RATE) for prompt in prompts().values())
    chunks = [speech[at : at + CHUNK_BYTES] for at in range(0, len(speech) - CHUNK_BYTES, CHUNK_BYTES)]
    due = time.monotonic()
    while True:
        for chunk in chunks:
            text = base64.b64encode(chunk).decode()
            await peer.send({"type": "playStream.chunk", "streamId": "1", "audioChunk": text})
            due += 0.02
            await asyncio.sleep(max(due - time.monotonic(), 0))


@contextmanager
def _spoken(sound: dict[str, str], path: Path) -> Iterator[None]:
    """Plays speech into the microphone repeatedly."""
    with WavWriter(path, RATE) as file:
        for _ in range(20):
            for line in caller_lines():
                file.write(read_wav(line.path, RATE) + bytes(RATE))
    command = ["paplay", "--device=virtual_mic_feed", str(path)]
    player = subprocess.Popen(command, env={**os.environ, **sound})
    try:
        yield
    finally:
        player.terminate()
        player.wait()


def _after_import(modules: str) -> int:
    """Returns the memory of a process that has only imported these modules."""
    code = f"import {modules}; from benchmarks.measuring import resident_bytes; print(resident_bytes())"
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    return int(told)
