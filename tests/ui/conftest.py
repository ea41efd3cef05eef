"""Fixtures for a screen without a terminal, an engine or a clock."""

from __future__ import annotations

import asyncio
import gc
import os
import time
import weakref
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from textual import events
from textual._compositor import Compositor
from textual._context import visible_screen_stack
from textual._queue import Queue
from textual.css.model import RuleSet
from textual.css.stylesheet import Stylesheet
from textual.message import Message
from textual.message_pump import MessagePump
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widget import Widget

from tests.ui.fakes import FakeClock, FakeEngine, Script, a_call, to_active
from tui.app import Launch, OpusAgentApp
from tui.bridge import Bridge
from tui.callbacks import callback_tracing
from tui.engine.wire import Command, FrameItem
from tui.library import Library, Opened
from tui.models.target import Target
from tui.saving.record import SessionRecord
from tui.screens.palette import ActionCommands
from tui.screens.session import SessionScreen
from tui.targets import Targets
from tui.view.playhead import Playhead

SNAPSHOTS = Path(__file__).parent / "snapshots"
_HANDLER_S = 30.0
"""Limit in seconds for the handling of all messages; generous, because a starved machine is slow."""
_PARSED: dict[object, list[RuleSet]] = {}
_PARSE_RULES = Stylesheet._parse_rules
_PAINT = Compositor.render_update
TARGET = Target(url="ws://127.0.0.1:38211/audiocodes", title="demo")

S = TypeVar("S", bound=Screen[Any])
_TARGETS = ("base", "profiles", "recent", "protocols", "start_demo", "on_remembered", "saved")


@pytest.fixture(autouse=True, scope="package")
def rare_collections() -> Iterator[None]:
    """Collects garbage rarely.

    A hundred applications have a hundred thousand objects, and scanning them took a third of the time.
    """
    before = gc.get_threshold()
    gc.set_threshold(200_000, 50, 1000)
    yield
    gc.set_threshold(*before)


@pytest.fixture
def untraced(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """For tests that turn tracing on: removes callbacks left by earlier tests, and turns tracing off at the end."""
    monkeypatch.setattr(callback_tracing, "_owners", weakref.WeakSet())
    yield
    callback_tracing.disable()
    callback_tracing.reset()


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "SSH_CONNECTION", "TEXTUAL", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)


class WatchedQueue(Queue[Message | None]):
    """A message queue that knows whether the last message taken from it is still being handled."""

    handling = False

    async def get(self) -> Message | None:
        message = await super().get()
        self.handling = True
        return message

    def get_nowait(self) -> Message | None:
        message = super().get_nowait()
        self.handling = True
        return message

    def task_done(self) -> None:
        self.handling = False


