"""Runs the real screen without a terminal, with logs of a thousand and a million rows."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from textual.geometry import Region
from textual.pilot import Pilot

from benchmarks.made_up import arriving, of_its_own, write_messages
from tests.ui.fakes import FakeClock, FakeEngine
from tui import collector
from tui.app import Launch, OpusAgentApp
from tui.bridge import Bridge
from tui.engine.wire import MessagesFile
from tui.models.target import Target
from tui.widgets.event_log import EventLogPane

SIZE = (120, 40)


class LongLog:
    """An application whose log has many events, each with a row."""

    def __init__(self, app: OpusAgentApp, pilot: Pilot[int]) -> None:
        self.app, self.pilot = app, pilot

    @property
    def bridge(self) -> Bridge:
        """The application's models."""
        return self.app.bridge

    @property
    def pane(self) -> EventLogPane:
        """The log pane."""
        return self.app.session.log_pane

    def take_events(self, count: int) -> None:
        """Does what a tick does: folds new events and updates the panels."""
        for _ in range(count):
            self.bridge.fold(of_its_own(len(self.bridge.log.events) + 1))
        self.bridge.refresh()

    def paint(self) -> None:
        """Paints the pane like the compositor does."""
        width, height = self.pane.size
        self.pane.render_lines(Region(0, 0, width, height))


@asynccontextmanager
async def long_log(events: int, *, auto_tick: bool = False) -> AsyncIterator[LongLog]:
    """Runs the application. With ``auto_tick``, it ticks as it does for a user; otherwise, only on request."""
    engine = FakeEngine()
    app = OpusAgentApp(
        Bridge(engine, FakeClock()), target=Target(url="ws://x"), launch=Launch(auto_tick=auto_tick)
    )
    with tempfile.NamedTemporaryFile() as messages:
        write_messages(Path(messages.name))
        async with app.run_test(size=SIZE) as pilot:
            collector.settle()  # as the program does after its start
            engine.frames.append(MessagesFile(path=messages.name))
            for batch in arriving("each a row", events):
                for event in batch:
                    app.bridge.fold(event)
            app.tick()
            await pilot.pause()
            yield LongLog(app, pilot)
        app.bridge.close()
