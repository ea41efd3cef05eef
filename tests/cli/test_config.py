from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.ui.fakes import FakeEngine
from tui.cli.main import cli
from tui.config.model import Settings
from tui.config.reading import read_settings, settings_path
from tui.config.starter import starter_file
from tui.screens.settings import check_screen
from tui.settings import SETTINGS

STARTER = starter_file()


def ran(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def shown(result: Result) -> dict[str, tuple[str, str]]:
    """Returns the value and source of each shown setting, by name."""
    lines = [re.split(r"\s{2,}", line.strip()) for line in result.output.splitlines()[2:]]
    return {name: (value, source) for name, value, source in lines}


def test_effective_settings_are_shown_with_their_sources(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(
        """
        thresholds.good_ms = 500
        sessions.keep_count = 9
        target.echo = "gate"
        keys.mark = "f6"
        """
    )
    monkeypatch.setenv("OPUSAGENT_TUI_SESSIONS_KEEP_COUNT", "7")
    result = ran("--config", str(file), "config")
    assert result.output.splitlines()[0] == str(file)
    assert shown(result) | {
        "thresholds.good_ms": ("500", "file"),
        "thresholds.slow_ms": ("1500", "default"),
        "screen.theme": ("–", "default"),
        "sound.timeout_s": ("3", "default"),
        "sessions.keep_count": ("7", "$OPUSAGENT_TUI_SESSIONS_KEEP_COUNT"),
        "target.echo": ("gate", "file"),
        "keys.mark": ("f6", "file"),
    } == shown(result)
    assert "target.input" not in result.output


def test_no_secret_is_shown(file: Path) -> None:
    file.write_text(
        """
        [profiles.a]
        url = "wss://user:hunter1@h/x?key=hunter2"
        headers = {Authorization = "hunter3"}
        options = {api_key = "hunter4", voice = "alloy"}
        token_env = "A_TOKEN"
        """
    )
    result = ran("config", "--config", str(file))
    assert "hunter" not in result.output
    assert shown(result)["profiles.a.url"] == ("wss://h/x?key=…", "file")
    assert "voice=alloy" in result.output
    assert "A_TOKEN" in result.output


class Stoppable(FakeEngine):
    def __init__(self, *, devices: bool) -> None:
        super().__init__()

    def stop(self) -> None:
        self.alive = False


def assert_reported(result: Result, file: Path, sentence: str) -> None:
    assert result.exit_code == 2
    assert sentence in result.output
    assert str(file) in result.output
    assert len(result.output.splitlines()) == 1


@pytest.mark.parametrize(
    "command",
    ["config", "demo", "connect ws://h", "call ws://h", "check ws://h", "sessions", "open x", ""],
)
def test_an_invalid_file_is_reported_as_wrong_usage(file: Path, command: str) -> None:
    file.write_text("[screen]\nthem = 'x'")
    assert_reported(
        ran("--config", str(file), *command.split()), file, 'has no setting "them"; did you mean "theme"?'
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[screen]\ntheme = 'opus-drak'", 'unknown theme; did you mean "opus-dark"?'),
        ("[keys]\nmark = 'r'", "bound to Record (record)"),
    ],
)
def test_an_invalid_theme_or_keymap_is_reported_before_the_screen_starts(
    file: Path, text: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.cli.options.check_terminal", lambda: None)
    monkeypatch.setattr("tui.cli.screen.EngineHandle", Stoppable)
    monkeypatch.setattr("tui.cli.screen.collector.hold", lambda: None)
    file.write_text(text)
    assert_reported(ran("--config", str(file)), file, sentence)
    assert_reported(ran("config", "--config", str(file)), file, sentence)


def test_a_settings_file_is_created_once_and_private() -> None:
    assert "(not found; create it with opusagent-tui config --init)" in ran("config").output
    result = ran("config", "--init")
    path = settings_path()
    assert result.output == f"Wrote {path}\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["config.toml"]
    assert read_settings().settings == Settings()
    path.write_text("[thresholds]\ngood_ms = 500")
    again = ran("config", "--init")
    assert (again.exit_code, again.output) == (2, f"{path} already exists and was not changed.\n")
    assert read_settings().settings.thresholds.good_ms == 500


def test_a_folder_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("the way")
    result = ran("config", "--init", "--config", str(tmp_path / "in" / "config.toml"))
    assert result.exit_code == 2
    assert "Cannot write to" in result.output


def test_a_new_settings_file_shows_every_setting_in_valid_form(tmp_path: Path) -> None:
    uncommented = re.sub(r"^# (?=\[|[a-z_]+ = )", "", STARTER, flags=re.MULTILINE)
    (tmp_path / "config.toml").write_text(uncommented)
    in_force = read_settings(str(tmp_path / "config.toml"))
    check_screen(in_force)
    assert {"filter", "mark"} == set(in_force.settings.keys)
    table = tomllib.loads(uncommented)
    for section in ("thresholds", "screen", "sessions", "sound"):
        assert set(table[section]) == set(getattr(Settings(), section).__struct_fields__)
    written = {*table["target"], *table["profiles"]["staging"]}
    assert written == {*SETTINGS, "url"}


def test_every_action_is_listed_with_its_keys(file: Path) -> None:
    file.write_text("[keys]\nmark = ['f6', 'ctrl+b']")
    lines = ran("config", "--keys", "--config", str(file)).output.splitlines()
    assert any(re.match(r"mark +f6 ctrl\+b +Mark or unmark the event", line) for line in lines)
    assert any(re.match(r"previous_mark +\[ +Go to the previous mark", line) for line in lines)
    assert any(line.startswith("log.page_down ") for line in lines)


def test_actions_are_listed_under_the_screen_they_apply_on() -> None:
    under = {
        line.split()[0]: heading
        for block in ran("config", "--keys").output.split("\n\n")
        for heading, *lines in [block.splitlines()]
        for line in lines
    }
    assert {"quit": "Everywhere", "record": "Session (in a call)", "play": "Session (saved)"} | under == under
    assert {
        "filter": "Session",
        "log.up": "Session",
        "export_start": "Export",
        "dtmf_1": "Keypad",
    } | under == under


@pytest.mark.parametrize(
    ("variable", "suggestion"),
    [
        ("SESSIONS_KEEP_DAY", '; did you mean "OPUSAGENT_TUI_SESSIONS_KEEP_DAYS"?'),
        ("SESIONS_KEEP_DAYS", '; did you mean "OPUSAGENT_TUI_SESSIONS_KEEP_DAYS"?'),
        ("CONFG", '; did you mean "OPUSAGENT_TUI_CONFIG"?'),
        ("TARGET_HEADERS", "."),
    ],
)
@pytest.mark.parametrize("command", ["config", "sessions"])
def test_a_misspelt_variable_is_reported_and_ignored(
    variable: str, suggestion: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"OPUSAGENT_TUI_{variable}", "3")
    result = ran(command)
    assert (result.exit_code, result.stderr) == (
        0,
        f"$OPUSAGENT_TUI_{variable} is not a setting{suggestion}\n",
    )


@pytest.mark.parametrize("variable", ["HIDE_PORTAUDIO", "STAGING_TOKEN", "SESSIONS_KEEP_DAYS"])
def test_other_variables_are_not_reported(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"OPUSAGENT_TUI_{variable}", "3")
    assert ran("config").stderr == ""
