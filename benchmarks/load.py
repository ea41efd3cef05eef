"""Measures what a caller of a load test costs, and whether a load test finds what is planted in a server or worker.

Run ``python benchmarks/load.py PART`` from the root folder:

* ``cost`` (default): the processor time, memory and pacing of each caller, compared with a bare websockets loop
  and an ordinary Locust user. Every generator sends 50 messages a second per caller to an echo server in a
  separate process. The server also measures the pacing: how late each message arrived for its position in
  the stream.
* ``knee``: a server that answers more slowly above ``--limit`` calls has its knee there.
* ``worker``: turns in which a worker was paused are left out of the figures and counted.
* ``leak``: a server that becomes slower over time shows as drift.

``--quick`` shortens the run. Requires the load extra and Linux.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# a script can import only from its own folder, but the program is in the root folder
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.measuring import Steal, resident_bytes

BLOCK_S, BLOCK = 0.02, bytes(640)
PACING_MS = 5.0
WARM_S, LASTS_S = 5.0, 11.0
SCENARIO = '[[step]]\nsay = "1"\nwhen = "now"\n[[step]]\nsilence = "3s"\n' * 20
LADDERS = {"bare loop": (1, 20, 40), "VoiceUser": (1, 10, 20, 30, 40), "ordinary Locust user": (1, 10, 20)}


# -- the server --


async def echo() -> None:
    """Echoes every frame; when terminated, prints how late frames were."""
    from websockets.asyncio.server import ServerConnection, serve
    from websockets.exceptions import ConnectionClosed

    lateness_ms: list[float] = []

    async def hold(connection: ServerConnection) -> None:
        arrived: list[float] = []
        try:
            async for frame in connection:
                arrived.append(time.monotonic())
                await connection.send(frame)
        except ConnectionClosed:
            pass  # generators end without closing the connection
        finally:
            kept = [at for at in arrived if at - arrived[0] > WARM_S]
            over = [at - number * BLOCK_S for number, at in enumerate(kept)]
            # The earliest tenth counts as on time, so that a generator that catches up does not count as
            # early.
            base = sorted(over)[len(over) // 10] if over else 0.0
            lateness_ms.extend(max(at - base, 0.0) * 1_000 for at in over)

    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    async with serve(hold, "127.0.0.1", 0, compression=None) as server:
        print(next(iter(server.sockets)).getsockname()[1], flush=True)
        await ended.wait()
    lateness_ms.sort()
    p50, p99 = (
        lateness_ms[int(len(lateness_ms) * share)] if lateness_ms else math.nan for share in (0.5, 0.99)
    )
    print(json.dumps({"messages": len(lateness_ms), "p50_ms": p50, "p99_ms": p99}), flush=True)


# -- generators: each prints the CPU time and memory of its process --


class Meter:
    """CPU time of this process between two points."""

    def __init__(self, callers: int) -> None:
        self._callers = callers
        self._began = (time.process_time(), time.monotonic())

    def show(self) -> None:
        """Prints the CPU time and memory used."""
        used_s, lasted_s = time.process_time() - self._began[0], time.monotonic() - self._began[1]
        share = used_s / lasted_s / self._callers
        print(json.dumps({"processor": share, "rss": resident_bytes()}), flush=True)


async def bare(url: str, callers: int) -> None:
    """Paces every caller with a separate task."""
    from websockets.asyncio.client import ClientConnection, connect

    async def send(connection: ClientConnection) -> None:
        due = time.monotonic()
        while True:
            await connection.send(BLOCK)
            due += BLOCK_S
            await asyncio.sleep(max(due - time.monotonic(), 0))

    async def receive(connection: ClientConnection) -> None:
        async for _ in connection:
            pass

    tasks = []
    for _ in range(callers):
        connection = await connect(url, compression=None)
        tasks += [asyncio.ensure_future(send(connection)), asyncio.ensure_future(receive(connection))]
    await asyncio.sleep(WARM_S)
    meter = Meter(callers)
    await asyncio.sleep(LASTS_S)
    meter.show()
    for task in tasks:
        task.cancel()
    os._exit(0)


def voice_users(url: str, callers: int) -> None:
    """Makes calls with the station of a Locust worker."""
    os.environ["LOCUST_SKIP_MONKEY_PATCH"] = "1"
    import gevent
    from locust.env import Environment
    from locust.event import Events

    from tui.load.caller import CallerScript
    from tui.load.station import Station
    from tui.models.target import Target
    from tui.scenario.lines import lines_of
    from tui.scenario.reading import read_scenario

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "bench.call.toml")
        path.write_text(SCENARIO)
        scenario = read_scenario(path)
    target = Target(url=url, protocol="pcm", input="lines", output="none")
    script = CallerScript(scenario=scenario, target=target, lines=lines_of(scenario))
    station = Station(Environment(events=Events()))
    for _ in range(callers):
        gevent.spawn(station.hold, script)
        gevent.sleep(min(1 / callers, 0.1))
    gevent.sleep(WARM_S)
    meter = Meter(callers)
    gevent.sleep(LASTS_S)
    meter.show()
    os._exit(0)


def locust_users(url: str, callers: int) -> None:
    """Paces every caller with a greenlet and the synchronous websockets client, like a Locust user."""
    import locust
    from locust.env import Environment
    from locust.event import Events
    from websockets.sync.client import connect

    class Ordinary(locust.User):
        @locust.task
        def call(self) -> None:
            import gevent

            with connect(url, compression=None) as connection:

                def receive() -> None:
                    for _ in connection:
                        pass

                gevent.spawn(receive)
                due = time.monotonic()
                while True:
                    connection.send(BLOCK)
                    due += BLOCK_S
                    gevent.sleep(max(due - time.monotonic(), 0))

    import gevent

    runner = Environment(user_classes=[Ordinary], events=Events()).create_local_runner()
    runner.start(callers, spawn_rate=max(callers, 1))
    gevent.sleep(WARM_S)
    meter = Meter(callers)
    gevent.sleep(LASTS_S)
    meter.show()
    os._exit(0)


# -- comparison --


def measure(kind: str, callers: int) -> dict[str, Any]:
    """Returns the figures of a generator with this number of callers."""
    command = [sys.executable, __file__]
    with subprocess.Popen([*command, "--echo"], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = f"ws://127.0.0.1:{int(server.stdout.readline())}/pcm"
        shown = subprocess.run(
            [*command, "--generator", kind, "--callers", str(callers), "--url", url],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout
        time.sleep(0.3)
        server.terminate()
        pacing = json.loads(server.stdout.read().splitlines()[-1])
    return {**json.loads(shown.splitlines()[-1]), **pacing, "callers": callers}


def compare(kinds: Sequence[str], *, quick: bool) -> None:
    """Measures the generators and prints a table."""
    steal = Steal()
    print("| generator | callers | processor per caller | memory per caller | pacing p50 | p99 |")
    print("| --- | --: | --: | --: | --: | --: |")
    cost: dict[str, float] = {}
    every: dict[tuple[str, int], float] = {}
    most: dict[str, int] = {}
    for kind in kinds:
        first, ladder = None, LADDERS[kind]
        for callers in ladder[:3] if quick else ladder:
            found = measure(kind, callers)
            first = first or found
            each = (found["rss"] - first["rss"]) / (callers - 1) if callers > 1 else math.nan
            memory = f"{each / 1e6:.2f} MB" if callers > 1 else f"({found['rss'] / 1e6:.0f} MB in all)"
            print(
                f"| {kind} | {callers} | {found['processor']:.2%} of a core | {memory} | {found['p50_ms']:.1f} ms | "
                f"{found['p99_ms']:.1f} ms |",
                flush=True,
            )
            every[kind, callers] = found["processor"]
            if found["p99_ms"] <= PACING_MS:
                cost[kind], most[kind] = found["processor"], callers
    print(f"\nCPU steal {steal.share:.1%}, load {os.getloadavg()[0]:.1f}")
    for kind in cost:
        print(
            f"{kind}: pacing p99 ≤ {PACING_MS:g} ms up to {most[kind]} callers, {cost[kind]:.2%} of a core each"
        )
    if voices := most.get("VoiceUser"):
        for callers in (1_000, 10_000):
            cores = math.ceil(callers / voices)
            print(f"{callers:,} callers: {cores} cores, or {math.ceil(cores / 8)} machines of 8 cores")
    for (kind, callers), processor in every.items():
        if kind == "VoiceUser" and (beside := every.get(("bare loop", callers))):
            print(f"VoiceUser / bare loop, {callers} callers: {processor / beside:.1f}x processor time")


def find_planted(part: str, *, limit: int, callers: int, quick: bool) -> None:
    """Runs load tests with planted limits, and prints a table."""
    from benchmarks.load_parts import planted

    measured = (
        planted.knee(limit, callers, quick=quick) if part == "knee" else planted.PARTS[part](quick=quick)
    )
    steal = Steal()
    rows = list(measured)
    print("| what | measured | bound | verdict |\n| --- | --- | --- | --- |")
    for row in rows:
        print(row.row(steal.share))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", nargs="?", choices=("cost", "knee", "worker", "leak"), default="cost")
    parser.add_argument("--quick", action="store_true", help="fewer callers and shorter runs")
    parser.add_argument("--only", choices=LADDERS, help="measure one kind of generator")
    parser.add_argument(
        "--limit", type=int, default=20, help="number of calls above which knee's server is slow"
    )
    parser.add_argument("--echo", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--generator", help=argparse.SUPPRESS)
    parser.add_argument("--callers", type=int, default=32, help="number of callers of knee")
    parser.add_argument("--url", help=argparse.SUPPRESS)
    options = parser.parse_args()
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (min(4_096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2
    )
    if options.echo:
        asyncio.run(echo())
    elif options.generator == "bare loop":
        asyncio.run(bare(options.url, options.callers))
    elif options.generator == "VoiceUser":
        voice_users(options.url, options.callers)
    elif options.generator == "ordinary Locust user":
        locust_users(options.url, options.callers)
    elif options.part != "cost":
        find_planted(options.part, limit=options.limit, callers=options.callers, quick=options.quick)
    else:
        compare([options.only] if options.only else list(LADDERS), quick=options.quick)


if __name__ == "__main__":
    main()
