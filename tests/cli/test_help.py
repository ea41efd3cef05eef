"""Tests the help of each command, and shell completion."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from tui.cli.help import COMMAND_GROUPS
from tui.cli.main import cli

Complete = Callable[..., list[str]]
COMMANDS = [name for names in COMMAND_GROUPS.values() for name in names]


def shown(*arguments: str) -> str:
    result = CliRunner().invoke(cli, [*arguments, "--help"])
    assert result.exit_code == 0
    return result.output


@pytest.fixture
def completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Complete:
    file = tmp_path / "config.toml"
    file.write_text(
        f'[profiles.staging]\nurl = "ws://h"\n[profiles.live]\nurl = "ws://g"\n[sessions]\nfolder = "{tmp_path}"\n'
    )
    monkeypatch.setenv("OPUSAGENT_TUI_CONFIG", str(file))

    def complete(*words: str) -> list[str]:
        *before, typed = words
        found = ShellComplete(cli, {}, "opusagent-tui", "X").get_completions(before, typed)
        return [item.value for item in found]

    return complete


def test_the_help_of_the_program_lists_every_command_by_what_it_is_for() -> None:
    text = shown()
    places = [text.index(f"{heading}:\n") for heading in COMMAND_GROUPS]
    assert places == sorted(places)
    context = click.Context(cli)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        assert command.hidden or f"  {name} " in text, name


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_an_example_that_parses(name: str) -> None:
    lines = shown(name).split("Example:\n")[1].splitlines()
    program, command, *arguments = shlex.split(lines[0])
    assert (program, command) == ("opusagent-tui", name)
    found = cli.get_command(click.Context(cli), name)
    assert found is not None
    if not isinstance(found, click.Group):
        context = click.Context(found, info_name=name)
        assert found.parse_args(context, list(arguments)) == []


def test_options_stand_in_groups() -> None:
    text = shown("call")
    for heading, option in {
        "Script": "--say",
        "Agent": "--token-env",
        "Saving": "--redact",
        "Options": "--config",
    }.items():
        section = text.split(f"\n{heading}:\n")[1].split("\n\n")[0]
        assert f"  {option}" in section
    assert "--fade" not in text


def test_profiles_sessions_and_protocols_are_completed(completed: Complete, tmp_path: Path) -> None:
    assert completed("connect", "") == ["staging", "live"]
    assert completed("call", "st") == ["staging"]
    assert completed("connect", "--protocol", "tw") == ["twilio"]
    assert completed("demo", "--protocol", "open") == ["openai", "openai-live"]
    assert completed("open", "l") == ["latest"]
    assert completed("open", "nothing") == []


def test_settings_with_an_error_complete_nothing(completed: Complete, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[screen]\nthem = 1\n")
    assert completed("connect", "") == []
    assert completed("open", "") == []


def test_sessions_list_is_the_list(tmp_path: Path) -> None:
    run = CliRunner().invoke
    expected = run(cli, ["sessions", "--save", str(tmp_path)])
    assert "0 sessions" in expected.output
    for arguments in (["list", "--save", str(tmp_path)], ["--save", str(tmp_path), "list"]):
        assert run(cli, ["sessions", *arguments]).output == expected.output
    assert run(cli, ["sessions", "--save", str(tmp_path), "--target", "list"]).exit_code == 0
    assert run(cli, ["sessions", "lists"]).exit_code == 2
