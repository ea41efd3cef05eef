"""Tests that wrong usage prints one sentence and, with ``--json``, one object, with the exit code in the table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tui.cli.main import cli

URL = "ws://127.0.0.1:1/x"
LONG = "x" * 300
CALLS = [
    ([], "Missing argument 'URL|PROFILE'."),
    ([URL, URL], f"Got unexpected extra argument ({URL})"),
    ([URL, "--nothing"], "No such option"),
    ([URL, "--timeout", "soon"], "Invalid value for '--timeout': 'soon' is not a valid number."),
    ([URL, "--timeout", "0"], "Invalid value for '--timeout': 0.0 is not in the range x>=0.1."),
    ([URL, "--max-response-ms", "-1"], "'--max-response-ms': -1.0 is not in the range x>=0."),
    ([URL, "--accept-timeout", "0"], "'--accept-timeout': 0.0 is not in the range 0<x<=600"),
    ([URL, "--block", "7"], "'--block': 7 is not in the range 10<=x<=250."),
    ([URL, "--block", "ten"], "'--block': 'ten' is not a valid integer range."),
    ([URL, "--on-stop", "maybe"], "'--on-stop': unknown value 'maybe'"),
    ([URL, "--echo", "gate"], "No such option"),
    ([URL, "--option", "rate"], "--option: write it as KEY=VALUE."),
    ([URL, "--param", "=1"], "--param: write it as KEY=VALUE."),
    ([URL, "--header", "X"], "--header: write it as 'KEY: VALUE'."),
    ([URL, "--protocol", "twillio"], '--protocol twillio: unknown protocol; did you mean "twilio"?'),
    ([URL, "--protocol", "audiocodes", "--option", "colour=red"], "colour"),
    ([URL, "--token-env", "NOT_SET"], "--token-env NOT_SET: that variable is not set"),
    ([URL, "--cacert", "missing.pem"], "'missing.pem' does not exist."),
    ([URL, "--cacert", LONG], "File name too long"),
    ([URL, "--cacert", "text.wav/ca.pem"], "'text.wav/ca.pem' cannot be read: Not a directory."),
    ([URL, "--cacert", "loop"], "'loop' cannot be read: Too many levels of symbolic links."),
    ([URL, "--cacert", "."], "'.' is a directory."),
    ([URL, "--tools", "missing.py"], "'missing.py' does not exist."),
    ([URL, "--tools", "."], "is a directory"),
    ([URL, "--tools", "wrong.py"], "wrong.py, line 1: "),
    ([URL, "--tools", "failing.py"], "failing.py, line 1: ZeroDivisionError: division by zero."),
    ([URL, "--say", "missing.wav"], "missing.wav"),
    ([URL, "--say", "."], "."),
    ([URL, "--say", "text.wav"], "text.wav is not a WAV file"),
    ([URL, "--say", "empty.wav"], "empty.wav"),
    ([URL, "--say", f"{LONG}.wav"], "File name too long."),
    ([URL, "--say", "text.wav/q.wav"], "text.wav/q.wav"),
    ([URL, "--say", "loop/q.wav"], "loop/q.wav"),
    ([URL, "--output", "speaker"], "--output speaker: "),
    ([URL, "--output", "missing/q.wav"], "--output missing/q.wav is not writable"),
    ([URL, "--config", "missing.toml"], "missing.toml: settings file not found."),
    ([URL, "--config", "."], ". cannot be read: Is a directory."),
    ([URL, "--config", LONG], "cannot be read: File name too long."),
    ([URL, "--config", "text.wav"], "text.wav is not valid TOML"),
    ([URL, "--config", "typing.toml"], 'typing.toml: [screen] has no setting "them"; did you mean "theme"?'),
    (["ftp://h/x"], "ws://h/x"),
    (["h:9000"], "ws://h:9000"),
    (["staging"], "staging"),
    (["ws://"], "has no host"),
    (["ws://h:99999/"], "ws://h:99999/"),
    ([""], "is neither a URL (ws:// or wss://) nor a profile"),
]
OTHERS = [
    (
        ["sessions", "--since", "yesterday"],
        "'yesterday' is not a date; use a format like 2026-01-31 or 2026-01-31T09:30.",
    ),
    (["sessions", "--min-duration", "-1"], "'--min-duration': -1.0 is not in the range x>=0."),
    (["sessions", "--errors=yes"], "does not take a value"),
    (["sessions", "--save", "text.wav"], "text.wav is not a folder"),
    (["metrics"], "Missing argument 'SESSION'."),
    (["metrics", "missing"], "missing"),
    (["metrics", "."], "is not a saved session"),
    (["metrics", LONG], "No session xxx"),
    (["metrics", "text.wav/x"], "text.wav is not a folder."),
]
PLAIN = [
    (["bogus"], "No such command 'bogus'"),
    (["check", "ws://"], "has no host"),
    (["check", URL, "--token-env", "NOT_SET"], "--token-env NOT_SET"),
    (["report", LONG], "No session xxx"),
    (["report", "."], "is not a saved session"),
    (["sessions", "delete", LONG], "No session xxx"),
    (["agent", "--port", "70000"], "'--port': 70000 is not in the range 0<=x<=65535."),
    (["agent", "--pace", "slow"], "slow"),
    (["config", "--init", "--config", "text.wav"], "text.wav already exists and was not changed."),
    *(
        (
            [*command, "--latency", latency],
            f"--latency {latency}: use auto, low, high, or a number of seconds",
        )
        for command in (["connect", URL], ["demo"])
        for latency in ("soon", "-1", "nan")
    ),
    (["connect", "--header", "A: b"], "--header needs a target"),
    (["demo", "--protocol", "opeani"], 'did you mean "openai"?'),
    (["demo", "--pace", "fast"], "must be a number or 'all'"),
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Creates a current folder with files that the commands do not expect."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.wav").write_text("these are words")
    (tmp_path / "empty.wav").touch()
    (tmp_path / "wrong.py").write_text("def f(:\n")
    (tmp_path / "failing.py").write_text("1 / 0\n")
    (tmp_path / "typing.toml").write_text("[screen]\nthem = 'x'\n")
    (tmp_path / "loop").symlink_to("loop")


def ran(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [(["call", *arguments], sentence) for arguments, sentence in CALLS] + OTHERS,
    ids=lambda value: " ".join(value)[:50] if isinstance(value, list) else "",
)
def test_a_wrong_usage_is_a_sentence_and_an_object(arguments: list[str], sentence: str) -> None:
    plain, as_json = ran(*arguments), ran(*arguments, "--json")
    assert (plain.exit_code, as_json.exit_code) == (2, 2)
    assert sentence in plain.stderr
    assert plain.stdout == ""
    assert plain.stderr == as_json.stderr
    (line,) = as_json.stdout.splitlines()
    error = json.loads(line)
    assert as_json.stderr.endswith(f"{error.pop('message')}\n")
    source = arguments[0]
    assert error == {"event": "error", "source": source, "code": "usage", "fatal": True, "exit_code": 2}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    PLAIN,
    ids=lambda value: " ".join(value)[:50] if isinstance(value, list) else "",
)
def test_a_wrong_usage_of_other_commands_is_a_sentence(arguments: list[str], sentence: str) -> None:
    result = ran(*arguments)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("arguments", [["call", URL], ["sessions"], ["metrics", "x"]], ids=" ".join)
def test_an_unforeseen_error_is_70_and_a_crash_file(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("tui.config.reading.settings_path", fail)
    result = ran(*arguments, "--json")
    assert result.exit_code == 70
    (crash,) = tmp_path.glob("opusagent-tui-crash-*")
    sentence = "opusagent-tui stopped because of an internal error (ZeroDivisionError)."
    assert result.stderr == f"{sentence} The details are in {crash}\n"
    error = json.loads(result.stdout)
    assert (error["code"], error["exit_code"], error["source"]) == ("crashed", 70, arguments[0])
