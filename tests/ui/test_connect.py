from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from textual import events
from textual.css.stylesheet import Stylesheet

from tests.ui.conftest import Stage, Staging
from tests.ui.fakes import devices
from tui.config.targets import Listed
from tui.engine.wire import Connect, ListDevices
from tui.models.target import Target
from tui.screens.connect import ConnectScreen
from tui.targets import Targets

RECENT = [
    Target(url="wss://bot.example.com/v1?key=abc", token_env="BOT_TOKEN", input="line.wav"),
    Target(url="ws://localhost:8000/ws", protocol="twilio", title="staging", headers={"X": "1"}),
]
DEMO = Target(url="ws://127.0.0.1:1/demo", title="demo")


def form(s: Stage) -> ConnectScreen:
    return s.screen(ConnectScreen)


def called(s: Stage) -> list[Target]:
    return [command.target for command in s.engine.sent if isinstance(command, Connect)]


@pytest.fixture
async def s(stage: Staging, size: tuple[int, int]) -> AsyncIterator[Stage]:
    """Yields the connect screen, with two recent targets."""
    protocols = ("audiocodes", "twilio")
    async with stage(size, target=None, recent=RECENT, protocols=lambda: protocols) as running:
        yield running


async def test_shown_without_a_target_and_asks_for_devices(s: Stage) -> None:
    assert isinstance(s.top(), ConnectScreen)
    assert s.sent() == [ListDevices()]


async def test_no_style_sheet_is_parsed_again_for_the_first_screens(
    stage: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    again: list[Stylesheet] = []
    monkeypatch.setattr(Stylesheet, "reparse", again.append)
    async with stage(target=None) as s:
        await s.press(*"ws://h:1/x", "enter")
        assert s.top() is s.session
        assert s.session.meters.styles.height is not None, "styled"
        assert again == []


async def test_a_url_is_called_as_the_form_says(s: Stage) -> None:
    await s.play([devices()])
    form(s).form.protocol.choose("twilio")
    form(s).form.capture.choose("Built-in Microphone")
    form(s).form.playback.choose("3")
    await s.press(*"ws://h:1/x", "enter")
    assert called(s) == [Target(url="ws://h:1/x", protocol="twilio", input="Built-in Microphone", output="3")]
    assert s.top() is s.session


@pytest.mark.parametrize(
    "pasted",
    [
        "ws://h:1/x ",
        " ws://h:1/x",
        "\nws://h:1/x\r\n",
        "ws://h:1\u200b/x",
        "ws://h:1\n  /x",
        "ws://h:1/x\x1b\x07",
    ],
)
@pytest.mark.parametrize("recent", [[], RECENT], ids=["in the field", "in the list"])
async def test_a_pasted_url_is_cleaned_and_called(stage: Staging, pasted: str, recent: list[Target]) -> None:
    async with stage(target=None, recent=recent) as s:
        s.app.post_message(events.Paste(pasted))
        await s.pilot.pause()
        assert form(s).form.url.value == "ws://h:1/x"
        await s.press("enter")
        assert [target.url for target in called(s)] == ["ws://h:1/x"]


async def test_a_paste_of_nothing_visible_changes_nothing(s: Stage) -> None:
    before = form(s).form.url.value
    s.app.post_message(events.Paste(" \n\u200b"))
    await s.pilot.pause()
    assert form(s).form.url.value == before
    assert s.app.focused is form(s).form.url


async def test_a_bad_url_is_explained_under_the_field(s: Stage) -> None:
    await s.press(*"https://x", "enter")
    assert "A voice agent's URL starts with wss://" in " ".join(s.text().split())
    assert called(s) == []
    assert s.app.focused is form(s).form.url


async def test_the_demo_is_listed_first_starts_the_local_agent_and_is_first_again_after_it(
    stage: Staging,
) -> None:
    async with stage(target=None, recent=RECENT, start_demo=lambda: DEMO) as s:
        assert "enter: demo" in s.text()
        await s.pilot.press("enter")
        await s.until(lambda: called(s))
        assert called(s) == [DEMO]
        assert s.top() is s.session
        await s.press("n")
        assert s.text().index("demo — ") < s.text().index("bot.example.com")
        assert form(s).form.url.value == ""


async def test_a_demo_that_does_not_start_shows_the_reason(stage: Staging) -> None:
    def fail() -> Target:
        raise OSError("no port is free [/x]")

    async with stage(target=None, start_demo=fail) as s:
        await s.pilot.press("ctrl+d")
        await s.until(lambda: "no port is free [/x]" in s.text())
        assert isinstance(s.top(), ConnectScreen)


async def test_a_token_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch, s: Stage) -> None:
    await s.press("down", "enter")
    assert "BOT_TOKEN is not set" in s.text()
    monkeypatch.setenv("BOT_TOKEN", "hunter2")
    await s.press("enter")
    (target,) = called(s)
    assert (target.token, target.token_env, target.input) == ("hunter2", "BOT_TOKEN", "line.wav")
    assert "hunter2" not in s.text()


