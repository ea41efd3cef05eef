"""Agents in a thread of their own, for programs that call them from another process."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from websockets.sync.server import ServerConnection, serve


@contextmanager
def serving(hold: Callable[[ServerConnection], None], **options: Any) -> Iterator[str]:
    """Runs ``hold`` for each connection; yields host and port."""
    with serve(hold, "127.0.0.1", 0, **options) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.socket.getsockname()[1]}"
        server.shutdown()
        thread.join(5)


class Witness:
    """An AudioCodes agent that accepts calls and records every message, and how each call was closed."""

    def __init__(self) -> None:
        self.url = ""
        self.told: queue.Queue[dict[str, Any]] = queue.Queue()

    def hold(self, socket: ServerConnection) -> None:
        for frame in socket:
            message = json.loads(frame)
            if message["type"] == "session.initiate":
                socket.send('{"type":"session.accepted","mediaFormat":"raw/lpcm16"}')
            self.told.put(message)
        self.told.put({"type": "closed", "code": socket.close_code})

    def until(self, kind: str) -> dict[str, Any]:
        """Returns the next message of this type; skips others."""
        while (message := self.told.get(timeout=10))["type"] != kind:
            pass
        return message

    def saw_a_goodbye(self) -> bool:
        """Waits for the end of the call; returns whether the caller ended the session and closed the socket."""
        reason: str = self.until("session.end")["reasonCode"]
        code: int = self.until("closed")["code"]
        return (reason, code) == ("client-disconnected", 1000)


@contextmanager
def witnessing() -> Iterator[Witness]:
    """Yields the running agent."""
    witness = Witness()
    with serving(witness.hold) as place:
        witness.url = f"ws://{place}/bot"
        yield witness
