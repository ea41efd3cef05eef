"""The worker process: ``python -m tui.scenario.worker SYNTHESIZER MODEL``, started by `tui.scenario.workers`.

Either argument may be empty, as for `SpeechProcess`.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import msgspec

from tui.audio.speech import load_detector
from tui.callbacks import spawn
from tui.crash import crash_report
from tui.scenario.lines import lines_of
from tui.scenario.reading import read_scenario
from tui.scenario.running import hold_here
from tui.scenario.verdict import RunResult
from tui.scenario.workers import MOST_BYTES, CallOrder, CallOutcome
from tui.speech.process import SpeechProcess
from tui.text.visible import one_line


async def _outcome(order: CallOrder, speech: SpeechProcess) -> CallOutcome:
    try:
        scenario = read_scenario(Path(order.path))
        if order.target is None:
            await asyncio.to_thread(lines_of, scenario, speech.speak)
            return CallOutcome(order.number)
        return CallOutcome(order.number, await hold_here(scenario, order.target, speech))
    except ValueError as error:
        return CallOutcome(order.number, refused=one_line(str(error), 500))
    except Exception as error:  # noqa: BLE001 - the parent has to learn of any exception
        return CallOutcome(order.number, RunResult(late=crash_report(error)))


async def _serve(orders: int, answers: int, speech: SpeechProcess) -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=MOST_BYTES)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(orders, "rb"))

    async def answer(order: CallOrder) -> None:
        line = msgspec.json.encode(await _outcome(order, speech)) + b"\n"
        # Writing does not block: the line is short, and the parent ends this process before it stops reading.
        await asyncio.to_thread(os.write, answers, line)

    load_detector()
    tasks: set[asyncio.Task[None]] = set()
    async for line in reader:
        task = spawn(answer(msgspec.json.decode(line, type=CallOrder)), "scenario call")
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def main() -> None:
    """Reads orders and makes calls until the input ends."""
    orders, answers = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    # Libraries that print and shell commands that read must not touch the pipes.
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)
    synthesizer, model = sys.argv[1:3]
    with SpeechProcess(synthesizer=synthesizer, model=model) as speech:
        asyncio.run(_serve(orders, answers, speech))


if __name__ == "__main__":
    main()
    sys.exit(0)
