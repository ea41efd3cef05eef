"""Tests making scenarios from saved sessions without a call, and from a real session whose agent has a fault."""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from tests.builders import MS, numbered, started, status
from tests.scenario.lateness import ignore_lateness
from tui.agent.process import start_agent
from tui.agent.settings import AgentSettings
from tui.assets import caller_lines
from tui.audio.speech import load_detector
from tui.audio.wav import read_wav
from tui.cli.main import cli
from tui.models import events as e
from tui.models.target import Target
from tui.models.turns.metrics import SessionMetrics
from tui.saving.writer import SessionWriter
from tui.scenario.holding import hold
from tui.scenario.lines import lines_of
from tui.scenario.making import MadeScenario, make_scenario
from tui.scenario.player import Aids
from tui.scenario.reading import ScenarioError, read_scenario
from tui.scenario.verdict import RunResult, StepVerdict

S = e.Status
USER, AGENT = e.Party.USER, e.Party.AGENT
Saving = Callable[..., Path]


def heard(speaker: e.Party, began_ms: int, ended_ms: int) -> list[e.SessionEvent]:
    return [
        e.SpeechEdge(at_ns=at_ms * MS, speaker=speaker, started=begins, method="silero")
        for at_ms, begins in ((began_ms, True), (ended_ms, False))
    ]


@pytest.fixture
def save(tmp_path: Path) -> Saving:
    """Returns a function that saves a session that became active after 40 ms, with the given events and end."""

    def saved(
        *events: e.SessionEvent | list[e.SessionEvent],
        ending: str = "hung up",
        ends_ms: int = 20_000,
        sound: bytes = b"",
    ) -> Path:
        flat = [each for event in events for each in (event if isinstance(event, list) else [event])]
        listed = [
            started(),
            status(S.IDLE, S.CONNECTING, 1),
            status(S.CONNECTING, S.INITIATING, 10),
            status(S.INITIATING, S.ACTIVE, 40),
            *sorted(flat, key=lambda event: event.at_ns),
            status(S.ACTIVE, S.ENDING, ends_ms, ending),
            status(S.ENDING, S.ENDED, ends_ms + 10, ending),
        ]
        return asyncio.run(_save(tmp_path / "saved", listed, sound, ends_ms))

    return saved


