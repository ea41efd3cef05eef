from __future__ import annotations

import re

from rich.cells import cell_len

from tests.ui.conftest import Stage, Staging, sized
from tests.ui.fakes import NASTY, Script, nasty, to_active
from tui.models import events as e
from tui.models.target import Target

CONTROL = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def check(s: Stage) -> None:
    text = s.text()
    assert not CONTROL.search(text)
    assert all(cell_len(line) <= s.app.size.width for line in text.splitlines())


@sized((80, 24), (160, 50))
async def test_every_panel_draws_any_text(script: Script, call: Stage) -> None:
    for text in NASTY:
        await call.play(nasty(script, text).take())
        check(call)


@sized((60, 16), (120, 40))
async def test_every_pane_draws_any_text(script: Script, call: Stage) -> None:
    for text in NASTY:
        await call.play(nasty(script, text).take())
    assert len(call.bridge.state.metrics.turns) > 1
    assert any(turn.reported_ms for turn in call.bridge.state.metrics.turns)
    for key in ("t", "u", "J", "h"):
        await call.press(key, "home")
        for _ in NASTY:
            await call.press("down")
            check(call)


async def test_every_event_can_be_opened(script: Script, s: Stage) -> None:
    to_active(script)
    for text in NASTY:
        nasty(script, text)
    await s.play(script.take())
    await s.press("enter")
    for row in range(len(s.bridge.log)):
        s.session.log_pane.move_to(row)
        s.session.detail.show(s.bridge.log.rows[row], at_once=True)
        if row % 7 == 0:
            await s.tick()
            check(s)


async def test_nasty_messages_in_the_detail(script: Script, call: Stage) -> None:
    for text in NASTY:
        script.message(text[:50] or "x", {text: text, "list": [text]}, text)
        script.message("raw", text.encode("utf-8", "surrogatepass"), text)
        await call.play(script.take())
        for key in ("F", "enter", "v", "up", "enter", "v"):
            await call.press(key)
            check(call)


async def test_nasty_sessions_and_errors(s: Stage) -> None:
    for text in NASTY:
        script = Script().started(title=text, target=text)
        script.add(e.ErrorRaised, source=text, code=text, message=text, hint=text)
        await s.play(script.take())
        check(s)


async def test_nasty_recent_targets(stage: Staging) -> None:
    recent = [Target(url=f"ws://host/{text[:2000]}", title=text) for text in NASTY]
    async with stage(target=None, recent=recent) as s:
        check(s)
        for _ in NASTY:
            await s.press("down")
            check(s)


async def test_negative_and_missing_values(script: Script, s: Stage) -> None:
    to_active(script).after(-500)
    script.add(e.PlaybackEnded, reply="", heard_ms=-1, unheard_ms=-5).add(
        e.RoundTripMeasured, round_trip_ms=-3
    )
    script.add(e.LossCounted, loss=e.Loss.UNDERRUN, count=-2).message("x", b"", audio_ms=-1)
    script.add(e.ToolChanged, call="", name="", finished=True, duration_ms=-3)
    script.add(e.SpeechEdge, speaker=e.Party.USER, started=False, method="", captured_ns=0, sent_ns=-1)
    script.add(e.PlaybackStarted, reply="", arrived_ns=-1, handed_ns=0)
    await s.play(script.take())
    for key in ("t", "u", "J", "h", "l"):
        await s.press(key)
        check(s)
    await s.press("enter")
    check(s)
