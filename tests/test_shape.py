"""Tests the shape of the code: unique class names, short functions, classes with few attributes."""

from __future__ import annotations

import ast
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

import tui

pytestmark = pytest.mark.xdist_group("shape")  # parsing takes two seconds

ROOT = Path(tui.__file__).parent
MOST_LINES, MOST_ATTRIBUTES = 50, 12
WITH_MORE_ATTRIBUTES = {
    "Speaker": "PortAudio's thread, its clock and the loop share it; what could leave is in objects of its own",
}


@cache
def trees() -> list[tuple[str, ast.Module]]:
    return [
        (path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8")))
        for path in sorted(ROOT.rglob("*.py"))
    ]


def attributes_of(node: ast.ClassDef) -> set[str]:
    return {
        child.attr
        for child in ast.walk(node)
        if isinstance(child, ast.Attribute)
        and isinstance(child.ctx, ast.Store)
        and isinstance(child.value, ast.Name)
        and child.value.id == "self"
    }


def test_no_class_name_is_used_twice() -> None:
    places = defaultdict(list)
    for path, tree in trees():
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                places[node.name].append(path)
    assert {name: paths for name, paths in places.items() if len(paths) > 1} == {}


def test_no_function_is_longer_than_a_page() -> None:
    long = {
        f"{path}:{node.lineno} {node.name}"
        for path, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > MOST_LINES
    }
    assert long == set()


def test_few_classes_have_many_attributes() -> None:
    many = {
        node.name
        for _, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and len(attributes_of(node)) > MOST_ATTRIBUTES
    }
    assert many == set(WITH_MORE_ATTRIBUTES)
