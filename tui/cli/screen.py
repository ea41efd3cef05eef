"""The screen with what it needs beside it: an engine process, and the local agent when it is wanted."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tui import collector
from tui.config.reading import SettingsInForce
from tui.config.targets import AddressBook
from tui.engine.handle import EngineHandle
from tui.models.target import Target
from tui.settings import AUTO

if TYPE_CHECKING:
    from tui.agent.process import AgentProcess
    from tui.agent.settings import AgentSettings

DEMO = "demo"
"""Title of the local agent as a target."""


class LocalAgent:
    """The local agent of this run: started when it is first wanted, and again when it has died."""

    def __init__(self, settings: AgentSettings | None, base: Target) -> None:
        self._settings = settings
        self._base = base
        self._process: AgentProcess | None = None

    def start(self) -> AgentProcess:
        """Start it, without waiting for it. Raises `AgentError`."""
        # Late, as all that the first picture can do without.
        from tui.agent.process import start_agent
        from tui.agent.settings import AgentSettings

        if self._process is None or not self._process.is_running:
            self._process = start_agent(self._settings or AgentSettings())
        return self._process

    def target(self) -> Target:
        """It as a target. Blocks until it listens. Raises `RuntimeError` with a sentence."""
        from tui.agent.settings import AgentError
        from tui.protocols.registry import protocol_named

        named = self._base.protocol
        protocol = protocol_named("audiocodes" if named == AUTO else named)
        try:
            url = self.start().url(protocol.path)
        except AgentError as error:
            raise RuntimeError(str(error)) from error
        return msgspec.structs.replace(self._base, url=url, protocol=protocol.name, title=DEMO)

    def stop(self) -> None:
        """Let it say goodbye, and end it."""
        if self._process is not None:
            self._process.stop()


def run_screen(
    target: Target | None,
    book: AddressBook,
    in_force: SettingsInForce,
    *,
    agent: AgentSettings | None = None,
    start_demo: bool = False,
    trace_callbacks: bool = False,
) -> int:
    """Run the screen until it ends; engine and agent end with it. Raises `SettingsError`.

    The exit code: how the screen was left, else what came of the last call.
    """
    local = LocalAgent(agent, book.demo)
    collector.hold()
    engines = [EngineHandle()]
    try:
        from tui.app import OpusAgentApp, run_app
        from tui.bridge import Bridge
        from tui.protocols.registry import names
        from tui.remembered import recent_targets, remember_screen, remember_target, screen_memory
        from tui.screens.settings import check_screen

        check_screen(in_force)

        def new_engine() -> EngineHandle:
            engines.append(EngineHandle().start())
            return engines[-1]

        bridge = Bridge(engines[0], time.monotonic_ns)
        try:
            app = OpusAgentApp(
                bridge,
                target=target,
                call_demo=start_demo,
                memory=screen_memory(),
                settings=in_force.settings,
                base=book.base,
                profiles=book.profiles,
                recent=recent_targets(book.base),
                protocols=lambda: (AUTO, *names()),
                start_engine=new_engine,
                demo=local.target,
                on_remembered=remember_target,
                on_painted=engines[0].start,
                once_up=collector.settle,
                crash_log=Path(engines[0].log_path),
                trace_callbacks=trace_callbacks,
            )
            return run_app(app, remember_screen) or bridge.state.exit_code
        finally:
            bridge.close()
    finally:
        for engine in engines:
            engine.stop()
        local.stop()


def open_screen(path: Path, speed: float | None, output: str, in_force: SettingsInForce) -> int:
    """Show a saved session until the user leaves. The exit code. Raises `SavedSessionError`, `SettingsError`."""
    collector.hold()
    from tui.saving.reading import open_session

    with open_session(path) as saved:
        sound = EngineHandle()
        try:
            from tui.app import OpusAgentApp, run_app
            from tui.bridge import Bridge
            from tui.engine.saved_engine import SavedEngine
            from tui.remembered import remember_screen, screen_memory
            from tui.screens.settings import check_screen

            check_screen(in_force)
            engine = SavedEngine(saved, speed=speed, sound=sound)
            bridge = Bridge(engine, engine.now_ns)
            bridge.output = output
            try:
                app = OpusAgentApp(
                    bridge,
                    memory=screen_memory(),
                    settings=in_force.settings,
                    on_painted=sound.start,
                    once_up=collector.settle,
                    crash_log=Path(sound.log_path),
                    replay=engine.playhead,
                )
                return run_app(app, remember_screen)
            finally:
                bridge.close()
        finally:
            sound.stop()
