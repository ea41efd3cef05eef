"""Tests the page on scenarios: its examples are valid, and it lists every step, sign, limit and option."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tui.cli.scenario import test as command
from tui.scenario.in_code import CallInCode
from tui.scenario.model import STEPS, CallLimits
from tui.scenario.reading import read_scenario
from tui.scenario.values import SignKind

PAGE = (Path(__file__).parents[2] / "docs" / "scenarios.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```toml\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.mark.parametrize("text", EXAMPLES)
def test_the_examples_are_valid(tmp_path: Path, text: str) -> None:
    path = tmp_path / "example.call.toml"
    path.write_text(text, encoding="utf-8")
    assert read_scenario(path).steps


def test_every_step_sign_limit_option_and_method_is_listed() -> None:
    assert EXAMPLES
    words = set(re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL)))
    listed = {word for each in words for word in re.findall(r"[\w-]+", each)}
    assert set(STEPS) <= listed
    assert set(CallLimits.__struct_fields__) <= listed
    assert all(any(word.startswith(sign) for word in words) for sign in SignKind)
    own = {"repeat", "jobs", "tags", "fail_fast", "reports", "json_file", "junit_file"}
    own |= {"baseline", "save_baseline"}
    flags = {each.opts[0] for each in command.params if each.name in own}
    assert len(flags) == len(own)
    assert flags <= {f"--{word.removeprefix('--')}" for word in listed}
    methods = {name for name in vars(CallInCode) if not name.startswith("_") and name != "metrics"}
    assert methods <= listed
