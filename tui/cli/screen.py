"""Runs the screen and the processes that it needs: an engine and, if necessary, the local agent."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from tui import collector
from tui.audio.endpoints import wants_device
from tui.cli.options import pass_time_limit
from tui.config.reading import SettingsInForce
from tui.config.targets import AddressBook, sessions_folder
from tui.config.writing import change_file
from tui.engine.handle import EngineHandle
from tui.models.target import Target
from tui.settings import AUTO

if TYPE_CHECKING:
    from tui.agent.process import AgentProcess
    from tui.agent.settings import AgentSettings
    from tui.bridge import Bridge
    from tui.engine.wire import PlayScenario
    from tui.library import Library
    from tui.targets import Targets


LISTED_SESSIONS = 3
"""Number of saved sessions listed on the first screen."""


class LocalAgent:
    """The local agent that belongs to the screen. The agent starts on the first call, and restarts if it has died."""

    def __init__(self, settings: AgentSettings | None, base: Target) -> None:
        self._settings = settings
        self._base = base
        self._process: AgentProcess | None = None

    def start(self) -> AgentProcess:
        """Starts the agent, unless it is running, without waiting until it listens. Raises `AgentError`."""
        # Imported late, like everything that is not needed for the first paint.
        from tui.agent.process import start_agent
        from tui.agent.settings import AgentSettings

        if self._process is None or not self._process.is_running:
            self._process = start_agent(self._settings or AgentSettings())
        return self._process

    def target(self) -> Target:
        """Waits until the agent listens; returns a target for it. Raises `RuntimeError` with a sentence."""
        from urllib.parse import urlencode

        from tui.agent.settings import AgentError
        from tui.protocols.registry import protocol_named
        from tui.targets import DEMO_TITLE

        named = self._base.protocol
        protocol = protocol_named("audiocodes" if named == AUTO else named)
        try:
            url = self.start().url(protocol.path)
        except AgentError as error:
            raise RuntimeError(str(error)) from error
        # Settings that no message contains must be passed to the agent in its URL.
        shared = {name: value for name, value in self._base.options.items() if name in protocol.wire_options}
        url += f"?{urlencode(shared)}" if shared else ""
        return msgspec.structs.replace(self._base, url=url, protocol=protocol.name, title=DEMO_TITLE)

    def stop(self) -> None:
        """Stops the agent once it has ended its calls."""
        if self._process is not None:
            self._process.stop()


class Engines:
    """The engine processes of the screen: the first engine, and engines that replaced a dead engine."""

    def __init__(self, *, devices: bool) -> None:
        self.first = EngineHandle(devices=devices)
        self._all = [self.first]

    def start_another(self) -> EngineHandle:
        """Starts an engine to replace a dead engine."""
        self._all.append(EngineHandle().start())
        return self._all[-1]

    def stop(self) -> None:
        """Stops all engines."""
        for engine in self._all:
            engine.stop()


class Opening(msgspec.Struct, frozen=True):
    """The screen to show first: a saved session or the list of sessions."""

    folder: Path
    """The folder that contains the sessions."""
    session: Path | None = None
    """Folder of the session to open; None shows the list of all sessions."""
    speed: float | None = None
    """Replay speed as a multiple of real time; None shows the whole session immediately."""
    output: str = AUTO
    """The speaker on which to play the session."""


def run_screen(
    target: Target | None,
    book: AddressBook,
    in_force: SettingsInForce,
    *,
    agent: AgentSettings | None = None,
    start_demo: bool = False,
    opening: Opening | None = None,
    trace_callbacks: bool = False,
    scenario: PlayScenario | None = None,
) -> int:
    """Runs the screen until the user quits; returns the exit code. Raises `SettingsError`, `SavedSessionError`."""
    pass_time_limit(in_force)
    called = target or (book.demo if start_demo else book.base)
    local, engines = LocalAgent(agent, book.demo), Engines(devices=wants_device(called.input, called.output))
    with ExitStack() as at_end:
        at_end.callback(local.stop)
        at_end.callback(engines.stop)
        from tui.app import Launch, OpusAgentApp, run_app
        from tui.bridge import Bridge
        from tui.remembered import remember_screen, screen_memory
        from tui.screens.settings import check_screen

        check_screen(in_force)
        bridge = Bridge(engines.first, time.monotonic_ns)
        at_end.callback(bridge.close)
        library = _library(opening, sessions_folder(in_force), engines.first)
        at_end.callback(library.close)
        app = OpusAgentApp(
            bridge,
            target=target,
            targets=_targets(book, local, in_force),
            memory=screen_memory(),
            settings=in_force.settings,
            launch=Launch(
                call_demo=start_demo,
                scenario=scenario,
                library=library,
                browse=opening is not None,
                start_engine=engines.start_another,
                on_painted=engines.first.start,
                once_up=collector.settle,
                change_settings=partial(change_file, in_force.path),
                trace_callbacks=trace_callbacks,
            ),
        )
        code = run_app(app, remember_screen) or bridge.state.exit_code
    click.echo("".join(f"{line}\n" for line in farewell(bridge, library.folder)), nl=False, err=True)
    return code


def _library(opening: Opening | None, folder: Path, sound: EngineHandle) -> Library:
    """Returns the library of saved sessions. Opens a session if requested. Raises `SavedSessionError`."""
    from tui.library import Library

    if opening is None:
        return Library(folder)
    library = Library(opening.folder, output=opening.output)
    if opening.session is not None:
        library.open(opening.session, sound, speed=opening.speed)
    return library


def farewell(bridge: Bridge, sessions: Path) -> Iterator[str]:
    """Yields lines to print after the screen closes: why the last call failed, and where its session was saved.

    Also explains how to open and send the session. ``sessions`` is the folder in which sessions are found by
    name.
    """
    from tui.text import numbers
    from tui.text.visible import one_line

    state, folder = bridge.state, bridge.folder.path
    error = state.fatal_error
    if error is not None:
        yield one_line(f"✗ {error.message} {error.hint}".rstrip(), 1000)
    if folder is None or not folder.is_dir():
        return
    length = numbers.clock(state.metrics.duration_s(bridge.clock_ns()))
    yield f"Saved {length} to {one_line(str(folder), 500)}"
    # The time at the beginning of the name is sufficient, and needs no quotes.
    name = shlex.quote(str(folder)) if folder.parent != sessions else folder.name.partition(" ")[0]
    yield f"Open it: opusagent-tui open {name}"
    yield f"Send it: opusagent-tui report {name}"


def _targets(book: AddressBook, local: LocalAgent, in_force: SettingsInForce) -> Targets:
    from tui.protocols.registry import names
    from tui.remembered import recent_targets, remember_target
    from tui.targets import Targets

    return Targets(
        base=book.base,
        profiles=book.profiles,
        recent=recent_targets(book.base),
        protocols=lambda: (AUTO, *names()),
        saved=lambda: _saved(in_force),
        start_demo=local.target,
        on_remembered=remember_target,
    )


def _saved(in_force: SettingsInForce) -> list[tuple[Path, str]]:
    from tui.saving.listing import newest_in_lines
    from tui.saving.record import SavedSessionError

    try:
        return newest_in_lines(sessions_folder(in_force), LISTED_SESSIONS)
    except SavedSessionError:
        return []  # the sessions command reports the reason
