from __future__ import annotations

import importlib
import pkgutil

import pytest
from textual.dom import DOMNode
from textual.screen import Screen

import tui.screens
import tui.widgets
from tests.ui.conftest import Stage, Staging
from tests.ui.fakes import Script, a_call, to_active
from tui.config.model import Settings
from tui.config.strict import SettingsError
from tui.engine.wire import Record
from tui.screens.actions import APP
from tui.screens.keymap import PLACES, keymap_of
from tui.screens.palette import ActionCommands
from tui.screens.session_actions import SESSION
from tui.widgets.lines import LineView


def settings(**keys: str) -> Settings:
    return Settings(keys={action: tuple(its_keys.split()) for action, its_keys in keys.items()})


def problem(**keys: str) -> str:
    with pytest.raises(SettingsError) as raised:
        keymap_of(settings(**keys).keys)
    return str(raised.value)


def test_without_keys_nothing_is_mapped() -> None:
    assert keymap_of({}) == {}


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"filtr": "x"}, '[keys] there is no action "filtr"; did you mean "filter"?'),
        ({"mark": "r"}, '[keys] mark = "r": on the screen “Session” that key is record (Record);'),
        ({"mark": "q"}, "that key is quit (Quit)"),
        ({"mark": "pagedown"}, "that key is log.page_down (Page down)"),
        ({"mark": ","}, 'mark = ",": on the screen “Session” that key is event_before'),
        ({"record": "m"}, "that key is mute (Mute)"),
        ({"mark": "f5", "note": "f5"}, "that key is note (Note)"),
        ({"help": "r"}, '[keys] help = "r"'),
        ({"connect_call": "ctrl+d"}, "on the screen “Connect”"),
        ({"connect_call": "ctrl+u"}, "; choose another."),
        ({"dtmf_1": "2"}, "on the screen “Keypad” that key is dtmf_2"),
        ({"quit_now": "escape"}, "on the screen"),
        ({"mark": "f99"}, '[keys] mark = "f99": there is no such key'),
        ({"mark": "ctlr+x"}, "there is no such key"),
        ({"mark": "ctrl+i"}, "a terminal sends tab for it; choose another."),
        ({"mark": "shift+x"}, 'a terminal sends "X" for it; write that.'),
        ({"palette": "y"}, "it works while you write, too, so it needs a key that writes nothing."),
    ],
)
def test_what_cannot_be_is_said(keys: dict[str, str], sentence: str) -> None:
    assert sentence in problem(**keys)


@pytest.mark.parametrize(
    "keys",
    [
        {"mark": "f6"},
        {"record": "s", "stop": "r"},
        {"mark": "r", "record": "b"},
        {"next_match": "n"},
        {"new": "f5"},
        {"mark": ";"},
        {"event_before": ";", "mark": ","},
        {"mark": "ctrl+f f5 ü"},
    ],
)
def test_what_can_be_is_taken(keys: dict[str, str]) -> None:
    assert keymap_of(settings(**keys).keys).keys() >= keys.keys()


def test_every_action_can_be_named() -> None:
    known = {action.id for action in (*SESSION, *APP)}
    for action in known:
        with pytest.raises(SettingsError, match="no such key"):
            keymap_of({action: ("no-key",)})


def test_every_screen_and_every_pane_is_looked_at_for_clashes() -> None:
    for package in (tui.screens, tui.widgets):
        for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
            importlib.import_module(module.name)
    looked_at = {*PLACES, *(pane for panes in PLACES.values() for pane in panes)}
    ours = [kind for kind in _all_below(Screen) | _all_below(LineView) if kind.__module__.startswith("tui.")]
    bound = [kind for kind in ours if "BINDINGS" in vars(kind) and not _all_below(kind)]
    assert [kind.__name__ for kind in bound if kind not in looked_at] == []


def _all_below(kind: type[DOMNode]) -> set[type[DOMNode]]:
    return {sub for each in kind.__subclasses__() for sub in ({each} | _all_below(each))}


async def test_the_new_key_works_and_the_old_one_does_not(stage: Staging, script: Script) -> None:
    async with stage(settings=settings(record="f7", new="f5")) as s:
        await s.play(to_active(script).take())
        s.sent()
        await s.press("r")
        assert s.sent() == []
        await s.press("f7")
        assert s.sent() == [Record(on=True)]


async def test_what_shared_a_key_keeps_it(stage: Staging, script: Script) -> None:
    async with stage(settings=settings(new="f5")) as s:
        await s.play(a_call(script).take())
        s.session.search.highlight("audio")
        await s.tick()
        assert s.session.active_bindings["n"].binding.id == "next_match"
        assert s.session.active_bindings["f5"].binding.id == "new"


async def palette(s: Stage) -> str:
    return "\n".join([str(hit.prompt) async for hit in ActionCommands(s.app.screen).discover()])


async def test_footer_help_and_palette_show_the_new_key_in_its_old_place(
    stage: Staging, script: Script
) -> None:
    async with stage((120, 110), settings=settings(record="f7", pane_turns="f8", help="f9")) as s:
        await s.play(to_active(script).take())
        footer = s.text().splitlines()[-1]
        assert footer.strip().startswith("f7 Record")
        assert "f9 Help" in footer
        assert "f8 Turns" in s.text()
        assert "Record  f7" in await palette(s)
        await s.press("f9")
        lines = s.text().splitlines()
        assert any("f7 " in line and "Record: what" in line for line in lines)
        order = [
            number for number, line in enumerate(lines) for key in ("f7 ", "Stop recording") if key in line
        ]
        assert order == sorted(order)
