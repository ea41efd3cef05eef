"""Tests scenarios against the local agent. All calls are made at the same time, in one event loop."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine, Iterator
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from tests.scenario.lateness import ignore_lateness
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
DROP = '[[step]]\nfault = "drop"\nfor = "10ms"\n'
BROKEN_OFF = "(cut off: the scenario dropped the connection, and the session cannot be resumed)"


class Held(msgspec.Struct):
    """A scenario, the verdicts on the call and on each step and limit, and the reasons of some, by their index."""

    text: str
    verdict: StepVerdict
    verdicts: list[StepVerdict]
    reasons: dict[int, str] = {}


SCENARIOS = {
    "greets": Held(f"[limits]\nfindings = 0\n{GREETED}{BYE}", PASSED, [PASSED, PASSED, DONE, PASSED]),
    "yields": Held(
        GREETED
        + '[[step]]\nsay = "interrupt"\nwhen = "agent speaks + 300ms"\n'
        + '[[step]]\nexpect = "agent stops"\nwithin = "8s"\n'
        + BYE,
        PASSED,
        [PASSED, PASSED, DONE, PASSED, DONE],
    ),
    "answers": Held(
        '[[step]]\nsay = "yes"\n[[step]]\nexpect = "agent answers"\nwithin = "5s"\n' + BYE,
        PASSED,
        [PASSED, DONE, PASSED, DONE],
    ),
    "does_not_answer": Held(
        GREETED
        + '[[step]]\nsilence = "5s"\n'  # until the greeting is over, even if it is late
        + "[[step]]\nmute = true\n"
        + '[[step]]\nsay = "yes"\n[[step]]\nexpect = "agent answers"\nwithin = "500ms"\n'
        + BYE,
        FAILED,
        [PASSED, PASSED, DONE, DONE, DONE, FAILED, DONE],
        {5: "The agent did not answer yes within 0.5 s."},
    ),
    "goes_on_after_a_failure": Held(
        '[[step]]\nexpect = "tool book_table"\nwithin = "200ms"\n' + BYE,
        FAILED,
        [PASSED, FAILED, DONE],
        {1: "It did not happen within 200 ms."},
    ),
    "stops": Held(
        '[[step]]\nrun = "exit 1"\nstop = true\n' + BYE,
        FAILED,
        [PASSED, FAILED, NOT_MEASURED],
        {2: "Not reached: step 1 failed, and the step has stop = true."},
    ),
    "hears": Held(
        '[[step]]\nhear = "Hello"\n[[step]]\nhear = "goodbye"\nwithin = "100ms"\n' + BYE,
        FAILED,
        [PASSED, PASSED, FAILED, DONE],
        {2: '"hello" was heard: its word error rate is 1.00; the limit is 0.2.'},
    ),
    "deaf": Held(
        '[[step]]\nhear = "hello"\nstop = true\n' + BYE,
        NOT_MEASURED,
        [PASSED, NOT_MEASURED, NOT_MEASURED],
        {
            1: "Run pip install something.",
            2: "Not reached: step 1 not measured, and the step has stop = true.",
        },
    ),
    "deaf_throughout": Held('[[step]]\nhear = "hello"\n' + BYE, NOT_MEASURED, [PASSED, NOT_MEASURED, DONE]),
    "times_out": Held(
        'timeout = "500ms"\n[[step]]\nsilence = "10s"\n' + BYE,
        FAILED,
        [PASSED, FAILED, NOT_MEASURED],
        {1: "The scenario's timeout of 500 ms was reached."},
    ),
    "runs": Held(
        '[[step]]\nrun = "true"\n'
        f'[[step]]\nrun = "echo {SECRET} is wrong; exit 3"\n'
        f'[[step]]\nrun = "printf %0180d 0; echo {SECRET}{SECRET}; exit 3"\n'
        '[[step]]\nrun = "sleep 20; true"\nwithin = "100ms"\n' + BYE,
        FAILED,
        [PASSED, PASSED, FAILED, FAILED, NOT_MEASURED, DONE],
        {4: "The command did not end within 100 ms."},
    ),
    "broken_off": Held(
        f'[limits]\nerrors = 0\n{DROP}[[step]]\nrun = "true"\n'
        '[[step]]\nexpect = "hang-up"\n[[step]]\nrun = "true"\n',
        NOT_MEASURED,
        [PASSED, DONE, PASSED, NOT_MEASURED, PASSED, PASSED],
        {3: f"Not reached: the call had ended {BROKEN_OFF}."},
    ),
    # The fault was requested, so it is not a failure by itself.
    "dropped_last": Held(DROP, PASSED, [PASSED, DONE]),
    "dropped_too_long": Held(
        '[[step]]\nfault = "drop"\nfor = "30s"\n[[step]]\nexpect = "hang-up"\n',
        NOT_MEASURED,
        [PASSED, DONE, NOT_MEASURED],
    ),
    "resumed": Held(
        f'{DROP}[[step]]\nexpect = "message session.resume"\n' + BYE, PASSED, [PASSED, DONE, PASSED, DONE]
    ),
    "presses": Held('[[step]]\npress = "1"\n' + BYE, NOT_MEASURED, []),
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
        path.write_text(SCENARIOS[name].text)
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
        ignore_lateness(patch)
        return dict(zip(SCENARIOS, asyncio.run(every()), strict=True))


@pytest.mark.parametrize("name", SCENARIOS)
def test_each_step_and_the_call_have_their_verdicts(name: str, runs: dict[str, RunResult]) -> None:
    run, held = runs[name], SCENARIOS[name]
    assert (run.verdict, [case.verdict for case in run.cases], run.late) == (held.verdict, held.verdicts, "")
    assert {index: run.cases[index].reason for index in held.reasons} == held.reasons


def test_only_a_call_that_ended_before_its_script_is_cut_short(runs: dict[str, RunResult]) -> None:
    cut_short = {
        name: runs[name].cut_short for name in ("broken_off", "dropped_last", "stops", "deaf_throughout")
    }
    assert [name for name, cut in cut_short.items() if cut] == ["broken_off"]
    reason = runs["dropped_too_long"].cases[2].reason
    assert "it was down for longer than the limit for resuming a session" in reason


def test_what_was_measured_of_a_call_is_in_its_result(runs: dict[str, RunResult]) -> None:
    assert (runs["yields"].cases[3].measured_ms or 0) > 0
    assert [response > 0 for response in runs["answers"].response_ms] == [True]
    assert runs["goes_on_after_a_failure"].cases[1].line == 2


def test_the_output_of_commands_is_shown_without_secrets(runs: dict[str, RunResult]) -> None:
    first, cut = (case.reason for case in runs["runs"].cases[2:4])
    assert first.startswith("The command ended with code 3: ")
    assert first.endswith(" is wrong.")
    assert SECRET not in first
    # Also if the end of a long line is cut within the secret.
    assert "sesame" not in cut


def test_an_agent_that_cannot_carry_a_step_is_not_called(runs: dict[str, RunResult]) -> None:
    found = runs["presses"].not_applicable
    assert found.endswith("presses.call.toml, line 2: Plain PCM does not support pressing keys.")


@pytest.mark.parametrize(
    ("text", "path", "code", "shows"),
    [
        ('[[step]]\nsilence = "1ms"\n', "/audiocodes", 0, "100% (1/1, 21%–100%)"),
        ('[[step]]\nrun = "exit 5"\n', "/audiocodes", 1, "The command ended with code 5."),
        ('[[step]]\nexpect = "agent dances"\n', "/audiocodes", 2, "line 2: "),
        (BYE, "/nowhere", 4, "0% (0/1, 0%–79%)"),
        (f"repeat = 3\n{SCENARIOS['presses'].text}", "/pcm", 6, "Plain PCM does not support pressing keys."),
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
