"""Tests the effects of options, and the errors for invalid ones."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from io import BytesIO, TextIOWrapper
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

from tui.cli.main import cli
from tui.cli.options import check_terminal
from tui.cli.screen import LocalAgent
from tui.models.target import Target

URL = "ws://127.0.0.1:9/agent"
INTERACTIVE = "This command needs an interactive terminal, but its"


def ran(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def test_the_help_names_every_kind_of_latency() -> None:
    assert "--latency auto|low|high|SECONDS" in ran("demo", "--help").output


def test_echo_cancelling_without_its_package_names_the_command_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        "tui.audio.webrtc.find_spec", lambda name: None if "livekit" in name else find_spec(name)
    )
    result = ran("demo", "--echo", "cancel")
    assert result.exit_code == 2
    assert "pip install livekit" in result.output


def test_sound_options_reach_the_target(monkeypatch: pytest.MonkeyPatch) -> None:
    targets: list[Target] = []
    monkeypatch.setattr("tui.cli.main._show_screen", lambda target, **_: targets.append(target))
    ran("connect", URL, "--echo", "gate", "--fade", "8", "--block", "10", "--latency", "0.1")
    (target,) = targets
    assert (target.echo, target.fade_ms, target.block_ms, target.latency) == ("gate", 8, 10, "0.1")


def test_connect_without_a_url_opens_the_list_of_agents(monkeypatch: pytest.MonkeyPatch) -> None:
    targets: list[Target | None] = []
    monkeypatch.setattr("tui.cli.main._show_screen", lambda target, **_: targets.append(target))
    assert ran("connect", "--output", "none").exit_code == 0
    assert targets == [None]


@pytest.mark.parametrize(
    "arguments", [["--token-env", "TOKEN"], ["--header", "A: b"], ["--protocol", "twilio"], ["--insecure"]]
)
def test_options_of_one_target_need_that_target(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.cli.main._show_screen", lambda *_, **__: pytest.fail("it was shown"))
    result = ran("connect", *arguments)
    assert result.exit_code == 2
    assert result.output.strip() == (
        f"{arguments[0]} needs a target: pass a URL, or a profile from the settings file."
    )


class Stream:
    """A standard stream, with or without a terminal."""

    def __init__(self, encoding: str = "utf-8", *, terminal: bool = True) -> None:
        self.encoding, self.terminal = encoding, terminal

    def isatty(self) -> bool:
        return self.terminal


@pytest.mark.parametrize(
    ("streams", "term", "sentence"),
    [
        ({"stdin": Stream(terminal=False)}, "xterm", f"{INTERACTIVE} input is redirected. "),
        ({"stdout": Stream(terminal=False)}, "xterm", f"{INTERACTIVE} output is redirected. "),
        ({"stderr": Stream(terminal=False)}, "xterm", f"{INTERACTIVE} error output is redirected. "),
        ({"stdin": None}, "xterm", f"{INTERACTIVE} input is redirected. "),
        ({}, "dumb", "This command needs a terminal that can position the cursor, but TERM is dumb. "),
        ({}, "", "This command needs a terminal that can position the cursor, but TERM is not set. "),
        ({"stderr": Stream("iso8859-1")}, "xterm", "This terminal's locale is not UTF-8. Set it with"),
    ],
)
@pytest.mark.parametrize(
    ("command", "instead"),
    [
        ([], "`opusagent-tui call URL --say FILE.wav`"),
        (["connect", URL], "`opusagent-tui call URL --say FILE.wav`"),
        (["demo"], "`opusagent-tui call URL --say FILE.wav`"),
        (["open", "latest"], "`opusagent-tui metrics latest`"),
    ],
    ids=["no command", "connect", "demo", "open"],
)
def test_without_a_terminal_the_error_names_the_alternative(
    streams: dict[str, Stream | None],
    term: str,
    sentence: str,
    command: list[str],
    instead: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(f"sys.__{name}__", streams.get(name, Stream()))
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr("locale.getencoding", lambda: "iso8859-1")
    result = ran(*command)
    assert result.exit_code == 2
    assert result.output.startswith(sentence)
    assert result.output.endswith(f". Without such a terminal, use {instead}.\n")


def test_an_encoding_that_only_python_was_given_does_not_change_what_the_terminal_reads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("stdin", "stdout"):
        monkeypatch.setattr(f"sys.__{name}__", Stream())
    stderr = TextIOWrapper(BytesIO(), "latin-1")
    monkeypatch.setattr(stderr, "isatty", lambda: True)
    monkeypatch.setattr("sys.__stderr__", stderr)
    monkeypatch.setattr("locale.getencoding", lambda: "UTF-8")
    monkeypatch.setenv("TERM", "xterm")
    check_terminal()
    assert stderr.encoding == "utf-8"


def test_json_is_utf_8_in_every_locale() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tui", "call", "ws://127.0.0.1:1/Ωü👩", "--say", "Ωü👩.wav", "--json"],
        capture_output=True,
        timeout=50,
        env={**os.environ, "PYTHONIOENCODING": "latin-1", "LC_ALL": "C.UTF-8"},
        check=False,
    )
    assert done.returncode == 2
    assert "Ωü👩.wav" in json.loads(done.stdout)["message"]


@pytest.mark.parametrize("command", [["devices"], ["config"], ["agent", "--help"]], ids=" ".join)
def test_a_locale_that_lacks_a_character_does_not_stop_commands(command: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tui", *command],
        capture_output=True,
        timeout=50,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "OPUSAGENT_TUI_HIDE_PORTAUDIO": "1"},
        check=False,
    )
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("flags", "variable", "heard_on"),
    [
        ([], "", "desk"),
        ([], "head", "head"),
        (["--output", "none"], "head", "none"),
        (["--output", "auto"], "", "auto"),
    ],
)
def test_the_speaker_of_a_saved_session_is_set_by_flag_environment_or_settings(
    flags: list[str], variable: str, heard_on: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs: list[str] = []
    monkeypatch.setattr("tui.cli.options.check_terminal", lambda _: None)
    monkeypatch.setattr("tui.cli.screen.run_screen", lambda *_, opening: outputs.append(opening.output))
    monkeypatch.setenv("OPUSAGENT_TUI_TARGET_OUTPUT", variable)
    (tmp_path / "config.toml").write_text("target.output = 'desk'")
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "events.jsonl").touch()
    ran("open", str(tmp_path / "saved"), *flags, "--config", str(tmp_path / "config.toml"))
    assert outputs == [heard_on]


def test_an_unreachable_agent_prints_one_json_object() -> None:
    result = ran("call", "ws://127.0.0.1:1/", "--no-save", "--json")
    assert result.exit_code == 4
    (line,) = result.stdout.splitlines()
    error = json.loads(line)
    assert result.stderr.endswith(error.pop("message") + "\n")
    expected = {"event": "error", "source": "socket", "code": "unreachable", "fatal": True, "exit_code": 4}
    assert error == expected
    assert ran("call", "ws://127.0.0.1:1/", "--no-save").stdout == ""


@pytest.mark.parametrize(
    ("options", "url"),
    [
        ({"byte_order": "little", "user_id": "7"}, "ws://h/telnyx?byte_order=little"),
        ({"user_id": "7"}, "ws://h/telnyx"),
    ],
)
def test_demo_shows_its_agent_the_options_that_no_message_states(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, str], url: str
) -> None:
    local = LocalAgent(None, Target(url="", protocol="telnyx", options=options))
    monkeypatch.setattr(local, "start", lambda: SimpleNamespace(url=lambda path: f"ws://h{path}"))
    assert (local.target().url, local.target().options) == (url, options)
