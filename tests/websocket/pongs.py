"""Makes a server ignore pings, as some media servers do."""

from __future__ import annotations

import asyncio

from websockets.asyncio.server import ServerConnection
from websockets.frames import Frame, Opcode


def ignore_pings(connection: ServerConnection) -> asyncio.Event:
    """Ignores pings on this connection until the returned event is set."""
    answers = asyncio.Event()
    handle = connection.protocol.recv_frame

    def recv_frame(frame: Frame) -> None:
        if frame.opcode is not Opcode.PING or answers.is_set():
            handle(frame)

    connection.protocol.recv_frame = recv_frame  # type: ignore[method-assign]
    return answers