@pytest.fixture(autouse=True)
def watched_queues(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textual.message_pump.Queue", WatchedQueue)


@pytest.fixture(autouse=True)
def frugal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Paints only what a test reads, and parses each style sheet only once."""

    def parse_rules(self: Stylesheet, *source: Any, **kinds: Any) -> list[RuleSet]:
        key = (tuple(self._variables.items()), source, tuple(kinds.items()))
        if key not in _PARSED:
            _PARSED[key] = _PARSE_RULES(self, *source, **kinds)
        return _PARSED[key]

    def paint(self: Compositor, full: bool = False, **options: Any) -> object:
        if full:
            return _PAINT(self, full, **options)
        self._dirty_regions.clear()
        return None

    monkeypatch.setattr(Stylesheet, "_parse_rules", parse_rules)
    monkeypatch.setattr(Compositor, "render_update", paint)


class Stage:
    """The running application and its connections."""

    def __init__(self, app: OpusAgentApp, engine: FakeEngine, clock: FakeClock, pilot: Pilot[int]) -> None:
        self.app, self.engine, self.clock, self.pilot = app, engine, clock, pilot
        opened = app.library.opened
        shown = app.screen
        self.session = shown if opened and isinstance(shown, SessionScreen) else app.session
        self.bridge = opened.bridge if opened else app.bridge

    async def play(self, items: Sequence[FrameItem]) -> None:
        """Makes the engine send these items and the screen draw them."""
        self.engine.frames += items
        await self.tick()

    async def tick(self) -> None:
        self.app.tick()
        await self.settle()

    async def press(self, *keys: str) -> None:
        """Presses keys like a terminal. Unlike the pilot, does not wait for an idle processor."""
        for key in keys:
            character = " " if key == "space" else key if len(key) == 1 else None
            self.app.post_message(events.Key(key, character))
            await self.settle()
        await self.tick()

    async def settle(self) -> None:
        """Waits until all messages, and messages that result from them, have been handled."""
        give_up = time.monotonic() + _HANDLER_S
        while self._busy():
            assert time.monotonic() < give_up, "a message is still being handled"
            await asyncio.sleep(0)
        if not self._laid_out():
            await self.until(self._laid_out)
            await self.pilot._wait_for_screen()  # widgets receive their new sizes by message

    def _busy(self) -> bool:
        """Returns whether a message is queued or being handled, or anything waits for the next paint."""
        pumps: tuple[MessagePump, ...] = (self.app, *self.app._registry)
        queues: list[Any] = [pump._message_queue for pump in pumps]
        return (
            any(queue.values for queue in queues)
            or any(isinstance(queue, WatchedQueue) and queue.handling for queue in queues)
            or any(pump._next_callbacks for pump in pumps)
            or any(screen._callbacks for screen in self.app.screen_stack)
        )

    def _laid_out(self) -> bool:
        widgets = self.app.screen.walk_children(Widget, with_self=True)
        return not any(widget._layout_required or widget._scroll_required for widget in widgets)

    def top(self) -> Screen[object]:
        """Returns the current top screen. A type checker assumes that `app.screen` does not change."""
        return self.app.screen

    def screen(self, kind: type[S]) -> S:
        """Returns the current top screen, which must be of this kind."""
        assert isinstance(self.app.screen, kind)
        return self.app.screen

    def focused(self) -> Widget | None:
        """The focused widget, which receives the keys."""
        return self.app.focused

    @property
    def number(self) -> int:
        """Number of the event under the log's cursor."""
        row = self.session.log_pane.row
        assert row is not None
        return self.bridge.log.event(row).number

    async def until(self, condition: Callable[[], object], limit_s: float = 10) -> None:
        """Handles messages until the condition holds."""
        give_up = time.monotonic() + limit_s
        while not condition():
            assert time.monotonic() < give_up, "it did not come to pass"
            await asyncio.sleep(0.001)

    def sent(self) -> list[Command]:
        """Returns the commands sent to the engine since the previous call."""
        sent, self.engine.sent = self.engine.sent, []
        return sent

    async def palette(self) -> list[str]:
        """Returns what the palette lists for the top screen, as ``Area: Name  key``."""
        return [str(hit.prompt) async for hit in ActionCommands(self.app.screen).discover()]

    def text(self, selector: str = "") -> str:
        """Returns the text of the screen, or of the first widget that matches a CSS selector on the top screen."""
        visible_screen_stack.set(self.app._background_screens)
        strips = self.app.screen._compositor.render_strips()[: self.app.size.height]
        if selector:
            area = self.app.screen.query(selector).first().region
            strips = [strip.crop(area.x, area.right) for strip in strips[area.y : area.bottom]]
        return "\n".join(strip.text.rstrip() for strip in strips) + "\n"

    def check(self, name: str, selector: str) -> None:
        """Compares a pane, dialog or line of the screen with its snapshot for this size.

        Never the whole screen, because a change of the footer would change every file.
        """
        width, height = self.app.size
        check_snapshot(f"{name}-{width}x{height}", self.text(selector))


Staging = Callable[..., AbstractAsyncContextManager[Stage]]


@pytest.fixture
def stage(tmp_path: Path) -> Staging:
    """Returns a factory for ``async with stage(size=(80, 24)) as s:``.

    It takes options of the app, of `Targets` and of `Launch`. With a ``playhead``, a saved session is open,
    with the content of ``recorded``, read from the stage's engine.
    """

    @asynccontextmanager
    async def run(
        size: tuple[int, int] = (80, 24),
        *,
        target: Target | None = TARGET,
        playhead: Playhead | None = None,
        library: Library | None = None,
        recorded: SessionRecord | None = None,
        **options: object,
    ) -> AsyncIterator[Stage]:
        engine, clock = FakeEngine(), FakeClock()
        library = library or Library(tmp_path / "sessions")
        calls = Bridge(engine, clock)
        if playhead is not None:
            library.opened = Opened(calls, playhead, tmp_path, recorded or SessionRecord())
            calls = Bridge(FakeEngine(), clock)
        launch = {name: options.pop(name) for name in Launch.__struct_fields__ if name in options}
        targets = {name: options.pop(name) for name in _TARGETS if name in options}
        painted = asyncio.Event()
        app = OpusAgentApp(
            calls,
            target=target,
            targets=Targets(**targets),  # type: ignore[arg-type]
            launch=Launch(auto_tick=False, on_painted=painted.set, library=library, **launch),  # type: ignore[arg-type]
            **options,  # type: ignore[arg-type]
        )
        async with app.run_test(size=size) as pilot:
            it = Stage(app, engine, clock, pilot)
            # The application calls its target after the first paint, and reports the paint after the call.
            await it.until(painted.is_set)
            await it.tick()
            yield it
        library.close()
        app.bridge.close()

    return run


def sized(*sizes: tuple[int, int]) -> pytest.MarkDecorator:
    """Runs a test on a stage of each of these sizes."""
    return pytest.mark.parametrize("size", sizes, ids=lambda size: f"{size[0]}x{size[1]}")


SIZES = [(60, 20), (80, 24), (120, 40), (200, 60)]
at_every_size = sized(*SIZES)
"""Runs a test at the sizes of the snapshots."""


@pytest.fixture
def size() -> tuple[int, int]:
    """Returns the size of the stage ``s``, which tests may override."""
    return (80, 24)


@pytest.fixture
async def s(stage: Staging, size: tuple[int, int]) -> AsyncIterator[Stage]:
    """Yields a stage on which the application calls its target. Tests name it last, so that it starts last."""
    async with stage(size) as running:
        yield running


@pytest.fixture
def script(tmp_path: Path) -> Script:
    return Script(tmp_path / "session.raw")


@pytest.fixture
async def call(script: Script, s: Stage) -> Stage:
    """Returns the stage ``s`` in an active call, without the commands that made the call."""
    await s.play(to_active(script).take())
    s.sent()
    return s


@pytest.fixture
async def booking(script: Script, s: Stage) -> Stage:
    """Returns the stage ``s`` in the call of `a_call`, in which the user books an appointment."""
    await s.play(a_call(script).take())
    s.sent()
    return s


def check_snapshot(name: str, text: str, kind: str = "txt") -> None:
    """Compares the text with the file. ``UPDATE_SNAPSHOTS=1`` writes the file (look at it afterwards)."""
    path = SNAPSHOTS / f"{name}.{kind}"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
