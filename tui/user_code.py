"""Runs the user's Python files, which define tools or a protocol, as modules."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType


class UserCodeError(Exception):
    """Raised if a user's file cannot be run. The message is one sentence with file, line and reason."""


def run_file(path: Path, kind: str) -> ModuleType:
    """Runs a file as a new module, without writing bytecode next to the file. Raises `UserCodeError`."""
    try:
        source = path.read_bytes()
    except OSError as error:
        raise UserCodeError(f"{path} cannot be read: {error.strerror or error}.") from error
    try:
        code = compile(source, str(path), "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        where = f"{path}, line {line}" if line else str(path)
        raise UserCodeError(f"{where}: {getattr(error, 'msg', error)}.") from error
    module = ModuleType(f"{kind} {path.resolve()}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses and type hints look up names there
    try:
        exec(code, vars(module))
    except (Exception, SystemExit) as error:
        import traceback

        del sys.modules[module.__name__]
        lines = [at.lineno for at in traceback.extract_tb(error.__traceback__) if at.filename == str(path)]
        raise UserCodeError(f"{path}, line {lines[-1]}: {words_of(error)}.") from error
    return module


def words_of(error: BaseException) -> str:
    """Returns the type and the message of an exception on one line."""
    return " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".: ")
