"""Tests importing scenarios of other tools, as their documentation shows them, with the strict reader."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from tui.cli.main import cli
from tui.scenario.importing import Imported, import_scenarios
from tui.scenario.reading import ScenarioError, read_scenario

STREAMDOUBLE = """
name: interrupt the greeting
steps:
  - wait: 1.2
  - say: clips/caller.wav
  - wait_for: {event: quiet, timeout: 2}
  - dtmf: "42#"
  - expect: no_violations
  - expect: no audio
  - wait_for: mark
  - hangup
"""
VOICEBENCH = """
name: two turns
sample_rate: 16000
adapter: {type: websocket, options: {url: "ws://127.0.0.1:9/pcm"}}
defaults: {max_stop_ms: 700}
turns:
  - audio: {file: one.wav}
  - audio: {file: two.wav}
    start: {after: agent_speech_start, delay_ms: 600}
    expect: stop
  - audio: {file: cough.wav}
    start: {after: agent_speech_start}
    expect: ignore
  - audio: {synth: noise, duration_ms: 300}
assert:
  max_response_latency_ms: 1500
  max_wer: 0.1
"""
PIPECAT = """
name: weather
judge: {eval: {service: ollama}}
turns:
  - expect:
      - event: response
        eval: greets
  - user: "What is the weather in Paris?"
    send_after: {event: bot_started_speaking, delay_ms: 500}
    expect:
      - event: function_call
        calls:
          - name: get_weather
            args: {city: Paris, days: 2}
      - event: response
        text_contains: sunny
        within_ms: 4000
      - event: llm_started
  - dtmf: "1"
    expect:
      - event: response
        absent: true
        within_ms: 3000
"""


def imported(tmp_path: Path, text: str) -> tuple[Imported, list[str]]:
    """Returns the only scenario of a file, and its steps after reading it."""
    (tmp_path / "a.yaml").write_text(text)
    (found,) = import_scenarios(tmp_path / "a.yaml")
    path = tmp_path / "a.call.toml"
    path.write_text(found.text())
    scenario = read_scenario(path)
    assert scenario.name == found.name
    return found, [step.title for step in scenario.steps]


def test_streamdouble(tmp_path: Path) -> None:
    found, steps = imported(tmp_path, STREAMDOUBLE)
    assert steps == [
        "silence 1.2 s",
        "say clips/caller.wav at now",
        "agent stops within 2 s",
        "press 42# at now",
        "hang up",
    ]
    assert found.head == {"target": {"protocol": "twilio"}, "limits": {"findings": 0}}
    assert found.left_out == [
        "step 6: expect no audio",
        "step 7: wait_for mark",
        "step 8: hanging up without a stop message (the imported scenario hangs up properly)",
    ]


def test_voicebench(tmp_path: Path) -> None:
    found, steps = imported(tmp_path, VOICEBENCH)
    assert steps == [
        "say one.wav at now + 500 ms",
        "agent speaks within 5 s",
        "say two.wav at agent speaks + 600 ms",
        "agent stops within 700 ms",
        "say cough.wav at agent speaks",
        "agent keeps speaking for 700 ms",
    ]
    assert found.head["limits"] == {"response": {"max": "1.5s"}}
    assert found.head["target"] == {"url": "ws://127.0.0.1:9/pcm", "protocol": "pcm"}
    assert found.left_out == ["assert: max_wer", "turn 4: synthetic audio (noise)", "sample_rate"]


def test_pipecat(tmp_path: Path) -> None:
    found, steps = imported(tmp_path, PIPECAT)
    assert steps == [
        "agent speaks within 60 s",
        "say What is the weather in Paris? at agent speaks + 500 ms",
        'tool get_weather {"city":"Paris","days":2} within 60 s',
        "transcript sunny within 4 s",
        "press 1",
        "agent keeps silent for 3 s",
    ]
    assert all("stop" in step for step in found.steps if "expect" in step)
    assert found.left_out == ["turn 1: eval of response", "turn 2: event llm_started", "judge"]


def test_several_scenarios_in_one_file_of_pipecat(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(
        "stop_on_failure: false\njudge: !include judge.yaml\nscenarios:\n"
        "  - {name: a, turns: [{user: hello, expect: [{event: bot_stopped_speaking}]}]}\n"
        "  - {name: b, persona: somebody}\n"
    )
    (found,) = import_scenarios(path)
    assert (found.name, found.left_out) == ("a", ["!include judge.yaml"])
    assert found.steps == [{"say": "hello"}, {"expect": "agent stops", "within": "60s"}]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [", "a.yaml, line 1: this is not valid YAML."),
        ("- 1", "is not a scenario for streamdouble, voicebench or Pipecat."),
        ("name: a", "is not a scenario for streamdouble, voicebench or Pipecat."),
        ("persona: somebody", "could be imported: persona: a simulated user."),
        ("steps: 3", "could be imported."),
    ],
)
def test_what_cannot_be_imported_is_a_sentence(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(ScenarioError) as raised:
        import_scenarios(path)
    assert str(raised.value).endswith(says)


@given(st.text(), st.dictionaries(st.text(), st.text() | st.integers() | st.booleans(), max_size=3))
def test_any_text_is_written_so_that_toml_reads_it_back(words: str, args: dict[str, object]) -> None:
    import tomllib

    made = Imported("a", "pipecat", steps=[{"say": words, "args": args}])
    (step,) = tomllib.loads(made.text())["step"]
    assert step == {"say": words, "args": args}


def test_the_command_writes_files_and_names_what_it_left_out(tmp_path: Path) -> None:
    source = tmp_path / "weather.yaml"
    source.write_text(PIPECAT)
    arguments = ["scenario", "import", str(source), "--output", str(tmp_path / "calls")]
    ran = CliRunner().invoke(cli, arguments)
    path = tmp_path / "calls" / "weather.call.toml"
    assert (ran.exit_code, ran.stdout) == (0, f"{path}: weather, 6 steps (pipecat)\n")
    assert "  not converted: turn 1: eval of response\n" in ran.stderr
    assert read_scenario(path).name == "weather"
    ran = CliRunner().invoke(cli, arguments)
    assert (ran.exit_code, "already exists" in ran.stderr) == (2, True)


def test_wav_files_are_found_from_the_folder_of_the_new_file(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    source = tmp_path / "theirs" / "call.yaml"
    source.write_text('steps: [{say: clips/a.wav}, {dtmf: "1"}]')
    arguments = ["scenario", "import", str(source), "--output", str(tmp_path / "ours")]
    assert CliRunner().invoke(cli, arguments).exit_code == 0
    first = read_scenario(tmp_path / "ours" / "call.call.toml").steps[0]
    assert first.title == "say ../theirs/clips/a.wav at now"
