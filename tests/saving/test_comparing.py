"""Tests comparing two sessions by turn, as JSON and as lines, and exporting by command."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from tests.report.sessions import save_call
from tests.saving.events import a_session, write_now
from tui.cli.main import cli
from tui.models.log.marks import Marking
from tui.models.turns.comparison import SessionComparison, TurnOf, TurnPair, paired, signed
from tui.models.turns.figures import Figure, Thresholds
from tui.saving.comparing import compare_sessions
from tui.saving.marks_file import append_marking
from tui.saving.reading import open_session
from tui.saving.remeasure import remeasure

pytestmark = pytest.mark.xdist_group("compared")


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a call with a greeting, a turn, and a finding and an error after it."""
    return save_call(tmp_path_factory.mktemp("saved"))


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a session without a turn."""
    return write_now(tmp_path_factory.mktemp("short"), a_session())


@pytest.fixture(scope="module")
def comparison(call: Path, short: Path) -> SessionComparison:
    with open_session(call) as left, open_session(short) as right:
        return compare_sessions(left, right, Thresholds())


def ran(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == code, result.output
    return result


def test_a_session_compared_with_itself_does_not_differ(call: Path) -> None:
    with open_session(call) as left, open_session(call) as right:
        same = compare_sessions(left, right, Thresholds())
        turns = remeasure(left).turns
    assert same.left == same.right
    assert [pair.turn for pair in same.turns] == [turn.number for turn in turns]
    assert not any(pair.differs for pair in same.turns)
    assert {pair.difference_ms for pair in same.turns} == {0.0}


def test_a_turn_that_only_one_has_is_there_with_a_gap(comparison: SessionComparison) -> None:
    by_number = {pair.turn: pair for pair in comparison.turns}
    assert by_number[1].left is not None
    assert by_number[1].right is None
    assert by_number[1].differs
    assert by_number[1].left.agent_text == "We are open."
    assert by_number[1].left.tools == ["hours"]


def test_findings_are_in_their_turn_or_in_the_session(comparison: SessionComparison) -> None:
    of_turns = [text for pair in comparison.turns if pair.left for text in pair.left.findings]
    assert len([*of_turns, *comparison.left.findings]) == 2
    assert comparison.right.findings == []


@pytest.mark.parametrize(
    ("left", "right", "by_ms", "differs"),
    [
        (Figure(800.0), Figure(849.0), 49.0, False),
        (Figure(800.0), Figure(850.0), 50.0, True),
        (Figure(800.0), Figure(), None, True),
        (Figure(), Figure(), None, False),
    ],
)
def test_a_difference_that_nobody_hears_is_none(
    left: Figure, right: Figure, by_ms: float | None, differs: bool
) -> None:
    pair = TurnPair(1, TurnOf(left), TurnOf(right))
    assert (pair.difference_ms, pair.differs) == (by_ms, differs)


def test_other_words_or_findings_are_a_difference() -> None:
    plain = TurnOf(Figure(800.0), user_text="Yes.")
    assert not TurnPair(1, plain, plain).differs
    for field, value in (("user_text", "No."), ("findings", ["odd"]), ("barge_ins", 1), ("tools", ["f"])):
        assert TurnPair(1, plain, msgspec.structs.replace(plain, **{field: value})).differs
    assert [pair.turn for pair in paired({0: plain, 2: plain}, {1: plain})] == [0, 1, 2]
    assert (signed(50.0), signed(-1200.0), signed(0.0)) == ("+50 ms", "−1200 ms", "+0.0 ms")


def test_compare_on_the_command_line(call: Path, short: Path, comparison: SessionComparison) -> None:
    text = ran("compare", str(call), str(short)).output
    assert f"A  {call.name}" in text
    assert "turn 1" in text
    assert "no turn" in text
    assert [line[:1] for line in text.splitlines() if "after the other's end" in line] == ["A"]
    decoded = msgspec.json.decode(
        ran("compare", str(call), str(short), "--json").output, type=SessionComparison
    )
    assert decoded == comparison
    assert decoded.left.floor is not None
    assert decoded.left.floor.agent.offsets == 1
    assert "No session" in ran("compare", str(call), "nothing-like-it", code=2).output


def test_export_on_the_command_line_writes_what_the_log_exports(
    call: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / call.name
    shutil.copytree(call, folder)
    append_marking(folder, Marking(4, marked=True, note="here"))
    monkeypatch.chdir(tmp_path)
    ran("export", str(folder))
    lines = (tmp_path / f"{call.name}.jsonl").read_text().splitlines()
    with open_session(folder) as saved:
        assert len(lines) == len(list(saved.events()))
    again = ran("export", str(folder), code=2).output
    assert "already exists. Choose another name or add --overwrite." in again
    ran("export", str(folder), "--overwrite", "--marked", "--raw")
    (only,) = map(json.loads, (tmp_path / f"{call.name}.jsonl").read_text().splitlines())
    assert (only["number"], only["marked"], only["note"]) == (4, True, "here")
    assert json.loads(only["raw"])["type"] == "hello"
    ran("export", str(folder), "-o", "errors.csv", "--filter", "errors")
    assert len((tmp_path / "errors.csv").read_text().splitlines()) == 2
    assert "--filter:" in ran("export", str(folder), "--filter", "(", code=2).output


def test_a_report_opens_in_the_browser_on_request(
    call: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def browse(url: str) -> bool:
        opened.append(url)
        return True

    monkeypatch.setattr("webbrowser.open", browse)
    path = tmp_path / "a report.html"
    ran("report", str(call), "--no-audio", "-o", str(path))
    assert opened == []
    ran("report", str(call), "--no-audio", "-o", str(path), "--open")
    assert opened == [path.as_uri()]
    assert "--open needs a file" in ran("report", str(call), "-o", "-", "--open", code=2).output
