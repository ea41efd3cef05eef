from __future__ import annotations

import pytest
from textual.content import Content

from tests.ui.conftest import TARGET, Stage, Staging
from tests.ui.fakes import FakeEngine, Script, to_active
from tui.engine.wire import (
    ChangeVolume,
    Command,
    Connect,
    HangUp,
    Interrupt,
    Record,
    SendDtmf,
    SetMuted,
    SpeakLine,
)
from tui.models import events as e
from tui.models.target import Target
from tui.screens.keypad import KeypadScreen
from tui.widgets.keys import KeyBar

ACTIVE = [
    ("r", Record(on=True)),
    ("space", Record(on=True)),
    ("m", SetMuted(muted=True)),
    ("i", Interrupt()),
    ("d", HangUp()),
    ("plus", ChangeVolume(by=0.1)),
    ("equals_sign", ChangeVolume(by=0.1)),
    ("minus", ChangeVolume(by=-0.1)),
    *((key, SpeakLine(key=key)) for key in "123456789"),
]


async def test_calls_its_target_at_the_start(s: Stage) -> None:
    assert s.sent() == [Connect(target=TARGET)]


async def test_no_footer_of_a_chosen_agent_is_without_its_call(
    stage: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []

    def record(bar: KeyBar, content: Content, *, layout: bool) -> None:
        shown.append(content.plain)

    monkeypatch.setattr(KeyBar, "update", record)
    async with stage():
        with_new = [footer for footer in shown if "n New" in footer]
        assert with_new
        assert [footer for footer in with_new if "c Call" not in footer] == []


async def test_a_key_sends_its_command_in_a_call(call: Stage) -> None:
    for key, command in ACTIVE:
        await call.press(key)
        assert call.sent() == [command], key


async def test_keys_for_a_call_do_nothing_without_one(s: Stage) -> None:
    s.sent()
    await s.press("r", "s", "space", "m", "i", "d", "plus", "minus", "1", "9", "K")
    assert s.sent() == []
    assert s.top() is s.session


async def test_a_key_without_effect_shows_the_reason(stage: Staging, script: Script) -> None:
    def last_line() -> str:
        return s.text().splitlines()[-1].strip()

    async with stage() as s:
        await s.press("r")
        assert last_line() == "Record: there is no call"
        await s.press("down")
        assert "? Help" in last_line()
        await s.play(script.started().status(e.Status.IDLE, e.Status.CONNECTING).take())
        await s.press("w")
        assert last_line() == "Write: the call is not connected yet"
        await s.press("n")
        assert last_line() == "New: hang up first"
        await s.press("v")
        assert last_line() == "Raw: no event is open"
        s.session.query_one(KeyBar).show_notice("")
        assert "? Help" in s.text()


async def test_every_unavailable_action_has_its_own_reason(s: Stage) -> None:
    s.session.controls.can_call = False
    idle = [entry for entry in s.session.active_bindings.values() if not entry.enabled]
    assert len(idle) > 20
    assert [entry.binding.id for entry in idle if s.session.why_not(entry) == "not now"] == []


async def test_record_and_stop_follow_the_engines_state(script: Script, s: Stage) -> None:
    await s.play(to_active(script).add(e.RecordingChanged, recording=True).take())
    s.sent()
    await s.press("r", "s", "space")
    assert s.sent() == [Record(on=False), Record(on=False)]
    await s.play(script.add(e.MutedChanged, muted=True).add(e.VolumeChanged, volume=2.0).take())
    await s.press("m", "plus")
    assert s.sent() == [SetMuted(muted=False), ChangeVolume(by=0.1)]


async def test_keypad_sends_each_key_by_keyboard_and_by_mouse(call: Stage) -> None:
    await call.press("K")
    assert isinstance(call.top(), KeypadScreen)
    await call.press("4", "asterisk", "number_sign")
    await call.pilot.click("#keys Button:first-of-type")
    assert call.sent() == [SendDtmf(digits=key) for key in "4*#1"]
    assert "4*#1" in call.text()
    await call.press("escape")
    assert call.top() is call.session


async def test_c_calls_again_when_the_call_is_over(script: Script, call: Stage) -> None:
    await call.press("c")
    assert call.sent() == []
    await call.play(script.status(e.Status.ACTIVE, e.Status.ENDED).take())
    await call.press("c")
    assert call.sent() == [Connect(target=TARGET)]


async def test_c_restarts_a_lost_engine(stage: Staging, script: Script) -> None:
    fresh = FakeEngine()
    async with stage(start_engine=lambda: fresh) as s:
        await s.play(to_active(script).take())
        s.engine.alive = False
        await s.tick()
        assert "✗ error" in s.text()
        assert "The engine process has ended" in s.text()
        await s.press("c")
        assert fresh.sent == [Connect(target=TARGET)]
        assert len(s.bridge.log) > 5, "what was seen stays"


async def test_c_after_a_demo_looks_up_the_local_agents_present_url(stage: Staging, script: Script) -> None:
    demos = [
        Target(url=f"ws://127.0.0.1:{port}/audiocodes", title="demo", output="none") for port in (1, 2, 2)
    ]
    places = iter(demos)
    async with stage(target=None, call_demo=True, start_demo=lambda: next(places)) as s:
        await s.until(lambda: s.engine.sent)
        assert s.sent() == [Connect(target=demos[0])], "it is called as soon as it is there"
        await s.play(to_active(script).status(e.Status.ACTIVE, e.Status.ERROR).take())
        for demo in demos[1:]:
            await s.press("c")
            await s.until(lambda: s.engine.sent)
            assert s.sent() == [Connect(target=demo)]


async def test_a_demo_chosen_on_the_connect_screen_counts_as_a_demo(stage: Staging, script: Script) -> None:
    urls = iter(["ws://127.0.0.1:1/x", "ws://127.0.0.1:1/x", "ws://127.0.0.1:2/x"])
    async with stage(target=None, start_demo=lambda: Target(url=next(urls))) as s:
        await s.press("enter")
        await s.until(lambda: Connect(target=Target(url="ws://127.0.0.1:1/x")) in s.engine.sent)
        await s.play(to_active(script).status(e.Status.ACTIVE, e.Status.ENDED).take())
        s.sent()
        await s.press("c")
        await s.until(lambda: s.engine.sent)
        assert s.sent() == [Connect(target=Target(url="ws://127.0.0.1:2/x"))]


async def test_a_local_agent_that_does_not_start_is_reported_in_one_sentence(stage: Staging) -> None:
    def fail() -> Target:
        raise RuntimeError("no port [/x]")

    async with stage(target=None, call_demo=True, start_demo=fail) as s:
        await s.until(lambda: len(s.app._notifications))
        assert [toast.message for toast in s.app._notifications] == [
            "The local agent failed to start: no port [/x]"
        ]
        assert s.sent() == []
        assert s.top() is s.session


async def test_an_engine_that_does_not_start_is_reported_in_one_sentence(
    stage: Staging, script: Script
) -> None:
    def fail() -> FakeEngine:
        raise OSError("no memory [/x]")

    async with stage(start_engine=fail) as s:
        s.engine.alive = False
        await s.tick()
        await s.press("c")
        assert s.top() is s.session


@pytest.mark.parametrize(("name", "command"), [("Record", Record(on=True)), ("Hang up", HangUp())])
async def test_the_key_bar_can_be_clicked(name: str, command: Command, call: Stage) -> None:
    await call.until(lambda: "Record" in call.text())
    bar = call.text().splitlines()[-1]
    await call.pilot.click(offset=(bar.index(name), 23))
    await call.until(lambda: call.engine.sent)
    assert call.sent() == [command]
