"""Finds all rules of findings and advice in the source, so that a planted agent can be required for each."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import tui

ROOT = Path(tui.__file__).parent
_RULE = re.compile(r"[a-z0-9]+(-[a-z0-9{}]+)+|refused|\d{5}|\{\}")
_NAME = "rule"


@cache
def _trees() -> dict[str, ast.Module]:
    folders = (ROOT / "protocols", ROOT / "session")
    return {
        path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for folder in folders
        for path in sorted(folder.rglob("*.py"))
    }


@cache
def _places() -> dict[str, int]:
    """Returns which argument of each function is a rule, by the name of its parameter."""
    places = {"Finding": 0}
    for tree in _trees().values():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                names = [each.arg for each in node.args.args if each.arg not in ("self", "cls")]
                if _NAME in names:
                    places[node.name] = names.index(_NAME)
    return places


def rules_by_file() -> dict[str, set[str]]:
    """Returns the rules that each file can report. ``{}`` stands for a part that is known only at run time."""
    found: dict[str, set[str]] = defaultdict(set)
    for path, tree in _trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                found[path].update(filter(_RULE.fullmatch, _rules_in(node)))
            elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                if any(isinstance(each, ast.Name) and each.id.split("_")[-1] == _NAME for each in targets):
                    found[path].update(filter(_RULE.fullmatch, _texts(node.value)))
    return {path: rules for path, rules in found.items() if rules}


def _rules_in(call: ast.Call) -> Iterator[str]:
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    for keyword in call.keywords:
        if keyword.arg is not None and (keyword.arg == _NAME or keyword.arg.endswith(f"_{_NAME}")):
            yield from _texts(keyword.value)
    place = _places().get(name)
    # Two functions of the same name may take the rule at different positions.
    if place is not None:
        for argument in call.args[: place + 2]:
            yield from _texts(argument)


def _texts(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.IfExp():
            yield from _texts(node.body)
            yield from _texts(node.orelse)
        case ast.JoinedStr():
            parts = [part.value if isinstance(part, ast.Constant) else "{}" for part in node.values]
            yield "".join(map(str, parts))
        case _:
            pass


def functions_in(path: Path) -> set[str]:
    """Returns the names of the functions in a test file, given by its path from the project's root."""
    tree = ast.parse((ROOT.parent / path).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
