"""A voice server for plain PCM with planted limits.

Runs as a separate process: ``python server.py [--refuse N] …``. It prints its port and, as its last line, its
observations as JSON. It answers a caller who was loud and is quiet again with a tone.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
import signal
import sys
import time
from array import array
from http import HTTPStatus

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

RATE = 16_000
TONE = array("h", (round(8_000 * math.sin(frame * 0.2)) for frame in range(RATE // 4))).tobytes()
LOUD, QUIET_BYTES = 400, RATE * 2 * 3 // 10


class Limits:
    """The planted limits and the server's observations."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.slow_above: int = arguments.slow_above
        self.refuse_above: int = arguments.refuse_above
        self.leak_ms_per_s: float = arguments.leak_ms_per_s
        self.began_s: float | None = None
        """Time of the first call."""
        self.open = self.most = self.opened = self.refused = 0
        self.heard = 0
        """Number of calls that have sent audio, whose callers know that they were accepted."""
        self.codes: dict[str, int] = {}

    def admit(self, connection: ServerConnection, request: Request) -> Response | None:
        if self.open >= self.refuse_above:
            self.refused += 1
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "full\n")
        # Counted here, because two calls that are accepted at the same time would otherwise both be below the
        # limit.
        self.open += 1
        self.opened += 1
        self.began_s = time.monotonic() if self.began_s is None else self.began_s
        self.most = max(self.most, self.open)
        return None

    def delay_s(self) -> float:
        """Returns how long an answer takes now, in seconds."""
        leaked_ms = self.leak_ms_per_s * (time.monotonic() - (self.began_s or time.monotonic()))
        return (0.8 if self.open > self.slow_above else 0.2) + leaked_ms / 1_000

    async def hold(self, connection: ServerConnection) -> None:
        loud = False
        quiet_bytes = 0
        heard = False
        try:
            async for frame in connection:
                if not isinstance(frame, bytes) or not frame:
                    continue
                if not heard:
                    heard = True
                    self.heard += 1
                is_loud = max(array("h", frame[: len(frame) // 2 * 2]), default=0) > LOUD
                quiet_bytes = 0 if is_loud else quiet_bytes + len(frame)
                loud = loud or is_loud
                if loud and quiet_bytes > QUIET_BYTES:
                    loud = False
                    await asyncio.sleep(self.delay_s())
                    await connection.send(TONE)
        except ConnectionClosed:
            pass
        finally:
            self.open -= 1
            code = str(connection.close_code)
            self.codes[code] = self.codes.get(code, 0) + 1


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--slow-above", type=int, default=1_000_000)
    parser.add_argument("--refuse-above", type=int, default=1_000_000)
    parser.add_argument("--leak-ms-per-s", type=float, default=0.0)
    limits = Limits(parser.parse_args())
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    async with serve(limits.hold, "127.0.0.1", 0, process_request=limits.admit, compression=None) as server:
        print(next(iter(server.sockets)).getsockname()[1], flush=True)
        watching = asyncio.create_task(report(limits))  # noqa: TID251 - awaited below
        await ended.wait()
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
        print(seen(limits), flush=True)


async def report(limits: Limits) -> None:
    """Prints the observations whenever they have changed."""
    last = ""
    while True:
        if (now := seen(limits)) != last:
            print(now, flush=True)
            last = now
        await asyncio.sleep(0.05)


def seen(limits: Limits) -> str:
    names = ("open", "most", "opened", "heard", "refused", "codes")
    return json.dumps({name: getattr(limits, name) for name in names})


if __name__ == "__main__":
    asyncio.run(main())
    sys.exit(0)
