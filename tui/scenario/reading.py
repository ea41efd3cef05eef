"""Reads scenario files, which are TOML and are checked strictly.

Every error is reported as a sentence with the file and line.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tui.scenario import model
from tui.scenario.values import SignKind
from tui.text.strict import SettingsError, did_you_mean, quoted, to_value, to_values

SUFFIX = ".call.toml"
_MAX_BYTES = 1_000_000
_INCLUDE = "include"
_NESTED: dict[str, type[msgspec.Struct]] = {
    "target": model.Aim,
    "caller": model.CallerSetting,
    "limits": model.CallLimits,
    "noise": model.Noise,
    "line": model.PhoneLine,
    "response": model.Bounds,
    "barge_in": model.Bounds,
}
"""Types of nested tables, by key."""
_NOT_WRITTEN = ("line", "file", "path", "steps", "limits_line")


class ScenarioError(ValueError):
    """Raised when a scenario cannot be used; the message is one sentence with the file and line."""


def find_scenarios(paths: Sequence[Path]) -> list[Path]:
    """Returns the given files, and the scenario files in the given folders. Raises `ScenarioError`.

    The names of scenario files end in `SUFFIX`.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            inside = sorted(path.rglob(f"*{SUFFIX}"))
            if not inside:
                raise ScenarioError(f"No *{SUFFIX} file was found in {path}.")
            found.update(dict.fromkeys(inside))
        else:
            found[path] = None
    return list(found)


def read_scenario(path: Path) -> model.Scenario:
    """Returns the scenario in a file. Raises `ScenarioError`."""
    source = _Source(path)
    table = source.table
    steps = source.steps()
    with source.errors():
        kinds = {field.encode_name: field.type for field in _written_fields(model.Scenario)}
        values = _values(kinds, {key: value for key, value in table.items() if key != "step"}, "The scenario")
        values = {"name": path.name.removesuffix(SUFFIX), **values}
        scenario = model.Scenario(**values, steps=steps, path=path, limits_line=source.line("limits"))
    if not steps:
        raise ScenarioError(f"{path}: the file has no [[step]].")
    _check_order(scenario)
    return scenario


def make_step(kind: str, table: dict[str, Any], *, file: str, line: int) -> model.Step:
    """Returns the step that a table describes. ``kind`` is a key of `STEPS`. Raises `SettingsError`."""
    struct = model.STEPS[kind]
    fields = {field.encode_name: field for field in _written_fields(struct)}
    values = _values({name: field.type for name, field in fields.items()}, table, "The step")
    named = {fields[key].name: value for key, value in values.items()}
    try:
        return struct(**named, line=line, file=file)
    except ValueError as error:
        raise SettingsError(f"The step {error}.") from error


def commands_of(scenario: model.Scenario) -> tuple[str, ...]:
    """Returns the shell commands that a scenario runs."""
    return tuple(dict.fromkeys(step.run for step in scenario.steps if isinstance(step, model.Run)))


def _check_order(scenario: model.Scenario) -> None:
    """Rejects steps that cannot be carried out at their position."""
    ended: model.Step | None = None
    for step in scenario.steps:
        where = f"{step.file}, line {step.line}"
        if ended is not None and step.KIND != "run":
            raise ScenarioError(
                f"{where}: the call is over after {quoted(ended.title)}; only a run step can follow."
            )
        if step.KIND == "hang_up" or (
            isinstance(step, model.Expect) and step.expect.kind in (SignKind.HANG_UP, SignKind.TRANSFER)
        ):
            ended = step


