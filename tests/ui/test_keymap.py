from __future__ import annotations

import importlib
import pkgutil

import pytest
from textual.dom import DOMNode
from textual.screen import Screen

import tui.screens
import tui.widgets
from tests.ui.conftest import Staging
from tests.ui.fakes import Script, a_call, to_active
from tui.config.model import Settings
from tui.engine.wire import Record
from tui.screens.actions import APP
from tui.screens.keymap import PLACES, keymap_of
from tui.screens.session_actions import SESSION
from tui.text.strict import SettingsError
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
        ({"filtr": "x"}, '[keys] unknown action "filtr"; did you mean "filter"?'),
        (
            {"mark": "r"},
            '[keys] mark = "r": that key is already bound to Record (record) on the Session screen.',
        ),
        ({"mark": "q"}, "bound to Quit (quit)"),
        ({"mark": "pagedown"}, "bound to Page down (log.page_down)"),
        ({"mark": ","}, 'mark = ",": that key is already bound to Previous event (event_before)'),
        ({"record": "m"}, "or rebind mute too."),
        ({"mark": "f5", "note": "f5"}, "bound to Note (note)"),
        ({"help": "r"}, '[keys] help = "r"'),
        ({"connect_call": "ctrl+d"}, "on the Connect screen"),
        ({"connect_call": "ctrl+u"}, "screen. Pick another key."),
        ({"dtmf_1": "2"}, "bound to Press 2 (dtmf_2) on the Keypad screen"),
        ({"quit_now": "escape"}, "screen. Pick another key"),
        ({"mark": "f99"}, '[keys] mark = "f99": unknown key'),
        ({"mark": "ctlr+x"}, "unknown key"),
        ({"mark": "ctrl+i"}, "terminals send tab for that key."),
        ({"mark": "shift+x"}, 'terminals send "X" for that key. Write that instead.'),
        ({"palette": "y"}, "this action also works while you type"),
    ],
)
def test_an_unusable_key_is_refused_with_its_reason(keys: dict[str, str], sentence: str) -> None:
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
def test_a_usable_key_is_accepted(keys: dict[str, str]) -> None:
    assert keymap_of(settings(**keys).keys).keys() >= keys.keys()


def test_every_action_can_be_named() -> None:
    known = {action.id for action in (*SESSION, *APP)}
    for action in known:
        with pytest.raises(SettingsError, match="unknown key"):
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


async def test_footer_help_and_palette_show_the_new_key_in_its_old_place(
    stage: Staging, script: Script
) -> None:
    async with stage((120, 110), settings=settings(record="f7", pane_turns="f8", help="f9")) as s:
        await s.play(to_active(script).take())
        footer = s.text().splitlines()[-1]
        assert footer.strip().startswith("f7 Record")
        assert "f9 Help" in footer
        assert "f8 Turns" in s.text()
        assert "Call: Record  f7" in await s.palette()
        await s.press("f9")
        lines = s.text().splitlines()
        assert any("f7 " in line and "Record: send" in line for line in lines)
        order = [
            number for number, line in enumerate(lines) for key in ("f7 ", "Stop recording") if key in line
        ]
        assert order == sorted(order)
