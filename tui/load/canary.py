"""The canary: an additional caller in a separate process, whose calls are all saved.

The canary shows what a single user hears, first without other calls and then during the other calls.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import msgspec

from tui.audio.speech import load_detector
from tui.handlers.tools.file import load_tools
from tui.load.caller import CallerScript, hold_call
from tui.load.caller_thread import Ticket
from tui.load.lateness import Lateness
from tui.load.plan import LoadPlan
from tui.load.records import CallRecord
from tui.scenario.reading import read_scenario

READY = "ready"
"""The line that the canary prints when its first call, made without other callers, has ended."""
_PAUSE_S = 1.0


def main(plan: LoadPlan) -> None:
    """Makes calls until SIGINT. Appends a record of each call to the file in the plan."""
    load_detector()
    asyncio.run(_call_again(plan))


async def _call_again(plan: LoadPlan) -> None:
    scenario = read_scenario(Path(plan.scenario))
    tools = load_tools(plan.target.tools) if plan.target.tools else []
    script = CallerScript(scenario=scenario, target=plan.target, lines=plan.lines, tools=tools)
    loop = asyncio.get_running_loop()
    lateness = Lateness("canary", lambda _: None, lambda: 1)
    watching = asyncio.ensure_future(lateness.watch())
    ended = asyncio.Event()
    ticket: Ticket[CallRecord] = Ticket(loop)

    def end() -> None:
        ended.set()
        ticket.hang_up()

    loop.add_signal_handler(signal.SIGINT, end)
    number = 0
    while not ended.is_set():
        number += 1
        ticket = Ticket(loop)
        record = await hold_call(script, f"canary-{number}", "canary", lateness, ticket, saves=True)
        _write(plan.canary_file, record)
        if number == 1:
            sys.stdout.write(f"{READY}\n")
            sys.stdout.flush()
        try:
            await asyncio.wait_for(ended.wait(), _PAUSE_S)
        except TimeoutError:
            continue
    watching.cancel()


def _write(path: str, record: CallRecord) -> None:
    with Path(path).open("ab") as file:
        file.write(msgspec.json.encode(record) + b"\n")


def read_records(path: str) -> list[CallRecord]:
    """Returns the records of the canary's calls so far; empty if there is no canary."""
    if not path or not Path(path).exists():
        return []
    lines = Path(path).read_bytes().splitlines(keepends=True)
    # The last line may be incomplete.
    return [msgspec.json.decode(line, type=CallRecord) for line in lines if line.endswith(b"\n")]
