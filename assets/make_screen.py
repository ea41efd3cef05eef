"""Makes screen.png, the picture in the README: a demo call, photographed in the middle of an answer.

Needs rsvg-convert (Debian: librsvg2-bin, with fonts-dejavu-core): ``python assets/make_screen.py``.
"""

from __future__ import annotations

import asyncio
import subprocess
import time
from pathlib import Path

from tui.agent.process import start_agent
from tui.agent.settings import AgentSettings
from tui.app import OpusAgentApp
from tui.bridge import Bridge
from tui.engine.handle import EngineHandle
from tui.models.target import Target

SIZE = (120, 36)
SCENE: tuple[str | float, ...] = (4.5, "5", 11.5, "8", 7.0)
"""Keys to press, and seconds to let the call go on."""


async def photograph(engine: EngineHandle, url: str) -> str:
    """The screen in the middle of the scene, as SVG."""
    target = Target(url=url, protocol="audiocodes", title="demo", input="lines", output="none")
    app = OpusAgentApp(Bridge(engine, time.monotonic_ns), target=target)
    async with app.run_test(size=SIZE) as pilot:
        for step in SCENE:
            if isinstance(step, str):
                await pilot.press(step)
            else:
                await asyncio.sleep(step)
        return app.export_screenshot(title="opusagent-tui demo")


def main() -> None:
    """Make the picture."""
    picture = Path(__file__).parent / "screen.png"
    engine = EngineHandle().start()
    try:
        with start_agent(AgentSettings()) as agent:
            svg = asyncio.run(photograph(engine, agent.url("/audiocodes")))
    finally:
        engine.stop()
    svg = svg.replace("<svg ", '<svg xml:space="preserve" ', 1)  # or a text loses the blanks it begins with
    command = ["rsvg-convert", "--width", "1200", "--output", str(picture)]
    subprocess.run(command, input=svg.encode(), check=True)


if __name__ == "__main__":
    main()
