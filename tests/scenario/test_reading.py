from __future__ import annotations

from pathlib import Path

import pytest

from tui.scenario.reading import ScenarioError, read_scenario


def test_a_file_is_read_with_the_lines_of_its_steps(tmp_path: Path) -> None:
    path = tmp_path / "a.call.toml"
    path.write_text(
        '[[step]]\nexpect = "agent speaks"\n\n[[step]]\nsay = "yes"\nwhen = "agent speaks + 600ms"\n'
    )
    scenario = read_scenario(path)
    assert scenario.name == "a"
    assert [(step.line, step.title) for step in scenario.steps] == [
        (2, "agent speaks within 10 s"),
        (5, "say yes at agent speaks + 600 ms"),
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            '[[step]]\nexpekt = "agent speaks"\n',
            'line 1: this step has no action; "expekt" is not one; did you mean',
        ),
        (
            '[[step]]\nsay = "yes"\nwhem = "now"\n',
            'line 3: The step has no setting "whem"; did you mean "when"?',
        ),
        ('[[step]]\nexpect = "agent speeks"\n', 'did you mean "agent speaks"?'),
        (
            '[[step]]\nexpect = "agent stops"\nwithin = "soon"\n',
            "line 3: The step: within must be a duration",
        ),
        ('[[step]]\nsay = "yes"\npress = "1"\n', "are two steps"),
        ('[[step]]\nhang_up = true\n[[step]]\nsay = "yes"\n', "line 4: the call is over"),
        ('[[step]]\nexpect = "agent keeps speaking"\n', 'requires "for"'),
        (
            '[[step]]\nfault = "stal"\nfor = "1s"\n',
            'line 2: The step: fault: Unknown fault "stal"; did you mean "stall"?',
        ),
        (
            '[[step]]\nsilence = "1s"\n[[step]]\nfault = "drop"\n',
            'line 3: The step "drop" requires "for" (a duration).',
        ),
        ('[[step]]\nfault = "delay"\nfor = "1s"\n', 'line 1: The step "delay" needs "by".'),
        ('[[step]]\nfault = "drop"\nfor = "61s"\n', 'The step "drop" cannot last longer than 60 s.'),
        ('[[step]]\nfault = "stall"\nfor = "0ms"\n', 'The step "stall" must last longer than 0 ms.'),
        (
            '[[step]]\nfault = "delay"\nfor = "1s"\nby = "2m"\n',
            'The step "delay" cannot delay by more than 60 s.',
        ),
        (
            '[[step]]\nfault = "drop"\nfor = "1s"\nshare = "5%"\n',
            'The step has "share", which only "reorder" accepts.',
        ),
        (
            '[[step]]\nfault = "drop"\nfor = "1s"\ndirection = "sent"\n',
            'The step has "direction", which "drop" does not accept.',
        ),
        (
            '[caller]\nline = {jitter = "2s"}\n[[step]]\nhang_up = true\n',
            "line 2: line: jitter must be at most 1 s.",
        ),
        ("name = 1\n[[step]]\nhang_up = true\n", "line 1"),
        ("name\n", "line 1: this is not valid TOML"),
        ('name = "empty"\n', "the file has no [[step]]"),
        (
            '[limits]\ndead_air = "1.9s"\n[[step]]\nhang_up = true\n',
            "line 1: limits: dead_air must be at least 2 s.",
        ),
    ],
)
def test_what_is_wrong_is_a_sentence_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "a.call.toml"
    path.write_text(text)
    with pytest.raises(ScenarioError) as raised:
        read_scenario(path)
    assert says in str(raised.value)
