"""Converts tables strictly, for settings and scenario files.

An unknown key or a wrong type is an error, whose message names the key.
"""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from types import UnionType
from typing import Any, Self, TypeVar, get_args

import msgspec
from msgspec import inspect

from tui.text.visible import one_line

T = TypeVar("T", bound=msgspec.Struct)


class SettingsError(ValueError):
    """A setting cannot be used. The message is one sentence.

    The message does not contain the value, which may be a secret.
    """


def to_struct(kind: type[T], table: object, where: str) -> T:
    """Converts a table to a struct. ``where`` is the heading of the table, for the error message.

    Raises `SettingsError`.
    """
    values = to_values({field.name: field.type for field in msgspec.structs.fields(kind)}, table, where)
    try:
        return kind(**values)
    except ValueError as error:
        raise SettingsError(f"{where} {error}.") from error


def to_values(
    kinds: Mapping[str, Any], table: object, where: str, required: Iterable[str] = ()
) -> dict[str, Any]:
    """Converts the values of a table; ``kinds`` maps each key to the type of its value. Raises `SettingsError`."""
    if not isinstance(table, Mapping):
        raise SettingsError(f"{where} must be a table of settings.")
    for key in table:
        if key not in kinds:
            raise SettingsError(f"{where} has no setting {quoted(key)}{did_you_mean(key, kinds)}")
    for key in required:
        if key not in table:
            raise SettingsError(f"{where} needs {key}.")
    return {key: to_value(kinds[key], value, f"{where} {key}") for key, value in table.items()}


def to_value(kind: Any, value: object, where: str, *, text: bool = False) -> Any:
    """Converts a value from TOML or, with ``text``, from a variable or option. Raises `SettingsError`.

    The error quotes a value from a variable or option, because control characters in it would be invisible. A
    value from a variable or option must therefore not be a secret.
    """
    original = value
    if isinstance(kind, UnionType) and bool in get_args(kind):
        # msgspec does not support unions of bool and a type with its own notation.
        kind = bool if isinstance(value, bool) else next(each for each in get_args(kind) if each is not bool)
    if text:
        value = _read_text(kind, str(value))
    try:
        return msgspec.convert(value, kind, strict=not text, dec_hook=_written)
    except msgspec.ValidationError as error:
        if isinstance(error.__cause__, SettingsError):
            raise SettingsError(f"{where}: {error.__cause__}") from None
        found = f" is {quoted(str(original))}, but" if text else ""
        raise SettingsError(f"{where}{found} must be {in_words(kind)}.") from None


def in_words(kind: Any) -> str:
    """Describes the expected type in words that can end a sentence, such as "a number"."""
    return _words(inspect.type_info(kind))


def did_you_mean(word: str, known: Iterable[str], likeness: float = 0.6) -> str:
    """Returns the end of a sentence about an unknown word.

    The end suggests a similar word if there is one; otherwise, it is only a full stop.
    """
    near = difflib.get_close_matches(word, list(known), 1, likeness)
    return f"; did you mean {quoted(near[0])}?" if near else "."


def quoted(word: str) -> str:
    """Quotes a word from a file, and makes it safe to show."""
    return f'"{one_line(word, 60)}"'


class Written(ABC):
    """A value with its own notation, such as a duration.

    `EXPECTED` describes the notation in words that can end a sentence.
    """

    EXPECTED = ""

    @classmethod
    @abstractmethod
    def read(cls, text: str) -> Self:
        """Parses a string in the notation of the class.

        Raises `ValueError` if the string does not follow the notation, and `SettingsError` if only a part of
        it is wrong.
        """


def _written(kind: type, value: object) -> object:
    """Parses text whose type is a `Written` class. Called by msgspec."""
    if issubclass(kind, Written) and isinstance(value, str):
        return kind.read(value)
    raise ValueError


def _read_text(kind: Any, value: str) -> object:
    """Converts the text of a variable to a value that msgspec can convert to ``kind``.

    Splits lists at commas, and converts "true" and "false".
    """
    wanted = _without_metadata(inspect.type_info(kind))
    if isinstance(wanted, inspect.VarTupleType):
        return [part.strip() for part in value.split(",") if part.strip()]
    kinds = wanted.types if isinstance(wanted, inspect.UnionType) else (wanted,)
    if value in ("true", "false") and any(isinstance(each, inspect.BoolType) for each in kinds):
        return value == "true"
    return value


def _without_metadata(wanted: inspect.Type) -> inspect.Type:
    return wanted.type if isinstance(wanted, inspect.Metadata) else wanted


def _words(wanted: inspect.Type) -> str:
    match wanted:
        case inspect.Metadata():
            return _words(wanted.type)
        case inspect.UnionType():
            kinds = [_words(each) for each in wanted.types if not isinstance(each, inspect.NoneType)]
            return ", or ".join(kinds)
        case inspect.LiteralType():
            return "one of " + ", ".join(quoted(str(value)) for value in wanted.values)
        case inspect.IntType() | inspect.FloatType():
            name = "a whole number" if isinstance(wanted, inspect.IntType) else "a number"
            return name + _bounds(wanted.gt, wanted.ge, wanted.le)
        case inspect.BoolType():
            return "true or false"
        case inspect.StrType():
            return "text" + (" that is not empty" if wanted.min_length else "")
        case inspect.VarTupleType():
            return "a list of strings"
        case inspect.CustomType() if issubclass(wanted.cls, Written):
            return wanted.cls.EXPECTED
        case inspect.DictType():
            return "a table of " + ("strings" if isinstance(wanted.value_type, inspect.StrType) else "values")
        case _:
            return "something else"


def _bounds(above: float | None, least: float | None, most: float | None) -> str:
    if least is not None and most is not None:
        return f" from {least:g} to {most:g}"
    words = [
        f" above {above:g}" if above is not None else "",
        f" of at least {least:g}" if least is not None else "",
        f" and at most {most:g}" if most is not None else "",
    ]
    return "".join(words)