async def _save(parent: Path, events: list[e.SessionEvent], sound: bytes, ends_ms: int) -> Path:
    now_ms = 0
    target = Target(url="wss://example.com/voice", title="demo", save=str(parent), protocol="audiocodes")
    writer = await SessionWriter.start(target, print, SessionMetrics, clock_ns=lambda: now_ms * MS)
    for event in numbered(events):
        writer.take(event)
    for at in range(0, len(sound), 640):
        writer.user_sent((3_000 + (at + 640) // 32) * MS, sound[at : at + 640], 16_000)
    now_ms = ends_ms
    await writer.close()
    return writer.folder


def steps_of(made: MadeScenario) -> list[dict[str, object]]:
    return list(tomllib.loads(made.path.read_text())["step"])


def made_of(folder: Path, tmp_path: Path, slow_ms: float = 1_500.0) -> MadeScenario:
    return make_scenario(folder, tmp_path / "bug.call.toml", slow_ms)


def test_what_was_said_typed_and_pressed_becomes_steps(save: Saving, tmp_path: Path) -> None:
    yes = read_wav(next(line for line in caller_lines() if line.name == "yes").path, 16_000)
    folder = save(
        heard(AGENT, 100, 2_000),
        e.Transcribed(at_ns=120 * MS, speaker=AGENT, text='Hello "you"\x1b[2J', final=True),
        heard(USER, 3_050, 3_600),
        e.ToolChanged(at_ns=4_000 * MS, call="1", name="book", arguments='{"people": 2, "at": null}'),
        heard(AGENT, 4_400, 6_000),
        e.Transcribed(at_ns=9_000 * MS, speaker=USER, text="and a window", final=True, typed=True),
        *(e.KeysPressed(at_ns=at_ms * MS, digits=digit) for at_ms, digit in ((14_000, "4"), (14_300, "#"))),
        heard(AGENT, 15_000, 16_000),
        ending="the agent hung up",
        sound=yes,
    )
    made = made_of(folder, tmp_path)
    assert steps_of(made) == [
        {"expect": "agent speaks", "within": "5s"},
        {"say": "bug-1.wav"},
        {"expect": "tool book", "within": "10s", "args": {"people": 2}},
        {"expect": "agent answers", "within": "10s"},
        {"type": "and a window"},
        # The caller waited for five seconds, so an answer was due.
        {"expect": "agent answers", "within": "3s"},
        {"press": "4#"},
        {"expect": "agent answers", "within": "3s"},
        {"expect": "hang-up", "within": "10s"},
    ]
    assert '# Hello "you"␛[2J' in made.path.read_text()
    cut = read_wav(tmp_path / "bug-1.wav", 16_000)
    assert len(cut) / 32 == pytest.approx(1_050, abs=2)
    assert read_scenario(made.path).target.url == "wss://example.com/voice"


def test_an_interruption_is_timed_and_a_healthy_agent_stops(save: Saving, tmp_path: Path) -> None:
    words = e.Transcribed(at_ns=3_000 * MS, speaker=USER, text="Sorry, stop", final=True)
    folder = save(heard(AGENT, 100, 12_000), heard(USER, 1_000, 2_500), words, heard(USER, 5_000, 5_300))
    assert steps_of(made_of(folder, tmp_path))[:5] == [
        {"expect": "agent speaks", "within": "5s"},
        # Without audio, the recognized words are spoken.
        {"say": "Sorry, stop", "when": "agent speaks + 900ms"},
        {"expect": "agent stops", "within": "1s"},
        {"hang_up": True},
    ]


def test_what_cannot_be_carried_over_is_named(save: Saving, tmp_path: Path) -> None:
    tool = e.ToolChanged(at_ns=2_500 * MS, call="1", name="a\nb")
    digit = e.KeysPressed(at_ns=2_000 * MS, digits="1")
    made = made_of(save(heard(USER, 1_000, 1_500), digit, tool), tmp_path)
    assert steps_of(made) == [{"press": "1"}, {"hang_up": True}]
    assert made.left_out == [
        "what was said 1.0 s after the start: neither its audio nor its words were saved",
        'the call of a tool with an unusual name, "a⏎b"',
    ]
    assert "# not included: what was said 1.0 s" in made.path.read_text()


def test_a_session_in_which_nobody_did_anything_makes_none(save: Saving, tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="The caller did not speak, type or press"):
        made_of(save(heard(AGENT, 100, 2_000)), tmp_path)


def test_the_command_never_overwrites_a_file(save: Saving, tmp_path: Path) -> None:
    folder = save(e.KeysPressed(at_ns=2_000 * MS, digits="1"))
    arguments = ["scenario", "make", str(folder), "-o", str(tmp_path / "bug.call.toml")]
    ran = CliRunner().invoke(cli, arguments)
    assert (ran.exit_code, ran.output) == (0, f"{tmp_path / 'bug.call.toml'}: 2 steps and 0 WAV files\n")
    ran = CliRunner().invoke(cli, arguments)
    assert ran.exit_code == 2
    assert "already exists. Choose another name." in ran.output


BUG = """
[[step]]
expect = "agent speaks"
[[step]]
say = "interrupt"
when = "agent speaks + 300ms"
[[step]]
silence = "3.2s"
"""


def test_a_session_with_a_fault_becomes_a_test_that_a_healthy_agent_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def calls(url: str, healthy: str) -> list[RunResult]:
        (tmp_path / "a.call.toml").write_text(BUG)
        seen = await play(tmp_path / "a.call.toml", url)
        made = await asyncio.to_thread(make_scenario, Path(seen.folder), tmp_path / "bug.call.toml", 1_500.0)
        return list(await asyncio.gather(play(made.path, url), play(made.path, healthy)))

    async def play(path: Path, url: str) -> RunResult:
        scenario = read_scenario(path)
        target = Target(url=url, protocol="audiocodes", save=str(tmp_path / "saved"))
        lines = await asyncio.to_thread(lines_of, scenario)
        return await hold(scenario, target, aids=Aids(lines=lines), keep=lambda _: True)

    load_detector()
    ignore_lateness(monkeypatch)
    with start_agent(AgentSettings(reply_delay_ms=20_000)) as slow, start_agent(AgentSettings()) as fine:
        faulty, healthy = asyncio.run(calls(slow.url("/audiocodes"), fine.url("/audiocodes")))
    assert faulty.failed_first
    assert faulty.verdict is StepVerdict.FAILED
    assert faulty.failed_first.reason == "The agent did not answer bug-1.wav within 3 s."
    assert healthy.verdict is StepVerdict.PASSED, msgspec.json.encode(healthy)