class _Source:
    """One scenario file, and the line numbers of its keys."""

    def __init__(self, path: Path, including: tuple[Path, ...] = ()) -> None:
        self._path = path
        self._including = (*including, path.resolve())
        try:
            content = path.read_bytes()
            if len(content) > _MAX_BYTES:
                raise ScenarioError(f"{path} is larger than {_MAX_BYTES:,} bytes.")
            self._text = content.decode()
            self.table: dict[str, Any] = tomllib.loads(self._text)
        except tomllib.TOMLDecodeError as error:
            found = re.search(r"\(at line (\d+), column \d+\)", str(error))
            problem = re.sub(r"\s*\(at .*\)", "", str(error))
            line = f", line {found[1]}" if found else ""
            raise ScenarioError(f"{path}{line}: this is not valid TOML: {problem}.") from error
        except UnicodeDecodeError as error:
            raise ScenarioError(f"{path} is not UTF-8 text.") from error
        except OSError as error:
            raise ScenarioError(f"{path} cannot be read: {error.strerror or error}.") from error

    def steps(self) -> list[model.Step]:
        """Returns the steps, with each ``include`` replaced by the steps of its file."""
        tables = self.table.get("step", [])
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            raise ScenarioError(f"{self._path}: write each step as [[step]].")
        found: list[model.Step] = []
        for number, table in enumerate(tables):
            if _INCLUDE in table:
                found += self._included(number, table)
            else:
                found.append(self._step(number, table))
        return found

    def _included(self, number: int, table: dict[str, Any]) -> list[model.Step]:
        where = self._where(number, _INCLUDE)
        if len(table) > 1 or not isinstance(table[_INCLUDE], str):
            raise ScenarioError(f'{where}: write include = "FILE" and nothing else in this step.')
        path = self._path.parent / table[_INCLUDE]
        if path.resolve() in self._including:
            raise ScenarioError(f"{where}: {table[_INCLUDE]} includes itself.")
        return _Source(path, self._including).steps()

    def _step(self, number: int, table: dict[str, Any]) -> model.Step:
        kinds = [key for key in table if key in model.STEPS]
        if len(kinds) > 1:
            both = " and ".join(map(quoted, kinds[:2]))
            raise ScenarioError(
                f"{self._where(number, kinds[1])}: {both} are two steps; write [[step]] for each."
            )
        if not kinds:
            unknown = next(iter(table), "")
            meant = did_you_mean(unknown, [*model.STEPS, _INCLUDE]) if unknown else "."
            known = ", ".join([*model.STEPS, _INCLUDE])
            what = f"has no action; {quoted(unknown)} is not one{meant}" if unknown else "is empty."
            raise ScenarioError(f"{self._where(number)}: this step {what} Choose from {known}.")
        with self.errors(number):
            return make_step(kinds[0], table, file=str(self._path), line=self.line(kinds[0], number))

    def errors(self, number: int | None = None) -> _Located:
        """Returns a context manager that adds the file and line to the sentence of a `SettingsError`."""
        return _Located(self, number)

    def located(self, sentence: str, number: int | None) -> str:
        """Returns the sentence, preceded by the file and the line of the key that it mentions."""
        key = re.search(
            r'no setting "([^"]+)"|([a-z_0-9]+)(?::| must | needs )', sentence.removeprefix("The step: ")
        )
        return f"{self._where(number, (key[1] or key[2]) if key else '')}: {sentence}"

    def _where(self, number: int | None, key: str = "") -> str:
        return f"{self._path}, line {self.line(key, number)}"

    def line(self, key: str, number: int | None = None) -> int:
        """Returns the line number of a key in step ``number``, or in the whole file if ``number`` is None.

        If the key is missing, returns the first line of the step or of the file.
        """
        first, lines = 1, self._text.splitlines()
        headings = [at for at, text in enumerate(lines, 1) if re.match(r"\s*\[\[\s*step\s*\]\]", text)]
        last = len(lines)
        if number is not None and number < len(headings):
            first = headings[number]
            last = headings[number + 1] - 1 if number + 1 < len(headings) else last
        pattern = rf"(?:^\s*|[{{,]\s*|^\s*\[.*){re.escape(key)}\s*(?:=|\])"
        for at in range(first, last + 1):
            if key and re.search(pattern, lines[at - 1]):
                return at
        return first


class _Located:
    def __init__(self, source: _Source, number: int | None) -> None:
        self._source, self._number = source, number

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, SettingsError):
            raise ScenarioError(self._source.located(str(error), self._number)) from error


def _written_fields(kind: type[msgspec.Struct]) -> Iterator[Any]:
    """Yields the fields of a struct that may occur in a file."""
    for field in msgspec.structs.fields(kind):
        if field.name not in _NOT_WRITTEN or (kind is model.CallerSetting and field.name == "line"):
            yield field


def _values(kinds: dict[str, Any], table: object, where: str) -> dict[str, Any]:
    """Converts the values of a table and of its nested tables. Raises `SettingsError`."""
    nested = {key for key in kinds if key in _NESTED and kinds[key] is not str}
    if not isinstance(table, dict):
        raise SettingsError(f"{where} must be a table.")
    plain = {key: value for key, value in table.items() if key not in nested}
    to_values({**kinds}, {key: None for key in table if key not in kinds}, where)
    values = {key: to_value(kinds[key], value, f"{where}: {key}") for key, value in plain.items()}
    for key in nested & table.keys():
        struct = _NESTED[key]
        inner = _values({field.encode_name: field.type for field in _written_fields(struct)}, table[key], key)
        try:
            values[key] = struct(**inner)
        except (TypeError, ValueError) as error:
            raise SettingsError(f"{key}: {error}.") from error
    return values
