"""Tests the command `load`: what it rejects, and what it passes to the processes that it starts."""

from __future__ import annotations

import resource
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.load.serving import short_scenario, silent_scenario
from tui.cli.main import cli
from tui.load.__main__ import arguments
from tui.load.plan import LoadPlan, Role
from tui.speech.errors import SpeechError
from tui.speech.process import SpeechProcess

URL = "ws://127.0.0.1:9/pcm"
Load = Callable[..., Result]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[LoadPlan]:
    """Returns the plans of the processes that would be started."""
    plans: list[LoadPlan] = []

    def run(found: Sequence[LoadPlan]) -> int:
        plans.extend(found)
        return 0

    monkeypatch.setattr("tui.load.processes.run", run)
    return plans


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    monkeypatch.chdir(tmp_path)
    silent_scenario(tmp_path)

    def invoke(*options: str) -> Result:
        return CliRunner().invoke(cli, ["load", "silent.call.toml", *options])

    return invoke


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], "silent.call.toml has no [target]. Specify the agent with --url or --profile."),
        (["--url", URL, "--users", "0"], "0 is not in the range x>=1."),
        (["--url", URL, "--run-time", "soon"], "write a duration such as 90s, 10m or 1h30m."),
        (["--url", URL, "--keep", "2"], "write a percentage from 0% to 100%."),
        (["--url", URL, "--fail-if", "p95 is slow"], '--fail-if: "p95 is slow" is not a condition.'),
        (["--url", URL, "--keep-if", "p95 > 2s"], '--keep-if: Unknown figure "p95"'),
        (["--url", URL, "--master", "--worker"], "--master and --worker cannot be used together"),
        (["--url", URL, "--worker"], "--worker needs --master-host"),
        (["--url", URL, "--web", "--headless"], "--web and --headless cannot be used together."),
        (["--url", URL, "--json", "missing/f.json"], "--json missing/f.json: its folder does not exist."),
        (["--url", "ws://agent.example.com/x"], "add --allow-host agent.example.com."),
    ],
)
def test_wrong_usage_is_one_sentence(
    load: Load, started: list[LoadPlan], options: list[str], sentence: str
) -> None:
    result = load(*options)
    assert result.exit_code == 2
    assert sentence in result.output
    assert started == []


def test_a_host_that_was_allowed_once_stays_allowed(load: Load, started: list[LoadPlan]) -> None:
    url = ("--url", "ws://Agent.example.com/x", "--protocol", "pcm")
    assert load(*url, "--allow-host", "agent.example.com").exit_code == 0
    assert load(*url).exit_code == 0
    assert load("--url", "ws://other.example.com/x", "--protocol", "pcm").exit_code == 2
    assert len(started) == 2


def test_too_few_open_files_are_found_before_the_start(
    load: Load, started: list[LoadPlan], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_to: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 1_024))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: set_to.append(limits))
    result = load("--url", URL, "--users", "5000")
    assert (result.exit_code, set_to) == (2, [])
    assert "`ulimit -n 10200`" in result.output
    assert load("--url", URL, "--users", "200").exit_code == 0
    assert set_to == [(600, 1_024)]
    assert load("--url", URL, "--users", "20").exit_code == 0
    assert load("--url", URL, "--users", "2000", "--workers", "5").exit_code == 0
    assert len(set_to) == 2


