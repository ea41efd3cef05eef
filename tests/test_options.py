"""What options become, and the sentences where they cannot be used."""

from __future__ import annotations

import importlib.util

import pytest
from click.testing import CliRunner, Result

from tui.cli import cli
from tui.models.target import Target

URL = "ws://127.0.0.1:9/agent"


def ran(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--latency", "soon"], "--latency soon: give auto, low, high, or seconds up to 2."),
        (["--latency", "-1"], "--latency -1: give auto, low, high, or seconds up to 2."),
        (["--latency", "nan"], "--latency nan: give auto, low, high, or seconds up to 2."),
    ],
)
@pytest.mark.parametrize("command", [["connect", URL], ["demo"]], ids=["connect", "demo"])
def test_an_option_of_sound_that_cannot_be_is_said_at_once(
    command: list[str], arguments: list[str], sentence: str
) -> None:
    result = ran(*command, *arguments)
    assert result.exit_code == 2
    assert result.output.strip() == sentence


def test_cancelling_without_its_package_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        "tui.audio.webrtc.find_spec", lambda name: None if "livekit" in name else find_spec(name)
    )
    result = ran("demo", "--echo", "cancel")
    assert result.exit_code == 2
    assert "pip install livekit" in result.output


def test_options_of_sound_reach_the_target(monkeypatch: pytest.MonkeyPatch) -> None:
    targets: list[Target] = []
    monkeypatch.setattr("tui.cli._show_screen", lambda target, **_: targets.append(target))
    ran("connect", URL, "--echo", "gate", "--fade", "8", "--block", "10", "--latency", "0.1")
    (target,) = targets
    assert (target.echo, target.fade_ms, target.block_ms, target.latency) == ("gate", 8, 10, "0.1")
