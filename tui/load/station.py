"""Station: makes the calls of a worker's users."""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
import time
from collections import deque

import gevent
from gevent.timeout import Timeout
from locust.env import Environment

from tui.audio.crowd import Crowd
from tui.audio.speech import load_detector
from tui.load.caller import CallerScript, hold_call
from tui.load.caller_thread import CallerThread, Ticket
from tui.load.lateness import Lateness
from tui.load.records import CallAccepted, CallBegan, CallEnding, CallRecord, Record, encode
from tui.text.visible import one_line

logger = logging.getLogger(__name__)

RECORDS = "opusagent-tui records"
"""Type of the messages from a worker to its master."""
HANG_UP = "opusagent-tui hang up"
"""Type of the messages from a master to its workers."""
HANG_UP_S = 10.0
"""Time limit, in seconds, for all calls to end properly, including the wait for the agent's goodbye."""
_FLUSH_S = 0.25


class Station:
    """Makes the calls of one Locust process and sends their records to the master. For use by greenlets.

    Raises `tui.load.caller_thread.ThreadsReplaced`.
    """

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._outbox: deque[Record] = deque()
        self._numbers = itertools.count(1)
        load_detector()  # loading it later would delay calls in progress
        self.thread = CallerThread()
        self.worker: str = getattr(environment.runner, "client_id", "local")
        self.stopping = False
        """Whether the load test is being stopped, so that no call may begin."""
        self._lateness = Lateness(self.worker, self._outbox.append, lambda: self.thread.calls - 1)
        self._crowd = Crowd()
        self._watch = self.thread.submit(lambda _: self._serve())
        self._flusher = gevent.spawn(self._flush_always)

    def hold(self, script: CallerScript, *, keep: float = 0.0) -> CallRecord:
        """Makes a call and returns its record.

        If the greenlet is killed, first hangs up in the way that the protocol requires.
        """
        call = f"{self.worker}-{next(self._numbers)}"
        began_s = time.time()
        # Sent before the call, so that the call is known even if the worker is lost later.
        self._outbox.append(CallBegan(call, self.worker, began_s))
        self.flush()
        saves = bool(script.target.save) and (script.keep_if is not None or random.random() < keep)
        ticket = self.thread.submit(lambda ticket: self._held(script, call, ticket, began_s, saves=saves))
        try:
            return ticket.wait()
        except gevent.GreenletExit:
            ticket.hang_up()
            with Timeout(HANG_UP_S, False):
                ticket.result.wait()
            raise

    def begin(self) -> None:
        """Allows calls again, because a new load test begins."""
        self.stopping = False

    def hang_up_all(self) -> None:
        """Hangs up every call in the way that its protocol requires. Then sends the waiting records."""
        self.stopping = True
        if not self.thread.hang_up_all(HANG_UP_S, except_for=self._watch):
            logger.warning("Some calls were still active %g s after they were hung up.", HANG_UP_S)
        self.flush()

    def close(self) -> None:
        """Hangs up all calls and stops the thread."""
        self.hang_up_all()
        self._flusher.kill()
        self._watch.hang_up()
        with Timeout(1, False):
            self._watch.result.wait()
        self.thread.close()

    def flush(self) -> None:
        """Sends the waiting records to the master."""
        records = [self._outbox.popleft() for _ in range(len(self._outbox))]
        if records and self._environment.runner is not None:
            self._environment.runner.send_message(RECORDS, encode(records))

    def _flush_always(self) -> None:
        while True:
            gevent.sleep(_FLUSH_S)
            self.flush()

    async def _serve(self) -> None:
        """Runs the tasks that all calls share, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._lateness.watch())
            tasks.create_task(self._crowd.run())

    async def _held(
        self, script: CallerScript, call: str, ticket: Ticket[CallRecord], began_s: float, *, saves: bool
    ) -> CallRecord:
        """Makes a call on the thread's loop and queues its record, even if no greenlet waits for it any longer."""

        def without_call(outcome: CallEnding, kind: str = "", reason: str = "") -> CallRecord:
            return CallRecord(
                call=call,
                worker=self.worker,
                began_s=began_s,
                ended_s=time.time(),
                outcome=outcome,
                kind=kind,
                reason=reason,
            )

        try:
            record = await hold_call(
                script,
                call,
                self.worker,
                self._lateness,
                ticket,
                saves=saves,
                crowd=self._crowd,
                accepted=lambda: self._outbox.append(CallAccepted(call)),
            )
        except asyncio.CancelledError:
            record = without_call(CallEnding.STOPPED)
        except Exception as error:  # one failing call must not end the others
            logger.exception("A call ended with an internal error.")
            text = one_line(f"{type(error).__name__}: {error}", 200)
            record = without_call(CallEnding.FAILED, "internal error", text)
        self._outbox.append(record)
        return record