def test_without_the_extra_the_command_to_install_it_is_shown(
    load: Load, started: list[LoadPlan], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.cli.load.find_spec", lambda _: None)
    assert "pip install 'opusagent-tui[load]'" in load("--url", URL).output


def test_options_become_those_of_locust(load: Load, started: list[LoadPlan]) -> None:
    options = ("--users", "200", "--spawn-rate", "5", "--run-time", "1h30m", "--protocol", "pcm")
    assert load("--url", URL, *options, "--", "--csv", "out").exit_code == 0
    text = " ".join(arguments(started[0]))
    assert started[0].role is Role.ALONE
    for part in ("--users 200", "--spawn-rate 5.0", "--run-time 5400s", "--headless", "--csv out"):
        assert part in text


def test_workers_are_processes_that_work_for_the_first(load: Load, started: list[LoadPlan]) -> None:
    assert load("--url", URL, "--protocol", "pcm", "--workers", "2").exit_code == 0
    assert [plan.role for plan in started] == [Role.MASTER, Role.WORKER, Role.WORKER]
    assert len({plan.master_port for plan in started}) == 1
    assert "--master --expect-workers 2 --master-bind-host 127.0.0.1" in " ".join(arguments(started[0]))
    assert "--users" not in arguments(started[1])


def test_master_and_worker_on_different_machines(load: Load, started: list[LoadPlan]) -> None:
    assert load("--url", URL, "--protocol", "pcm", "--master", "--workers", "3").exit_code == 0
    assert load("--url", URL, "--protocol", "pcm", "--worker", "--master-host", "10.0.0.5").exit_code == 0
    master, worker = started
    assert "--expect-workers 3 --master-bind-host *" in " ".join(arguments(master))
    assert "--worker --master-host 10.0.0.5 --master-port 5557" in " ".join(arguments(worker))


def test_calls_are_saved_only_if_asked(load: Load, started: list[LoadPlan]) -> None:
    for options in ((), ("--keep", "1%"), ("--keep-if", "failed", "--keep-if", "response > 2s")):
        assert load("--url", URL, "--protocol", "pcm", *options).exit_code == 0
    assert [bool(plan.target.save) for plan in started] == [False, True, True]
    assert (started[1].keep, started[2].keep_if) == (0.01, "failed or response > 2s")


def test_secrets_are_not_in_arguments(
    load: Load, started: list[LoadPlan], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOAD_TOKEN", "sesame-open-9")
    assert load("--url", URL, "--protocol", "pcm", "--token-env", "LOAD_TOKEN").exit_code == 0
    assert started[0].target.token == "sesame-open-9"
    assert "sesame" not in " ".join(arguments(started[0])) + repr(started[0])


def test_the_canary_is_a_process_whose_calls_are_saved(load: Load, started: list[LoadPlan]) -> None:
    assert load("--url", URL, "--protocol", "pcm", "--canary").exit_code == 0
    crowd, canary = started
    assert (crowd.role, canary.role) == (Role.ALONE, Role.CANARY)
    assert crowd.canary_file == canary.canary_file != ""
    assert (crowd.target.save, bool(canary.target.save)) == ("", True)
    assert load("--url", URL, "--master", "--canary").exit_code == 2


def test_sentences_are_spoken_once_before_the_start(
    load: Load, started: list[LoadPlan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short_scenario(tmp_path)
    (tmp_path / "silent.call.toml").write_text('[[step]]\nsay = "I would like a room."\n' * 2)
    spoken: list[str] = []

    def speak(_: SpeechProcess, text: str) -> Path:
        spoken.append(text)
        return tmp_path / "word.wav"

    monkeypatch.setattr(SpeechProcess, "speak", speak)
    assert load("--url", URL, "--workers", "2").exit_code == 0
    assert spoken == ["I would like a room."]
    found = {plan.lines["I would like a room."].line.path for plan in started}
    assert found == {str(tmp_path / "word.wav")}


def test_a_sentence_that_cannot_be_spoken_is_refused_before_the_start(
    load: Load, started: list[LoadPlan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "silent.call.toml").write_text('[[step]]\nsay = "I would like a room."\n')

    def speak(_: SpeechProcess, text: str) -> Path:
        raise SpeechError("No voice is installed.")

    monkeypatch.setattr(SpeechProcess, "speak", speak)
    ran = load("--url", URL)
    assert (ran.exit_code, started) == (2, [])
    assert "silent.call.toml, line 2: No voice is installed." in ran.output
