"""Running the screen, with the processes it needs: an engine, and the local agent if it is called."""

from __future__ import annotations

import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tui import collector
from tui.audio.endpoints import wants_device
from tui.cli.options import pass_time_limit
from tui.config.reading import SettingsInForce
from tui.config.targets import AddressBook
from tui.config.writing import change_file
from tui.engine.handle import EngineHandle
from tui.models.target import Target
from tui.settings import AUTO

if TYPE_CHECKING:
    from tui.agent.process import AgentProcess
    from tui.agent.settings import AgentSettings
    from tui.engine.wire import PlayScenario
    from tui.targets import Targets


LISTED_SESSIONS = 3
"""How many saved sessions the first screen names."""


class LocalAgent:
    """The local agent of this run: started when it is first called, and again if it has died."""

    def __init__(self, settings: AgentSettings | None, base: Target) -> None:
        self._settings = settings
        self._base = base
        self._process: AgentProcess | None = None

    def start(self) -> AgentProcess:
        """Start it, without waiting for it. Raises `AgentError`."""
        # Imported late, like everything that the first picture does not need.
        from tui.agent.process import start_agent
        from tui.agent.settings import AgentSettings

        if self._process is None or not self._process.is_running:
            self._process = start_agent(self._settings or AgentSettings())
        return self._process

    def target(self) -> Target:
        """Return it as a target, once it listens; blocks. Raises `RuntimeError` with a sentence."""
        from tui.agent.settings import AgentError
        from tui.protocols.registry import protocol_named
        from tui.targets import DEMO_TITLE

        named = self._base.protocol
        protocol = protocol_named("audiocodes" if named == AUTO else named)
        try:
            url = self.start().url(protocol.path)
        except AgentError as error:
            raise RuntimeError(str(error)) from error
        return msgspec.structs.replace(self._base, url=url, protocol=protocol.name, title=DEMO_TITLE)

    def stop(self) -> None:
        """Stop it, after it has closed its calls."""
        if self._process is not None:
            self._process.stop()


class Engines:
    """The engine processes of this run: the first, and those started after one has died."""

    def __init__(self, *, devices: bool) -> None:
        self.first = EngineHandle(devices=devices)
        self._all = [self.first]

    def start_another(self) -> EngineHandle:
        """Start an engine in place of one that has died."""
        self._all.append(EngineHandle().start())
        return self._all[-1]

    def stop(self) -> None:
        """Stop all of them."""
        for engine in self._all:
            engine.stop()


def run_screen(
    target: Target | None,
    book: AddressBook,
    in_force: SettingsInForce,
    *,
    agent: AgentSettings | None = None,
    start_demo: bool = False,
    trace_callbacks: bool = False,
    scenario: PlayScenario | None = None,
) -> int:
    """Run the screen until it ends, and with it the engine and the local agent. Raises `SettingsError`.

    Returns the exit code: of how the screen ended, or else of the last call.
    """
    collector.hold()
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
        app = OpusAgentApp(
            bridge,
            target=target,
            targets=_targets(book, local, in_force),
            memory=screen_memory(),
            settings=in_force.settings,
            launch=Launch(
                call_demo=start_demo,
                scenario=scenario,
                start_engine=engines.start_another,
                on_painted=engines.first.start,
                once_up=collector.settle,
                change_settings=partial(change_file, in_force.path),
                trace_callbacks=trace_callbacks,
            ),
        )
        return run_app(app, remember_screen) or bridge.state.exit_code


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


def _saved(in_force: SettingsInForce) -> list[str]:
    from tui.config.targets import sessions_folder
    from tui.saving.listing import newest_in_lines
    from tui.saving.record import SavedSessionError

    try:
        return newest_in_lines(sessions_folder(in_force), LISTED_SESSIONS)
    except SavedSessionError:
        return []  # the sessions command gives the reason


def open_screen(path: Path, speed: float | None, output: str, in_force: SettingsInForce) -> int:
    """Show a saved session until the user leaves; returns the exit code.

    Raises `SavedSessionError`, `SettingsError`.
    """
    collector.hold()
    from tui.saving.reading import open_session

    with ExitStack() as at_end:
        saved = at_end.enter_context(open_session(path))
        sound = EngineHandle()
        at_end.callback(sound.stop)

        from tui.app import Launch, OpusAgentApp, run_app
        from tui.bridge import Bridge
        from tui.engine.saved_engine import SavedEngine
        from tui.remembered import remember_screen, screen_memory
        from tui.screens.settings import check_screen

        check_screen(in_force)
        engine = SavedEngine(saved, speed=speed, sound=sound)
        bridge = Bridge(engine, engine.now_ns)
        at_end.callback(bridge.close)
        bridge.player.output = output
        app = OpusAgentApp(
            bridge,
            memory=screen_memory(),
            settings=in_force.settings,
            launch=Launch(
                playhead=engine.playhead,
                on_painted=sound.start,
                once_up=collector.settle,
                change_settings=partial(change_file, in_force.path),
            ),
        )
        return run_app(app, remember_screen)