async def test_a_problem_with_audio_devices_is_shown(s: Stage) -> None:
    await s.play([devices("PortAudio is missing: install libportaudio2.")])
    assert "PortAudio is missing: install libportaudio2." in s.text()


async def test_buttons_and_esc(stage: Staging) -> None:
    async with stage(recent=RECENT) as s:
        await s.press("n")
        await s.pilot.click("#back")
        await s.settle()
        assert s.top() is s.session
        await s.press("n", "escape")
        assert s.top() is s.session


async def test_the_current_target_is_listed_first_and_fills_the_form(stage: Staging) -> None:
    current = Target(url="ws://h:1/x?key=k3y", token="t", input="1", headers={"X": "1"}, save="/kept")
    forgotten = Target(url=current.safe_url)
    async with stage(target=current, recent=[forgotten, *RECENT], start_demo=lambda: DEMO) as s:
        s.sent()
        await s.press("n")
        assert form(s).form.url.value == "ws://h:1/x?key=…"
        assert s.text().index("ws://h:1/x") < s.text().index("demo — ") < s.text().index("bot.example.com")
        await s.press("enter")
        assert called(s) == [current]
        await s.press("n", "down", "down", "down", "down", "enter")
        assert called(s)[-1] == RECENT[1]
        await s.press("n")
        assert form(s).form.url.value == RECENT[1].url
        assert [listed.target for listed in form(s)._listed] == [RECENT[1], current, RECENT[0]]


async def test_the_current_profile_is_listed_once_with_its_present_devices(stage: Staging) -> None:
    current = msgspec.structs.replace(PROFILES[0].target, output="3")
    async with stage(target=current, profiles=PROFILES, recent=RECENT) as s:
        await s.press("n")
        assert [listed.target for listed in form(s)._listed] == [current, PROFILES[1].target, *RECENT]
        assert form(s).form.url.value == current.safe_url


async def test_devices_known_before_the_form_is_mounted_are_offered_later(stage: Staging) -> None:
    async with stage() as s:
        await s.play([devices()])
        screen = ConnectScreen(s.bridge, Targets())
        screen.poll()
        await s.app.push_screen(screen)
        await s.tick()
        screen.form.capture.choose("0")
        assert screen.form.capture.chosen == "0"


PROFILES = [
    Listed(
        Target(url="wss://h/x?key=k3y", title="staging", protocol="twilio", headers={"A": "b"}, save="/kept")
    ),
    Listed(Target(url="ws://h", title="broken"), "config.toml: [profiles.broken] needs a token."),
]


async def test_profiles_are_listed_before_recent_targets_and_called_whole(stage: Staging) -> None:
    base = Target(url="", save="/all")
    async with stage(target=None, base=base, profiles=PROFILES, recent=RECENT) as s:
        assert s.text().index("staging") < s.text().index("broken") < s.text().index("bot.example.com")
        assert "k3y" not in s.text()
        await s.press("down", "enter")
        assert called(s) == [PROFILES[0].target]
        assert s.app.targets.recent == RECENT


