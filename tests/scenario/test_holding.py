"""Tests scenarios against the local agent. All calls are made at the same time, in one event loop."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.speech.machine import install_recognizer, install_voice
from tui.agent.process import AgentProcess, start_agent
from tui.agent.settings import AgentSettings
from tui.audio.speech import load_detector
from tui.cli.main import cli
from tui.models import events as e
from tui.models.target import Target
from tui.scenario.holding import hold
from tui.scenario.lines import lines_of
from tui.scenario.player import Aids
from tui.scenario.reading import read_scenario
from tui.scenario.verdict import RunResult, StepVerdict
from tui.speech.errors import SpeechError

pytestmark = pytest.mark.xdist_group("sound")  # only this worker keeps its priority

SECRET = "sesame-open-123"
PASSED, FAILED, NOT_MEASURED = StepVerdict.PASSED, StepVerdict.FAILED, StepVerdict.NOT_MEASURED
DONE = StepVerdict.DONE

GREETED = '[[step]]\nexpect = "agent speaks"\nwithin = "5s"\n'
BYE = "[[step]]\nhang_up = true\n"
NO_TOOL = '[[step]]\nexpect = "tool book_table"\nwithin = "200ms"\n'
SCENARIOS = {
    "greets": f"[limits]\nfindings = 0\n{GREETED}{BYE}",
    "yields": GREETED
    + '[[step]]\nsay = "interrupt"\nwhen = "agent speaks + 300ms"\n'
    + '[[step]]\nexpect = "agent stops"\nwithin = "8s"\n'
    + BYE,
    "answers": '[[step]]\nsay = "yes"\n[[step]]\nexpect = "agent answers"\nwithin = "5s"\n' + BYE,
    "does_not_answer": GREETED
    + '[[step]]\nsilence = "5s"\n'  # until the greeting is over, even if it is late
    + "[[step]]\nmute = true\n"
    + '[[step]]\nsay = "yes"\n[[step]]\nexpect = "agent answers"\nwithin = "500ms"\n'
    + BYE,
    "fails": NO_TOOL + BYE,
    "stops": '[[step]]\nrun = "exit 1"\nstop = true\n' + BYE,
    "hears": '[[step]]\nhear = "Hello"\n[[step]]\nhear = "goodbye"\nwithin = "100ms"\n' + BYE,
    "deaf": '[[step]]\nhear = "hello"\nstop = true\n' + BYE,
    "deaf_throughout": '[[step]]\nhear = "hello"\n' + BYE,
    "times_out": 'timeout = "500ms"\n[[step]]\nsilence = "10s"\n' + BYE,
    "runs": '[[step]]\nrun = "true"\n'
    f'[[step]]\nrun = "echo {SECRET} is wrong; exit 3"\n'
    f'[[step]]\nrun = "printf %0180d 0; echo {SECRET}{SECRET}; exit 3"\n'
    '[[step]]\nrun = "sleep 20; true"\nwithin = "100ms"\n' + BYE,
    "broken_off": '[limits]\nerrors = 0\n[[step]]\nfault = "drop"\nfor = "10ms"\n[[step]]\nrun = "true"\n'
    '[[step]]\nexpect = "hang-up"\n[[step]]\nrun = "true"\n',
    "dropped_last": '[[step]]\nfault = "drop"\nfor = "10ms"\n',
    "dropped_too_long": '[[step]]\nfault = "drop"\nfor = "30s"\n[[step]]\nexpect = "hang-up"\n',
    "resumed": '[[step]]\nfault = "drop"\nfor = "10ms"\n[[step]]\nexpect = "message session.resume"\n' + BYE,
    "presses": '[[step]]\npress = "1"\n' + BYE,
}


def words(pcm: bytes, rate: int) -> str:
    """Recognizes any speech as one word."""
    return "hello" if len(pcm) > rate and any(pcm) else ""


def no_recogniser(pcm: bytes, rate: int) -> str:
    raise SpeechError("Run pip install something.")


@pytest.fixture(scope="module")
def agent() -> Iterator[AgentProcess]:
    with start_agent(AgentSettings()) as agent:
        yield agent


@pytest.fixture(scope="module")
def runs(agent: AgentProcess, tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunResult]:
    """Returns one run of each scenario, by name."""
    folder = tmp_path_factory.mktemp("scenarios")

    async def allowed(command: str) -> bool:
        return True

    def prepared(name: str) -> Coroutine[None, None, RunResult]:
        path = folder / f"{name}.call.toml"
        path.write_text(SCENARIOS[name])
        scenario = read_scenario(path)
        protocol = "pcm" if name in ("presses", "broken_off", "dropped_last") else "audiocodes"
        target = Target(
            url=agent.url(f"/{protocol}"),
            protocol=protocol,
            token=SECRET,
            resume_timeout_s=0.2 if name == "dropped_too_long" else 10.0,
        )
        hear = {"hears": words, "deaf": no_recogniser, "deaf_throughout": no_recogniser}.get(name)
        return hold(scenario, target, aids=Aids(lines=lines_of(scenario), may_run=allowed, hear=hear))

    # Slow work is done before the calls, because a late program judges nothing.
    load_detector()
    calls = [prepared(name) for name in SCENARIOS]

    async def every() -> list[RunResult]:
        return await asyncio.gather(*calls)

    with pytest.MonkeyPatch.context() as patch:
        # On a busy machine, calls are late and therefore not judged. These tests are about the verdict, so
        # lateness is ignored.
        patch.setattr("tui.scenario.player._LATE_NS", 10_000_000_000)
        patch.setattr("tui.scenario.performance._MOST_SENDING_MS", 10_000.0)
        patch.setattr("tui.session.self_check.SelfCheck.judge", lambda *_, **__: None)
        patch.setattr("tui.scenario.seen.Seen.late_ms", lambda seen, from_ns, until_ns: 0.0)
        return dict(zip(SCENARIOS, asyncio.run(every()), strict=True))


def verdicts(run: RunResult) -> list[StepVerdict]:
    return [case.verdict for case in run.cases]


BROKEN_OFF = "cut off: the scenario dropped the connection, and "


def test_a_dropped_socket_breaks_the_call_off_where_the_session_cannot_be_resumed(
    runs: dict[str, RunResult],
) -> None:
    run = runs["broken_off"]
    assert verdicts(run) == [PASSED, DONE, PASSED, NOT_MEASURED, PASSED, PASSED]
    assert (
        run.cases[3].reason == f"Not reached: the call had ended ({BROKEN_OFF}the session cannot be resumed)."
    )
    assert run.verdict is NOT_MEASURED
    assert run.cut_short
    assert not runs["dropped_last"].cut_short
    # The fault was requested, so it is not a failure by itself.
    assert (runs["dropped_last"].verdict, verdicts(runs["dropped_last"])) == (PASSED, [PASSED, DONE])


def test_a_socket_that_is_away_for_too_long_is_no_failure_of_the_agent(runs: dict[str, RunResult]) -> None:
    assert verdicts(runs["dropped_too_long"]) == [PASSED, DONE, NOT_MEASURED]
    assert (
        "it was down for longer than the limit for resuming a session"
        in runs["dropped_too_long"].cases[2].reason
    )


def test_a_dropped_socket_is_replaced_where_the_session_can_be_resumed(runs: dict[str, RunResult]) -> None:
    assert verdicts(runs["resumed"]) == [PASSED, DONE, PASSED, DONE]


def test_a_greeting_passes(runs: dict[str, RunResult]) -> None:
    assert (runs["greets"].verdict, verdicts(runs["greets"])) == (PASSED, [PASSED, PASSED, DONE, PASSED])


def test_an_agent_that_yields_to_a_barge_in_passes(runs: dict[str, RunResult]) -> None:
    run = runs["yields"]
    assert (run.late, verdicts(run)) == ("", [PASSED, PASSED, DONE, PASSED, DONE])
    stopped_ms = run.cases[3].measured_ms
    assert stopped_ms is not None
    assert stopped_ms > 0


def test_an_answer_is_heard_after_the_greeting_and_the_line(runs: dict[str, RunResult]) -> None:
    run = runs["answers"]
    assert (run.verdict, verdicts(run)) == (PASSED, [PASSED, DONE, PASSED, DONE])
    assert [response > 0 for response in run.response_ms] == [True]


def test_a_missing_answer_fails(runs: dict[str, RunResult]) -> None:
    run = runs["does_not_answer"]
    assert (run.verdict, verdicts(run)) == (FAILED, [PASSED, PASSED, DONE, DONE, DONE, FAILED, DONE])
    assert run.cases[5].reason == "The agent did not answer yes within 0.5 s."


def test_a_failed_step_does_not_end_the_call(runs: dict[str, RunResult]) -> None:
    run = runs["fails"]
    assert (run.verdict, verdicts(run)) == (FAILED, [PASSED, FAILED, DONE])
    assert run.cases[1].reason == "It did not happen within 200 ms."
    assert run.cases[1].line == 2


def test_a_failed_step_with_stop_ends_the_call(runs: dict[str, RunResult]) -> None:
    assert verdicts(runs["stops"]) == [PASSED, FAILED, NOT_MEASURED]
    assert runs["stops"].cases[2].reason == "Not reached: step 1 failed, and the step has stop = true."


def test_words_are_judged_by_what_a_recogniser_hears(runs: dict[str, RunResult]) -> None:
    run = runs["hears"]
    assert (run.verdict, verdicts(run)) == (FAILED, [PASSED, PASSED, FAILED, DONE])
    assert run.cases[2].reason == '"hello" was heard: its word error rate is 1.00; the limit is 0.2.'


def test_words_without_a_recogniser_are_not_measured(runs: dict[str, RunResult]) -> None:
    run = runs["deaf"]
    assert (run.verdict, verdicts(run)) == (NOT_MEASURED, [PASSED, NOT_MEASURED, NOT_MEASURED])
    assert run.cases[1].reason == "Run pip install something."
    assert run.cases[2].reason == "Not reached: step 1 not measured, and the step has stop = true."


def test_a_call_that_the_script_ends_is_not_cut_short(runs: dict[str, RunResult]) -> None:
    run = runs["deaf_throughout"]
    assert verdicts(run) == [PASSED, NOT_MEASURED, DONE]
    assert not run.cut_short


def test_the_timeout_of_a_scenario_fails_its_step(runs: dict[str, RunResult]) -> None:
    assert verdicts(runs["times_out"]) == [PASSED, FAILED, NOT_MEASURED]
    assert runs["times_out"].cases[1].reason == "The scenario's timeout of 500 ms was reached."


def test_commands_are_judged_by_their_exit_code(runs: dict[str, RunResult]) -> None:
    assert verdicts(runs["runs"]) == [PASSED, PASSED, FAILED, FAILED, NOT_MEASURED, DONE]
    assert runs["runs"].cases[4].reason == "The command did not end within 100 ms."


def test_the_output_of_commands_is_shown_without_secrets(runs: dict[str, RunResult]) -> None:
    first, cut = (case.reason for case in runs["runs"].cases[2:4])
    assert first.startswith("The command ended with code 3: ")
    assert first.endswith(" is wrong.")
    assert SECRET not in first
    # Also if the end of a long line is cut within the secret.
    assert "sesame" not in cut


def test_an_agent_that_cannot_carry_a_step_is_not_called(runs: dict[str, RunResult]) -> None:
    run = runs["presses"]
    assert (run.verdict, run.cases) == (NOT_MEASURED, ())
    assert run.not_applicable.endswith("presses.call.toml, line 2: Plain PCM does not support pressing keys.")


@pytest.mark.parametrize(
    ("text", "path", "code", "shows"),
    [
        ('[[step]]\nsilence = "1ms"\n', "/audiocodes", 0, "100% (1/1, 21%–100%)"),
        ('[[step]]\nrun = "exit 5"\n', "/audiocodes", 1, "The command ended with code 5."),
        ('[[step]]\nexpect = "agent dances"\n', "/audiocodes", 2, "line 2: "),
        (BYE, "/nowhere", 4, "0% (0/1, 0%–79%)"),
        (f"repeat = 3\n{SCENARIOS['presses']}", "/pcm", 6, "Plain PCM does not support pressing keys."),
    ],
)
def test_the_exit_code_shows_how_the_scenarios_went(
    agent: AgentProcess,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    path: str,
    code: int,
    shows: str,
) -> None:
    monkeypatch.setattr("tui.scenario.performance._MOST_SENDING_MS", 10_000.0)
    file = tmp_path / "a.call.toml"
    file.write_text(text)
    protocol = "pcm" if path == "/pcm" else "audiocodes"
    ran = CliRunner().invoke(cli, ["test", str(file), "--url", agent.url(path), "--protocol", protocol])
    assert (ran.exit_code, shows in ran.output) == (code, True), ran.output
    # A step that the protocol does not support is reported once, not in each run.
    assert ran.output.count("not measured  a (") <= 1


SENTENCE = '[[step]]\nsay = "Is it open on Sunday?"\nwhen = "now + 1s"\n[[step]]\nhear = "hello"\n' + BYE


def played_by_the_command(
    agent: AgentProcess, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[int, str]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    file = folder / "a.call.toml"
    file.write_text(SENTENCE)
    ran = CliRunner().invoke(
        cli, ["test", str(file), "--url", agent.url("/audiocodes"), "--protocol", "audiocodes"]
    )
    return ran.exit_code, ran.output


def test_sentences_are_spoken_and_words_recognized_outside_the_call(
    agent: AgentProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_voice(tmp_path, monkeypatch)
    install_recognizer(tmp_path, monkeypatch)
    code, output = played_by_the_command(agent, tmp_path, monkeypatch)
    assert code == 1
    assert re.search(r"done .*say Is it open on Sunday\? at now \+ 1 s", output), output
    # The recognizer of these tests returns the number of samples that it heard.
    assert re.search(r'failed .*hear hello: "\d+ samples heard by ', output), output


def test_a_sentence_without_a_voice_is_refused_with_what_to_install(
    agent: AgentProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    code, output = played_by_the_command(agent, tmp_path, monkeypatch)
    assert code == 2
    assert "a.call.toml, line 2: No voice is installed. Run `pip install 'opusagent-tui[speech]'`" in output


def test_a_call_is_judged_once(agent: AgentProcess, tmp_path: Path) -> None:
    path = tmp_path / "once.call.toml"
    path.write_text(f"[limits]\nfindings = 0\n{BYE}")
    events: list[e.SessionEvent] = []
    target = Target(url=agent.url("/audiocodes"), protocol="audiocodes")
    asyncio.run(hold(read_scenario(path), target, show=events.append))
    assert (
        sum(isinstance(event, e.ScenarioChanged) and event.phase is e.ScenarioPhase.OVER for event in events)
        == 1
    )
