"""The engine process, ``python -m tui.engine``: reads commands on stdin, writes frames to stdout, logs to stderr.

The end of stdin means that the screen has exited or crashed.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from typing import TYPE_CHECKING

import msgspec

from tui import collector
from tui.audio.devices import begin_trial
from tui.audio.in_thread import driver_busy
from tui.audio.speech import load_detector
from tui.callbacks import safe_callback_execution, spawn
from tui.crash import crash_details
from tui.engine.handle import NO_DEVICES
from tui.engine.wire import Unpacker, commands
from tui.exit_code import ExitCode
from tui.text.redaction import log_without_secrets

if TYPE_CHECKING:
    from tui.engine.engine import Engine

logger = logging.getLogger(__name__)

SWITCH_INTERVAL_S = 0.0005
"""Longest time for which a busy thread may keep the interpreter from the audio threads; the default
is ten times longer."""


def main() -> None:
    """Runs the engine until the screen exits."""
    collector.hold()
    stdin, stdout = take_pipes()
    log_without_secrets(logging.INFO, "%(asctime)s %(levelname)s %(name)s: %(message)s")
    # The screen handles Ctrl+C and the loss of the terminal. It ends this process through the pipe, so that the call
    # is first ended on the wire.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    warm = NO_DEVICES not in sys.argv[1:]
    if warm:
        begin_trial()  # in a child process, in parallel with the imports here
    # Loaded before there is audio, because its imports block every thread of the process for about 50 ms.
    load_detector()
    try:
        asyncio.run(serve(stdin, stdout, warm=warm))
    except Exception as error:  # noqa: BLE001 - logged, because the screen shows the log's path after a crash
        sys.stderr.write(crash_details(error))
        sys.exit(ExitCode.CRASHED)
    if driver_busy():
        # A normal exit terminates PortAudio, which must not happen while a PortAudio function is running.
        os._exit(0)


def take_pipes() -> tuple[int, int]:
    """Moves the pipes to other descriptors than 0 and 1; returns the new descriptors.

    A library that prints would otherwise write into a pipe.
    """
    stdin, stdout = os.dup(0), os.dup(1)
    # Replaced rather than closed, because the next file to be opened would get descriptor 0 or 1.
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    os.close(null)
    return stdin, stdout


async def serve(stdin: int, stdout: int, *, warm: bool) -> None:
    """Connects an engine to the pipes and runs it until it ends."""
    from tui.engine.engine import Engine  # most objects are created by these imports: see `collector.hold`

    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(stdin, "rb"))
    transport, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, os.fdopen(stdout, "wb"))

    def write(frame: bytes) -> None:
        if not transport.is_closing():
            transport.write(frame)

    engine = Engine(write, transport.get_write_buffer_size, warm=warm)
    loop.add_signal_handler(signal.SIGTERM, engine.shut_down)
    # After the imports, so that the objects that they allocated are never scanned again.
    collector.settle()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    listener = spawn(_listen(reader, engine), "engine commands")
    await engine.run()
    listener.cancel()
    await _drain(transport)


async def _listen(reader: asyncio.StreamReader, engine: Engine) -> None:
    unpacker = Unpacker()
    while data := await reader.read(65536):
        unpacker.feed(data)
        for body in unpacker.bodies():
            # Bad bytes in one frame must not end the engine and thus the call.
            try:
                received = commands(body)
            except msgspec.DecodeError:
                logger.exception("unreadable command")
                continue
            for command in received:
                await safe_callback_execution(engine.handle, command, type(command).__name__)
    engine.shut_down()


async def _drain(transport: asyncio.WriteTransport) -> None:
    """Waits up to half a second for the screen to read the last frames."""
    for _ in range(50):
        if transport.is_closing() or not transport.get_write_buffer_size():
            break
        await asyncio.sleep(0.01)
    transport.close()


if __name__ == "__main__":
    main()