async def test_a_profile_that_cannot_be_called_shows_the_reason(stage: Staging) -> None:
    async with stage(target=None, profiles=PROFILES) as s:
        await s.press("down", "down")
        assert "needs a token." in s.text()
        await s.press("enter")
        assert called(s) == []
        assert "needs a token." in s.text()


async def test_a_url_that_is_typed_is_called_as_the_settings_say(stage: Staging) -> None:
    base = Target(url="", protocol="twilio", input="USB", save="/kept", redact=("ssn",))
    async with stage(target=None, base=base, protocols=lambda: ("audiocodes", "twilio")) as s:
        await s.press(*"ws://h:1/x", "enter")
        assert called(s) == [
            Target(url="ws://h:1/x", protocol="twilio", input="USB", save="/kept", redact=("ssn",))
        ]


async def test_a_forgotten_secret_must_be_typed_again(stage: Staging) -> None:
    async with stage(target=None, recent=[Target(url="ws://h/x?key=…")]) as s:
        await s.press("down", "enter")
        assert "not saved. Type it again." in " ".join(s.text().split())
        assert called(s) == []


async def test_without_a_session_there_is_no_way_back_to_one(s: Stage) -> None:
    assert "Back" not in s.text()
    await s.press("escape")
    assert isinstance(s.top(), ConnectScreen)
    await s.pilot.click("#call")
    assert "Missing ws:// or wss://" in s.text()


@pytest.mark.parametrize("first", [[], ["down"], ["shift+tab"]], ids=["bar", "list", "button"])
async def test_a_url_with_q_is_typed_wherever_the_focus_is(first: list[str], s: Stage) -> None:
    await s.press(*first, *"qws?:T")
    assert form(s).form.url.value == "qws?:T"
    assert s.focused() is form(s).form.url
    assert s.app.return_code is None


@pytest.mark.parametrize(
    "line",
    [
        "wscat -c wss://h/x -H 'Authorization: Bearer s3cret-token' -H 'Host: h'",
        (
            "$ curl -N 'https://h/x' \\\n  -H 'Upgrade: websocket' -H 'Sec-WebSocket-Key: abc' "
            "--header 'Authorization: Bearer s3cret-token'"
        ),
        'websocat "-H=Authorization: Bearer s3cret-token" wss://h/x',
    ],
)
async def test_a_pasted_command_line_brings_url_and_headers(line: str, s: Stage) -> None:
    s.app.post_message(events.Paste(line))
    await s.pilot.pause()
    await s.tick()
    assert form(s).form.url.value == "wss://h/x"
    text = " ".join(s.text().split())
    assert "Using Authorization from the pasted line" in text
    assert "--token-env" in text
    assert "s3cret" not in text
    await s.press("enter")
    (target,) = called(s)
    assert target.headers == {"Authorization": "Bearer s3cret-token"}
    assert "s3cret" not in repr(target)


async def test_pasted_headers_go_to_no_other_host(s: Stage) -> None:
    s.app.post_message(events.Paste("wscat -c wss://h/x -H 'X-Key: s3cret-token' -s chat"))
    await s.pilot.pause()
    form(s).form.url.value = "wss://other/x"
    await s.press("enter")
    (target,) = called(s)
    assert (target.headers, target.subprotocols) == ({}, ())


async def test_the_newest_saved_sessions_are_listed_below_the_targets(stage: Staging) -> None:
    lines = ["demo  2026-11-29 22:52  2:36", "staging [/x]  2026-11-28 09:01  0:41"]
    newest = [(Path(line), line) for line in lines]
    async with stage(target=None, recent=RECENT, saved=lambda: newest) as s:
        await s.until(lambda: "Saved sessions" in s.text())
        text = s.text()
        assert text.index("staging  twilio") < text.index("Saved sessions · ") < text.index(lines[0])
        assert text.index(lines[0]) < text.index(lines[1]) < text.index("Protocol")


async def test_without_saved_sessions_nothing_is_said_of_them(s: Stage) -> None:
    await s.app.workers.wait_for_complete()
    await s.tick()
    assert "Saved sessions" not in s.text()
